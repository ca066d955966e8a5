"""What injection writes into the environment for port 15020: probers, scrape targets."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mizzen.proxy.app.pod.probers import Grpc, HttpGet, Prober, TcpSocket, read_probers
from mizzen.proxy.app.pod.targets import RESERVED_PORTS, Target, read_targets

LIVE = "/app-health/app/livez"


@pytest.mark.parametrize(
    ("path", "entry", "expected"),
    [
        (LIVE, {"httpGet": {"path": "/ok", "port": 80}}, Prober(HttpGet(80, "/ok", False), 1.0)),
        (LIVE, {"httpGet": {"port": 80, "path": "ok?a=b"}}, Prober(HttpGet(80, "/ok?a=b", False), 1.0)),
        (LIVE, {"httpGet": {"port": 443, "scheme": "HTTPS"}}, Prober(HttpGet(443, "/", True), 1.0)),
        (LIVE, {"tcpSocket": {"port": 6379}, "timeoutSeconds": 7}, Prober(TcpSocket(6379), 7.0)),
        ("/app-health/app/readyz", {"grpc": {"port": 9081}}, Prober(Grpc(9081, ""), 1.0)),
        ("/app-health/app/startupz", {"grpc": {"port": 9081, "service": "s"}}, Prober(Grpc(9081, "s"), 1.0)),
        ("/app-lifecycle/app/prestopz", {"httpGet": {"port": 80}}, Prober(HttpGet(80, "/", False), 600.0)),
        ("/app-lifecycle/app/poststartz", {"tcpSocket": {"port": 80}}, Prober(TcpSocket(80), 600.0)),
    ],
)
def test_probers(path: str, entry: dict[str, Any], expected: Prober) -> None:
    assert read_probers(json.dumps({path: entry})) == {path: expected}


def test_no_probers() -> None:
    assert read_probers("") == {}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "ISTIO_KUBE_APP_PROBERS is not JSON"),
        ("[]", "must be a JSON object"),
        ('{"/app-health/app/alive": {"tcpSocket": {"port": 1}}}', "'/app-health/app/alive' is not /app-health/"),
        ('{"/app-health/a/b/livez": {"tcpSocket": {"port": 1}}}', "is not /app-health/"),
        (f'{{"{LIVE}": {{}}}}', "must have one of httpGet, tcpSocket, grpc"),
        (f'{{"{LIVE}": []}}', "must have one of"),
        (f'{{"{LIVE}": {{"tcpSocket": {{"port": 1}}, "grpc": {{"port": 1}}}}}}', "must have one of"),
        (f'{{"{LIVE}": {{"tcpSocket": {{"port": "web"}}}}}}', "port must be a number from 1 to 65535, not 'web'"),
        (f'{{"{LIVE}": {{"httpGet": {{"port": 70000}}}}}}', "port must be a number"),
        (f'{{"{LIVE}": {{"httpGet": {{"port": 80, "scheme": "FTP"}}}}}}', "scheme must be HTTP or HTTPS, not 'FTP'"),
        (f'{{"{LIVE}": {{"tcpSocket": {{"port": 1}}, "timeoutSeconds": -1}}}}', "timeoutSeconds must be"),
    ],
)
def test_probers_that_make_no_sense(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        read_probers(text)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"scrape": "true", "path": "/m", "port": "9090"}, (Target(9090, "/m"),)),
        ({"scrape": "", "path": "", "port": ""}, (Target(80, "/metrics"),)),
        ({"path": "m", "port": 9090}, (Target(9090, "/m"),)),
        ({"scrape": "false", "port": "9090"}, ()),
        (
            {"port": "1", "targets": [{"port": "1", "path": "/a"}, {"port": "2"}]},
            (Target(1, "/a"), Target(2, "/metrics")),
        ),
    ],
)
def test_targets(given: dict[str, Any], expected: tuple[Target, ...]) -> None:
    assert read_targets(json.dumps(given), 15020) == expected


def test_no_targets() -> None:
    assert read_targets("", 15020) == ()


@pytest.mark.parametrize("port", sorted(RESERVED_PORTS | {8888}))
def test_the_proxy_is_not_scraped_as_an_application(port: int) -> None:
    with pytest.raises(ValueError, match=f"port {port} belongs to the proxy"):
        read_targets(json.dumps({"port": str(port)}), 8888)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "ISTIO_PROMETHEUS_ANNOTATIONS is not JSON"),
        ("[]", "must be a JSON object"),
        ('{"targets": ["9090"]}', "targets must be a list of objects"),
        ('{"port": "web"}', "port must be a number from 1 to 65535, not 'web'"),
        ('{"port": "0"}', "port must be a number"),
    ],
)
def test_targets_that_make_no_sense(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        read_targets(text, 15020)
