"""Policy and telemetry as Istio 1.0's tasks tell them: the rules are in demo/bookinfo/policy, in its own syntax."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from support.fluentd import Fluentd
from support.load import under_load
from support.mesh import REVIEWS, Mesh, eventually, get, in_force
from support.policy import PAGE, POLICY, has_stars, limits_users, of_user, policy, status


def test_reports_never_hold_traffic_up(mesh: Mesh) -> None:
    """The first story, because proxies go on asking for a moment after the last rule of another one."""
    killed = mesh.incarnation("mixer")
    with under_load(PAGE) as load:
        mesh.kill("mixer")
        seen = load.answered
        eventually(lambda: load.answered > seen + 100, "a hundred requests without Mixer")
        again = "Mixer started again"
        eventually(lambda: mesh.incarnation("mixer") not in ("", killed) and mesh.ready, again, seconds=30)
    assert load.failed == []


def test_a_denier_keeps_reviews_v3_from_ratings(mesh: Mesh) -> None:
    with mesh.applied("virtual-service-reviews-v3.yaml"):
        eventually(lambda: "red" in get(REVIEWS).body.decode(), "red stars")
        with in_force(mesh, policy("deny-reviews-v3.yaml")):
            eventually(lambda: not has_stars(), "a page without stars")
            assert status() == 200
            eventually(lambda: any(" 403 " in line for line in mesh.log(mesh.sidecar("ratings-v1"))), "403s in the log")
            asked = "destination.labels=app:ratings,source.labels=app:reviews;version:v3"
            explained = mesh.mizzen("mixer", "explain", "-a", asked)
            assert explained.status == 1  # refused
            assert "deny-reviews-v3.rule.default matches" in explained.out
            assert "Not allowed" in explained.out
        eventually(has_stars, "stars again")


def test_a_rule_goes_by_who_proves_to_be_whom(mesh: Mesh) -> None:
    def stranger() -> int:
        return mesh.ask("details-v1", 9080, "/details/0")[0]

    eventually(lambda: stranger() == 200, "plain text taken, whatever the story before asked for")
    with in_force(mesh, policy("deny-strangers.yaml")):
        eventually(lambda: stranger() == 403, "strangers refused")
        details = get("/api/v1/products/0")
        assert (details.status, "author" in details.json()) == (200, True)
    eventually(lambda: stranger() == 200, "strangers let in")


def test_a_list_of_addresses(mesh: Mesh) -> None:
    with in_force(mesh, policy("whitelist-ip.yaml")):
        eventually(lambda: status() in (403, 404), "strangers refused")
        assert "is not whitelisted" in get(PAGE).body.decode()
        mesh.ok("apply", "-f", "-", stdin=policy("whitelist-ip.yaml").replace("10.57.0.0/16", mesh.visitors))
        eventually(lambda: status() == 200, "our own network let in")
    eventually(lambda: status() == 200, "everyone let in")


def test_a_list_by_header(mesh: Mesh) -> None:
    with in_force(mesh, policy("blacklist-header.yaml")):
        eventually(lambda: status({"x-team": "Intruders"}) == 403, "intruders refused")
        assert "is blacklisted" in get(PAGE, {"x-team": "intruders"}).body.decode()
        assert status({"x-team": "friends"}) == 200
        assert status() == 200
    eventually(lambda: status({"x-team": "intruders"}) == 200, "intruders let in")


def granted(user: str, seconds: float = 3.0) -> float:
    """Requests a second that get through when a user sends as many as he can."""
    start = time.monotonic()
    statuses = []
    while time.monotonic() - start < seconds:
        statuses.append(of_user(user).status)
    assert set(statuses) <= {200, 429}
    return statuses.count(200) / seconds


def test_a_quota_for_each_user(mesh: Mesh) -> None:
    with in_force(mesh, policy("productpage-quota.yaml")):
        eventually(lambda: limits_users("first"), "too many requests refused")
        refusal = b"Quota is exhausted for: requestcount"
        eventually(lambda: refusal in of_user("first").body, "a refusal that says why")
        assert 3 <= granted("second") <= 12  # 5, more or less what a window boundary and prefetching let through
    eventually(lambda: not limits_users("first"), "no limit any more")


@pytest.mark.redis
def test_a_quota_in_redis(mesh: Mesh) -> None:
    with mesh.redis() as address:
        yaml = policy("productpage-quota-redis.yaml").replace("127.0.0.1:6379", address)
        with in_force(mesh, yaml):
            eventually(lambda: limits_users("first"), "too many requests refused")
            assert 3 <= granted("second") <= 12


def test_a_log_on_mixers_output(mesh: Mesh) -> None:
    with in_force(mesh, policy("new-log.yaml")):

        def logged() -> bool:
            get(PAGE)
            lines = [line for line in mesh.log("mixer") if "newlog.logentry.istio-system" in line]
            return any(json.loads(line)["destination"] == "productpage" for line in lines)

        eventually(logged, "a line about productpage")


@pytest.mark.runtime("local", "compose", reason="nothing leads from Pods to the machine of the tests")
def test_a_log_to_fluentd(mesh: Mesh) -> None:
    with Fluentd(mesh.outside) as fluentd:
        yaml = policy("new-log-fluentd.yaml").replace("127.0.0.1:24224", fluentd.address)
        with in_force(mesh, yaml):

            def received() -> bool:
                get(PAGE)
                return any(record["destination"] == "productpage" for record in fluentd.records)

            eventually(received, "a record about productpage")
    assert {"severity", "source", "responseCode", "latency"} <= fluentd.records[0].keys()


@pytest.mark.runtime("local", "compose", reason="the chart mounts no folder of adapters")
def test_an_adapter_of_ones_own_writes_an_audit_file(mesh: Mesh) -> None:
    folders = mesh.adapters()
    (folders.code / "audit.py").write_text((POLICY / "audit.py").read_text())
    yaml = policy("audit.yaml").replace("/etc/mizzen/adapters", folders.code_in_mixer)
    with in_force(mesh, yaml.replace("/var/log/mizzen", folders.output_in_mixer)):

        def audited() -> bool:
            get(PAGE)
            lines = folders.read("audit.jsonl").splitlines()
            return any(json.loads(line)["to"].startswith("reviews.") for line in lines)

        eventually(audited, "a call of reviews in the audit file")


@contextmanager
def failing_open(mesh: Mesh) -> Iterator[None]:
    """Requests pass while Mixer does not answer."""
    config = mesh.home / "mesh.yaml"
    before = config.read_text()
    config.write_text(f"{before}policyCheckFailOpen: true\n")
    try:
        yield
    finally:
        config.write_text(before)


@contextmanager
def mixer_away(mesh: Mesh) -> Iterator[None]:
    """Mixer does not answer inside the block, and is a new one after it.

    It is stopped first, because one that is killed is back at once.
    """
    pid = mesh.process("mixer")
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGKILL)


@pytest.mark.runtime("local", "compose", reason="the mesh config is a value of the chart, not a file of the home")
def test_mixer_goes_and_comes_back(mesh: Mesh) -> None:
    """Who fails closed answers that Mixer is away, who fails open serves; checks resume with Mixer."""
    with in_force(mesh, policy("blacklist-header.yaml")):
        eventually(lambda: status({"x-team": "intruders"}) == 403, "intruders refused")
        with mixer_away(mesh):
            refused = get(PAGE, {"x-team": "nobody has asked this"})
            assert refused.status in (503, 504)
            if mesh.engine == "python":
                assert "mixer" in refused.headers["x-mesh-reason"].lower()
        eventually(lambda: status({"x-team": "a friend"}) == 200, "friends let in by Mixer that is back")
        with failing_open(mesh), mixer_away(mesh):
            eventually(lambda: status({"x-team": "nor this"}) == 200, "strangers let in without Mixer", seconds=40)
        eventually(lambda: status({"x-team": "intruders"}) == 403, "intruders refused by Mixer that is back")
        eventually(lambda: status({"x-team": "a new friend"}) == 200, "others let in")
