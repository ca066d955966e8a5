"""The entry: determinism, sharing, names, and the cache."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import wrappers_pb2

from mizzen.pilot.generate import names, typeurls
from mizzen.pilot.generate.api import generate
from mizzen.pilot.generate.cache import Cache
from mizzen.pilot.generate.encoded import Encoded, encode

RICH = (Path(__file__).parent / "rich.yaml").read_text()


def everything(proxy: Any, mesh: Any, cache: Cache) -> dict[str, Any]:
    listeners = generate(typeurls.LISTENER, proxy, mesh, None, cache=cache).resources
    clusters = generate(typeurls.CLUSTER, proxy, mesh, None, cache=cache).resources
    endpoints = generate(typeurls.ENDPOINT, proxy, mesh, frozenset(clusters), cache=cache).resources
    ports = frozenset({"80", "9080", "http_proxy", "http.8080"})
    routes = generate(typeurls.ROUTE, proxy, mesh, ports, cache=cache).resources
    return {**listeners, **clusters, **{f"eds {name}": value for name, value in endpoints.items()}, **routes}


def test_equal_meshes_give_equal_bytes(world: Any, sidecar: Any) -> None:
    one = everything(sidecar(), world(RICH).mesh, Cache())
    other = everything(sidecar(), world(RICH).mesh, Cache())
    assert one == other
    assert len({value.version for value in one.values()}) > 40


def test_proxies_alike_share_what_is_generated(world: Any, sidecar: Any) -> None:
    mesh, cache = world(RICH).mesh, Cache()
    one = everything(sidecar(ip="10.0.0.1", LABELS={"app": "client", "pod": "1"}), mesh, cache)
    misses = cache.misses
    other = everything(sidecar(ip="10.0.0.2", LABELS={"app": "client", "pod": "2"}), mesh, cache)
    assert cache.misses == misses
    assert all(other[name] is value for name, value in one.items())


def test_an_unchanged_cluster_survives_a_new_mesh(world: Any, sidecar: Any) -> None:
    old, cache = world(RICH).mesh, Cache()
    one = generate(typeurls.CLUSTER, sidecar(), old, None, cache=cache).resources
    misses = cache.misses
    two = generate(typeurls.CLUSTER, sidecar(), world(RICH, previous=old).mesh, None, cache=cache).resources
    assert cache.misses == misses
    assert one == two


def test_the_cache_is_bounded() -> None:
    def generator(number: int) -> Encoded:
        return Encoded(str(number), bytes(9000), "")

    cache = Cache(limit=25_000)
    assert [cache.get(generator, number).name for number in (1, 2, 1, 3, 1, 2)] == ["1", "2", "1", "3", "1", "2"]
    assert len(cache) == 2
    assert (cache.hits, cache.misses) == (2, 4)


@pytest.mark.parametrize("size", [0, 1, 2047, 2048, 10_000])
def test_a_version_is_a_hash_of_all_bytes(size: int) -> None:
    made = encode("a", wrappers_pb2.BytesValue(value=bytes(size)))
    assert made.version == hashlib.blake2b(made.body, digest_size=8).hexdigest()


def test_unknown_types_are_refused(world: Any, sidecar: Any) -> None:
    with pytest.raises(ValueError, match="is not generated"):
        generate("type.googleapis.com/other", sidecar(), world(RICH).mesh, None)


def test_names() -> None:
    name = names.outbound(80, "v1", "a.b")
    assert name == "outbound|80|v1|a.b"
    assert names.parse_cluster(name) == names.ClusterName("outbound", 80, "v1", "a.b")
    assert [names.host_of(name), names.host_of("odd")] == ["a.b", "odd"]
    assert str(names.parse_cluster(name)) == name
    for odd in ("BlackHoleCluster", "outbound|x||a", "a|b|c|d", "outbound|80|a"):
        assert names.parse_cluster(odd) is None
    assert names.parse_gateway_route(names.gateway_route(80)) == (80, "")
    assert names.parse_gateway_route(names.gateway_route(80, "1.2.3.4")) == (80, "1.2.3.4")
    assert names.parse_gateway_route("https.80.a.b.c") is None
    assert names.parse_sniffed_route("a.b:80") == ("a.b", 80)
    assert names.parse_sniffed_route("80") is None
