"""Reading the node of a first request."""

import pytest

from mizzen.pilot.snapshot.proxy import Proxy

NODE = "sidecar~10.0.0.1~web-1.shop~shop.svc.cluster.local"


def test_defaults() -> None:
    proxy = Proxy.from_node(NODE, {})
    assert (proxy.type, proxy.addresses, proxy.name, proxy.namespace) == ("sidecar", ("10.0.0.1",), "web-1", "shop")
    assert proxy.interception == "REDIRECT"
    assert proxy.captures
    assert proxy.dns_domain == "cluster.local"


def test_metadata() -> None:
    proxy = Proxy.from_node(
        NODE,
        {
            "NAMESPACE": "other", "INSTANCE_IPS": "10.0.0.2, fd00::1", "INTERCEPTION_MODE": "NONE",
            "HTTP_PROXY_PORT": "15007", "BIND_ADDRESS": "127.1.0.1", "APP_ADDRESS": "127.2.0.1",
            "LABELS": {"app": "web"}, "STATIC_LABELS": {"app": "no", "x": "y"}, "IDLE_TIMEOUT": "1.5s",
            "HTTP10": "1", "GENERATOR": "grpc", "MIZZEN_PROXY": "1",
        },
    )  # fmt: skip
    assert proxy.namespace == "other"
    assert proxy.addresses == ("10.0.0.2", "fd00::1")
    assert not proxy.captures
    assert (proxy.http_proxy_port, proxy.bind_address, proxy.app_address) == (15007, "127.1.0.1", "127.2.0.1")
    assert proxy.labels == {("app", "web"), ("x", "y")}
    assert (proxy.idle_timeout, proxy.accept_http_10, proxy.generator, proxy.mizzen) == (1.5, True, "grpc", True)


@pytest.mark.parametrize(
    ("node", "metadata", "expected"),
    [
        ("sidecar~10.0.0.1~web.shop", {}, "must be <type>~<ip>~<name>.<namespace>~<domain>"),
        ("ztunnel~10.0.0.1~a.b~c", {}, "'ztunnel' is not sidecar or router"),
        ("sidecar~nowhere~a.b~c", {}, "'nowhere' is not an IP address"),
        (NODE, {"INTERCEPTION_MODE": "none"}, "INTERCEPTION_MODE must be"),
        (NODE, {"HTTP_PROXY_PORT": "70000"}, "HTTP_PROXY_PORT must be a port number"),
        (NODE, {"IDLE_TIMEOUT": "soon"}, "IDLE_TIMEOUT must be a duration"),
    ],
)
def test_refusals(node: str, metadata: dict[str, str], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        Proxy.from_node(node, metadata)
