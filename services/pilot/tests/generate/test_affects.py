"""A push that is left out must have had nothing to say."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from mizzen.pilot.generate import typeurls
from mizzen.pilot.generate.affects import affected_types
from mizzen.pilot.generate.api import generate
from mizzen.pilot.generate.cache import Cache
from mizzen.pilot.snapshot.diff import Change, difference
from mizzen.pilot.snapshot.service import ServiceKey

DOCUMENTS = list((Path(__file__).parent / "rich.yaml").read_text().split("---\n"))
NARROW = """
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: narrow, namespace: narrow}
spec: {egress: [{hosts: ["default/reviews.default.svc.cluster.local"]}]}
"""
EXTRA = [
    NARROW,
    """
    apiVersion: v1
    kind: Service
    metadata: {name: secret, namespace: far, annotations: {networking.istio.io/exportTo: "."}}
    spec: {ports: [{port: 80, name: http}]}
    """,
    """
    apiVersion: networking.istio.io/v1
    kind: VirtualService
    metadata: {name: ratings, namespace: far}
    spec: {hosts: [ratings.default.svc.cluster.local], http: [{timeout: 1s, route: [{destination: {host: web.far}}]}]}
    """,
]
ROUTES = frozenset({"80", "9080", "8081", "http_proxy", "http.8080", "http.8089"})


def generated(type_url: str, proxy: Any, mesh: Any) -> Any:
    if type_url == typeurls.ROUTE:
        return generate(type_url, proxy, mesh, ROUTES, cache=Cache())
    if type_url == typeurls.ENDPOINT:
        clusters = generate(typeurls.CLUSTER, proxy, mesh, None, cache=Cache())
        return generate(type_url, proxy, mesh, frozenset(clusters.resources), cache=Cache())
    return generate(type_url, proxy, mesh, None, cache=Cache())


@pytest.fixture
def proxies(sidecar: Any, router: Any) -> list[Any]:
    own = {"LABELS": {"app": "client"}, "HTTP_PROXY_PORT": "15007"}
    return [sidecar(**own), sidecar(namespace="far"), sidecar(namespace="narrow"), router()]


@pytest.mark.parametrize("left_out", range(len(DOCUMENTS) + len(EXTRA)))
def test_what_is_not_pushed_did_not_change(world: Any, proxies: list[Any], left_out: int) -> None:
    documents = DOCUMENTS + EXTRA
    whole = world(*documents).mesh
    without = world(*(text for index, text in enumerate(documents) if index != left_out), previous=whole).mesh
    for old, new in ((whole, without), (without, whole)):
        change = difference(old, new)
        for proxy in proxies:
            pushed = affected_types(change, proxy, old, new)
            for type_url in typeurls.ORDER:
                if type_url not in pushed:
                    same = generated(type_url, proxy, old) == generated(type_url, proxy, new)
                    assert same, (proxy.id, type_url, yaml.safe_load(documents[left_out])["kind"])


def test_strangers_are_left_in_peace(world: Any, proxies: list[Any]) -> None:
    client, far, narrow, gateway = proxies
    whole = world(*DOCUMENTS, *EXTRA).mesh

    def pushed(proxy: Any, *texts: str) -> tuple[str, ...]:
        changed = world(*texts).mesh
        return affected_types(difference(whole, changed), proxy, whole, changed)

    without_secret = [*DOCUMENTS, EXTRA[0], EXTRA[2]]
    assert pushed(far, *without_secret) == typeurls.ORDER
    assert [pushed(proxy, *without_secret) for proxy in (client, narrow, gateway)] == [(), (), ()]
    without_sidecar = [*DOCUMENTS, *EXTRA[1:]]
    assert pushed(narrow, *without_sidecar) == typeurls.ORDER
    assert [pushed(proxy, *without_sidecar) for proxy in (client, far, gateway)] == [(), (), ()]


def test_endpoints_alone_push_endpoints_alone(world: Any, proxies: list[Any]) -> None:
    whole = world(*DOCUMENTS, *EXTRA).mesh

    def pushed(host: str) -> list[tuple[str, ...]]:
        key = ServiceKey(f"{host}.default.svc.cluster.local", "default")
        reviews = whole.endpoints[ServiceKey("reviews.default.svc.cluster.local", "default")]
        changed = whole.with_endpoints({key: reviews[:1]}, "2")
        change = difference(whole, changed)
        assert change == Change(endpoints=frozenset({key}))
        return [affected_types(change, proxy, whole, changed) for proxy in proxies]

    endpoints = (typeurls.ENDPOINT,)
    assert pushed("reviews") == [endpoints] * 4
    # Without an address it is called at its endpoints, and captured TCP needs a listener at each.
    listeners = (typeurls.ENDPOINT, typeurls.LISTENER)
    assert pushed("novip") == [listeners, listeners, (), endpoints]
