"""The images as they are meant to be run: no writable file system, no capability, no root."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.containers import LOCKED, Engine

from mizzen.injector.certificate.issue import sign_by_itself

SERVICES = ("pilot", "mixer", "proxy", "gateway", "demo")


@pytest.mark.parametrize("target", [*SERVICES, "injector", "proxy-init"])
def test_every_image_tells_its_flags(engine: Engine, target: str) -> None:
    assert "--help" in engine.run(target, "--help")


@pytest.mark.parametrize("target", [*SERVICES, "injector"])
def test_nobody_is_root(engine: Engine, target: str) -> None:
    uid = engine.run(target, "-u", options=(*LOCKED, "--entrypoint", "id")).strip()
    assert uid == {"proxy": "1337", "gateway": "1337"}.get(target, uid)
    assert uid != "0"


@pytest.mark.parametrize("target", [*SERVICES, "injector", "proxy-init"])
def test_labels_say_what_an_image_is(engine: Engine, target: str) -> None:
    labels = engine.settings(target)["Labels"]
    for name in ("title", "version", "revision", "licenses"):
        assert labels[f"org.opencontainers.image.{name}"]


def test_control_plane_and_data_plane_find_each_other(engine: Engine) -> None:
    pilot = engine.start("pilot")
    engine.wait_healthy(pilot)
    for target in ("mixer", "proxy", "gateway"):
        engine.wait_healthy(engine.start(target))
    assert "connected from" in engine.logs(pilot)


@pytest.mark.parametrize("service", ["productpage", "details", "reviews", "ratings"])
def test_every_service_of_the_demo_answers(engine: Engine, service: str) -> None:
    engine.wait_healthy(engine.start("demo", service))


def test_a_container_that_does_not_answer_is_not_healthy(engine: Engine) -> None:
    name = engine.start(
        "demo",
        "details",
        options=(
            *LOCKED,
            "--env",
            "PORT=9081",
            "--health-interval",
            "200ms",
            "--health-retries",
            "1",
            "--health-start-period",
            "0s",
        ),
    )
    with pytest.raises(AssertionError, match=r"is unhealthy|is starting"):
        engine.wait_healthy(name, seconds=5)


@pytest.mark.parametrize("target", SERVICES)
def test_sigterm_ends_it_in_order(engine: Engine, target: str) -> None:
    if target in {"proxy", "gateway"}:
        engine.start("pilot")
    name = engine.start(target, *(["ratings"] if target == "demo" else []))
    engine.wait_healthy(name)
    engine.ask("stop", "--time", "20", name)
    assert engine.ask("inspect", "--format", "{{.State.ExitCode}}", name).strip() == "0"


ASK = """
import json, ssl, urllib.request
pod = {"metadata": {"name": "web"}, "spec": {"containers": [{"name": "web", "image": "web:1"}]}}
review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {"uid": "1", "object": pod}}
trusting = ssl.create_default_context(cafile="/etc/mizzen/tls/ca.crt")
trusting.check_hostname = False
asked = urllib.request.Request("https://127.0.0.1:15017/inject", json.dumps(review).encode())
asked.add_header("Content-Type", "application/json")
print(urllib.request.urlopen(asked, context=trusting, timeout=10).read().decode())
"""


def test_the_injector_injects_over_tls_and_ends_in_order(engine: Engine, tmp_path: Path) -> None:
    issued = sign_by_itself(["injector"], datetime.now(UTC), timedelta(days=1))
    contents = {"tls.crt": issued.pair.chain, "tls.key": issued.pair.key, "ca.crt": issued.roots[0]}
    tmp_path.chmod(0o755)
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    name = engine.start("injector", options=(*LOCKED, "--volume", f"{tmp_path}:/etc/mizzen/tls:ro"))
    engine.wait_healthy(name)
    answer = json.loads(engine.ask("exec", name, "python3", "-c", ASK))
    assert answer["response"]["patchType"] == "JSONPatch"
    engine.ask("stop", "--time", "20", name)
    assert engine.ask("inspect", "--format", "{{.State.ExitCode}}", name).strip() == "0"


def test_the_proxy_runs_compiled(engine: Engine) -> None:
    python = (*LOCKED, "--entrypoint", "python3")
    where = engine.run("proxy", "-c", "import mizzen.proxy.io.forward as m; print(m.__file__)", options=python)
    assert where.strip().endswith(".so")


def test_proxy_init_captures_in_the_namespace_that_it_is_given(engine: Engine) -> None:
    may = (*LOCKED[:3], "--cap-add", "NET_ADMIN", "--cap-add", "NET_RAW", "--tmpfs", "/run", "--entrypoint", "sh")
    rules = engine.run("proxy-init", "-ec", "proxy-init -u 1337 -b '*' >&2; iptables-save -t nat", options=may)
    assert "--to-ports 15006" in rules
    assert "--uid-owner 1337" in rules
