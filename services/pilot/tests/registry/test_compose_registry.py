"""What containers are to the mesh, from the lists and events of Docker's API."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from mizzen.api.parse import parse
from mizzen.pilot.ingest.registry.compose.container import Container
from mizzen.pilot.ingest.registry.compose.endings import FORGET_SECONDS, Endings
from mizzen.pilot.ingest.registry.compose.labels import read_workload
from mizzen.pilot.ingest.registry.compose.pods import Registry
from mizzen.pilot.snapshot.kubernetes import workload as pod_workload

RATINGS = {
    "mizzen.workload": "ratings-v1",
    "mizzen.labels": "app=ratings, version=v1",
    "mizzen.services": "ratings http:9080",
    "com.docker.compose.container-number": "1",
}


def api(name: str, state: str = "running", status: str = "Up 2 seconds", **more: Any) -> dict[str, Any]:
    """An element of `GET /containers/json` as Docker 20.10 gives it."""
    return {
        "Id": f"id-{name}",
        "Names": [f"/mesh_{name}_1"],
        "State": state,
        "Status": status,
        "Labels": more.get("labels", {}),
        "HostConfig": {"NetworkMode": more.get("mode", "mesh_default")},
        "NetworkSettings": {"Networks": more.get("networks", {})},
    }


def workload(address: str = "172.18.0.5", **app: Any) -> list[dict[str, Any]]:
    """The three containers of ratings."""
    joined = "container:id-ratings"
    return [
        api("ratings", networks={"mesh_default": {"IPAddress": address}}),
        api("ratings-proxy", mode=joined, status="Up 2 seconds (healthy)"),
        api("ratings-app", mode=joined, **({"labels": RATINGS} | app)),
    ]


def event(action: str, signal: str = "") -> dict[str, Any]:
    return {"Action": action, "Actor": {"ID": "id-app", "Attributes": {"signal": signal}}}


def objects(items: list[dict[str, Any]], stopping: frozenset[str] = frozenset()) -> dict[str, Any]:
    made = Registry().update(map(Container.from_api, items), stopping)
    assert parse(yaml.safe_dump_all(made)).problems == ()
    return {f"{item['kind']} {item['metadata']['name']}": item for item in made}


def endpoints(found: dict[str, Any]) -> list[str]:
    slices = (item for name, item in found.items() if name.startswith("EndpointSlice"))
    return [address for item in slices for point in item["endpoints"] for address in point["addresses"]]


def test_an_application_its_proxy_and_their_network_are_one_pod() -> None:
    found = objects(workload())
    pod = found["Pod ratings-v1-1"]
    assert pod["metadata"]["labels"] == {"app": "ratings", "version": "v1"}
    assert pod["status"]["podIP"] == "172.18.0.5"
    assert found["Service ratings"]["spec"]["selector"] == {"app": "ratings"}
    assert endpoints(found) == ["172.18.0.5"]


@pytest.mark.parametrize(
    ("own", "stated"), [("", "istio"), (",security.istio.io/tlsMode=disabled", "disabled")], ids=["by itself", "stated"]
)
def test_a_pod_with_a_sidecar_can_speak_mutual_tls_unless_its_author_says_otherwise(own: str, stated: str) -> None:
    items = workload(labels=RATINGS | {"mizzen.labels": RATINGS["mizzen.labels"] + own})
    items[1]["Labels"] = {"mizzen.role": "proxy"}
    assert objects(items)["Pod ratings-v1-1"]["metadata"]["labels"]["security.istio.io/tlsMode"] == stated


def test_a_gateway_does_not_say_that_its_servers_are_for_mutual_tls() -> None:
    labels = RATINGS | {"mizzen.role": "proxy"}
    found = objects([api("gateway", labels=labels, networks={"mesh_default": {"IPAddress": "172.18.0.3"}})])
    assert found["Pod ratings-v1-1"]["metadata"]["labels"] == {"app": "ratings", "version": "v1"}


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("ratings", {"state": "exited"}),
        ("ratings-proxy", {"status": "Up 2 seconds (unhealthy)"}),
        ("ratings-proxy", {"state": "exited"}),
        ("ratings-app", {"state": "exited", "status": "Exited (137) 1 second ago"}),
        ("ratings-app", {"status": "Up 1 second (health: starting)"}),
        ("ratings-app", {"state": "paused"}),
    ],
)
def test_a_pod_serves_only_while_all_of_it_is_well(name: str, change: dict[str, str]) -> None:
    items = workload()
    for item in items:
        if item["Id"] == f"id-{name}":
            item |= {key.capitalize(): value for key, value in change.items()}
    assert endpoints(objects(items)) == []


@pytest.mark.parametrize("part", ["ratings", "ratings-proxy", "ratings-app"])
def test_a_pod_with_a_part_that_was_told_to_end_serves_no_more(part: str) -> None:
    assert endpoints(objects(workload(), frozenset({f"id-{part}"}))) == []


def test_a_pod_comes_back_with_another_address_and_its_service_stays_meanwhile() -> None:
    registry = Registry()
    registry.update(map(Container.from_api, workload()), frozenset())
    without = registry.update([], frozenset())
    assert [(item["kind"], item["metadata"]["name"]) for item in without] == [("Service", "ratings")]
    back = registry.update(map(Container.from_api, workload("172.18.0.9")), frozenset())
    assert endpoints({f"{item['kind']} {item['metadata']['name']}": item for item in back}) == ["172.18.0.9"]


def test_a_container_without_a_proxy_is_its_own_pod() -> None:
    labels = {
        "mizzen.workload": "istio-mixer",
        "mizzen.namespace": "istio-system",
        "mizzen.labels": "app=istio-mixer,istio=mixer",
        "mizzen.services": "istio-policy grpc-mixer:9091; istio-telemetry grpc-mixer:9091",
    }
    found = objects([api("mixer", labels=labels, networks={"mesh_default": {"IPAddress": "172.18.0.3"}})])
    assert {"Service istio-policy", "Service istio-telemetry", "Pod istio-mixer-1"} <= found.keys()
    assert endpoints(found) == ["172.18.0.3", "172.18.0.3"]


def test_metrics_and_endpoints_name_the_workload_and_not_its_pod() -> None:
    pod = next(item for item in parse(yaml.safe_dump_all(objects(workload()).values())).resources if item.kind == "Pod")
    assert pod_workload(pod, {}).name == "ratings-v1"
    controllers = [owner.name for owner in pod.metadata.owner_references if owner.controller]
    assert controllers == ["ratings-v1"]


def test_containers_without_a_workload_are_nobody() -> None:
    assert objects([api("prometheus", networks={"mesh_default": {"IPAddress": "172.18.0.4"}})]) == {}


def test_a_port_may_differ_in_the_container() -> None:
    labels = RATINGS | {"mizzen.services": "ratings http:80:8080 admin:15000"}
    read = read_workload(labels)
    assert read is not None
    ports = [(port.name, port.port, port.target_port) for port in read.services[0].spec.ports]
    assert ports == [("http", 80, 8080), ("admin", 15000, 15000)]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"mizzen.workload": "Ratings_v1"}, "mizzen.workload"),
        ({"mizzen.labels": "ratings"}, "takes pairs as app=reviews,version=v1, not 'ratings'"),
        ({"mizzen.service": "ratings http:9080"}, 'mizzen.service is unknown; did you mean "mizzen.services"?'),
        ({"mizzen.labels": ""}, "needs app=<name> in mizzen.labels"),
        ({"mizzen.services": "ratings"}, "names no port of ratings"),
        ({"mizzen.services": "ratings http:0"}, "not 'http:0'"),
        ({"mizzen.services": "ratings 9080"}, "not '9080'"),
        ({"mizzen.services": "ratings http:1:2:3"}, "not 'http:1:2:3'"),
        ({"mizzen.service-account": "../sa"}, "mizzen.service-account takes a name"),
    ],
)
def test_wrong_labels_are_told_and_leave_one_container_out(change: dict[str, str], words: str) -> None:
    items = workload()
    items[2]["Labels"] = RATINGS | change
    registry = Registry()
    assert registry.update(map(Container.from_api, items), frozenset()) == []
    assert "mesh_ratings-app_1" in registry.complaints[0]
    assert words in registry.complaints[0]


def test_a_misspelt_workload_is_told_too() -> None:
    with pytest.raises(ValueError, match=r'mizzen\.worklaod is unknown; did you mean "mizzen\.workload"'):
        read_workload({"mizzen.worklaod": "ratings-v1"})
    assert read_workload({"mizzen.role": "proxy", "org.opencontainers.image.title": "proxy"}) is None


def test_who_was_told_to_end_or_ended_is_out_until_it_starts_again() -> None:
    endings = Endings()
    endings.take(event("kill", "15"), 1.0)
    assert endings.at(1.0) == {"id-app"}
    endings.take(event("die"), 2.0)
    assert endings.at(2.0 + 2 * FORGET_SECONDS) == {"id-app"}  # lists may show it as running for a moment
    endings.take(event("start"), 500.0)
    assert endings.at(500.0) == frozenset()


@pytest.mark.parametrize("number", ["", "one", "-1", "9" * 5000])
def test_a_number_that_is_none_does_not_cost_the_others_their_place(number: str) -> None:
    labels = RATINGS | {"com.docker.compose.container-number": number}
    assert endpoints(objects(workload(labels=labels))) == ["172.18.0.5"]


@pytest.mark.parametrize("last", [{}, event("destroy")])
def test_what_a_broken_stream_of_events_left_and_who_is_gone_is_forgotten(last: dict[str, Any]) -> None:
    endings = Endings()
    endings.take(event("die"), 1.0)
    endings.take(last, 2.0)
    assert endings.at(2.0) == frozenset()


@pytest.mark.parametrize("signal", ["1", "10", "12", "28"])
def test_a_signal_that_means_something_else_ends_nothing(signal: str) -> None:
    endings = Endings()
    endings.take(event("kill", signal), 1.0)
    endings.take({}, 1.0)
    assert endings.at(1.0) == frozenset()


def test_a_signal_that_was_ignored_is_forgotten() -> None:
    endings = Endings()
    endings.take(event("kill", "15"), 1.0)
    assert endings.at(FORGET_SECONDS) == {"id-app"}  # from 1.0 on
    assert endings.at(FORGET_SECONDS + 1.0) == frozenset()
