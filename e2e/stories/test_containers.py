"""What only containers have: capture, a network of their own, and an end that Docker sees."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest
from support.compose import NETWORK, ComposeMesh, docker
from support.load import under_load
from support.mesh import Mesh, eventually, get

pytestmark = pytest.mark.runtime("compose", reason="processes of one user are not captured")

CLUSTER = "outbound|9080||ratings.default.svc.cluster.local"
CALL = """
import json, sys, urllib.request
with urllib.request.urlopen(urllib.request.Request(sys.argv[1], headers={"x-request-id": sys.argv[2]})) as answer:
    print(json.dumps({name.lower(): value for name, value in answer.headers.items()}))
"""


@pytest.fixture
def containers(mesh: Mesh) -> ComposeMesh:
    return cast("ComposeMesh", mesh)


def inspect(mesh: ComposeMesh, service: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(docker("inspect", mesh.container(service)))[0]
    return found


def test_a_call_crosses_both_proxies_and_the_application_knows_nothing(containers: ComposeMesh) -> None:
    name = "e2e-crosses-both"
    call = ("curl", "-si", "-H", f"x-request-id: {name}", "http://reviews:9080/reviews/0")
    head = containers.exec(containers.app("productpage-v1"), *call).replace("\r", "").partition("\n\n")[0]
    answer = {key.lower(): value.strip() for key, _, value in (line.partition(":") for line in head.splitlines())}
    assert answer["server"] == "envoy"  # what a sidecar puts on answers to its own application
    assert answer["via"] == "1.1 mizzen-inbound, 1.1 mizzen-outbound"
    served = answer["x-mizzen-workload"]
    eventually(lambda: logged(containers, "productpage-v1", name, "outbound|9080||reviews"), "the caller's proxy's log")
    eventually(lambda: logged(containers, served, name, "inbound|9080||"), "the callee's proxy's log")
    environ = containers.exec(containers.app("productpage-v1"), "env")
    assert "proxy" not in environ.lower()


def logged(mesh: ComposeMesh, workload: str, request: str, cluster: str) -> bool:
    return any(request in line and cluster in line for line in mesh.log(mesh.sidecar(workload)))


def test_a_caller_without_a_proxy_meets_that_of_the_callee(containers: ComposeMesh) -> None:
    image = inspect(containers, containers.app("reviews-v1"))["Config"]["Image"]
    call = (image, "-c", CALL, "http://reviews:9080/reviews/0", "e2e-stranger")
    answer = json.loads(docker("run", "--rm", "--network", NETWORK, "--entrypoint", "python3", *call))
    assert answer["server"] == "istio-envoy"
    assert answer["via"] == "1.1 mizzen-inbound"


@contextmanager
def another_tenant(mesh: ComposeMesh) -> Iterator[None]:
    """Somebody who takes the address that is free now, so that whoever comes back gets another one."""
    image = inspect(mesh, "pilot")["Config"]["Image"]
    command = ("--entrypoint", "sleep", image, "600")
    name = docker("run", "--detach", "--network", NETWORK, *command).strip()
    try:
        yield
    finally:
        docker("rm", "--force", name)


def endpoints(mesh: ComposeMesh) -> set[str]:
    rows = mesh.table("proxy-config", "endpoints", "reviews-v2")
    return {row["endpoint"] for row in rows if row["cluster"] == CLUSTER}


def test_ratings_is_killed_and_comes_back_with_another_address(containers: ComposeMesh) -> None:
    before = endpoints(containers)
    assert len(before) == 1
    with under_load("/productpage") as load:
        docker("rm", "--force", *map(containers.container, containers.parts("ratings-v1")))
        eventually(lambda: endpoints(containers) == set(), "no proxy sends anything to the old address")
        with another_tenant(containers):
            seen = load.answered
            eventually(lambda: load.answered > seen + 50, "fifty pages without stars")
            containers.start("ratings-v1")
            eventually(lambda: len(endpoints(containers)) == 1, "ratings at its new address", seconds=60)
        seen = load.answered
        eventually(lambda: load.answered > seen + 50, "fifty pages with it")
    assert load.failed == []
    assert endpoints(containers) != before
    eventually(has_stars, "stars again")


def has_stars() -> bool:
    reviews = get("/api/v1/products/0/reviews").json()["reviews"]
    return any("stars" in review.get("rating", {}) for review in reviews)


def test_an_application_starts_when_its_proxy_is_ready(containers: ComposeMesh) -> None:
    containers.stop("details-v1")
    containers.start("details-v1")
    checks = inspect(containers, containers.sidecar("details-v1"))["State"]["Health"]["Log"]
    ready = next(check["End"] for check in checks if check["ExitCode"] == 0)
    started = inspect(containers, containers.app("details-v1"))["State"]["StartedAt"]
    assert moment(ready) < moment(started)
    eventually(lambda: get("/api/v1/products/0").status == 200, "details answering again", seconds=30)


def moment(text: str) -> float:
    """Seconds of the epoch from Docker's two ways of writing a time, both to the nanosecond."""
    done = subprocess.run(["date", "--date", text, "+%s.%N"], capture_output=True, text=True, timeout=10, check=True)
    return float(done.stdout)


@pytest.mark.parametrize("part", ["app", "proxy"])
def test_nothing_of_a_workload_may_become_root_or_change_its_image(containers: ComposeMesh, part: str) -> None:
    status = containers.exec(f"reviews-v1-{part}", "cat", "/proc/1/status")
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert "0" not in fields["Uid"].split()
    assert int(fields["CapBnd"], 16) == 0
    assert fields["NoNewPrivs"] == "1"
    assert inspect(containers, f"reviews-v1-{part}")["HostConfig"]["ReadonlyRootfs"] is True


def test_who_wrote_the_rules_keeps_no_capability(containers: ComposeMesh) -> None:
    status = containers.exec("reviews-v1", "cat", "/proc/1/status")
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert set(fields["Uid"].split()) == {"65534"}
    assert int(fields["CapEff"], 16) == 0


def things() -> dict[str, list[str]]:
    """What Docker and the kernel hold of the project."""
    ours = ("--filter", "label=com.docker.compose.project=mizzen")
    rules = subprocess.run(["iptables-save"], capture_output=True, text=True, timeout=10, check=False).stdout
    return {
        "containers": docker("ps", "--all", "--quiet", *ours).split(),
        "networks": docker("network", "ls", "--quiet", *ours).split(),
        "volumes": docker("volume", "ls", "--quiet", *ours).split(),
        "rules": [line for line in rules.splitlines() if "--dport 8080" in line or "ISTIO" in line],
    }


def test_down_leaves_nothing_and_up_works_again(containers: ComposeMesh) -> None:
    assert things()["containers"]
    containers.ok("down")
    try:
        assert things() == {"containers": [], "networks": [], "volumes": [], "rules": []}
    finally:
        containers.up()
    assert get("/productpage").status == 200
