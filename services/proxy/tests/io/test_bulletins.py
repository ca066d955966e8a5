"""Istio's security bulletins about what clients and endpoints may say to a proxy.

Those about ways around a policy are tried in e2e/simulation, on a stock Envoy too.
"""

from __future__ import annotations

import pytest
from playbook import client_gets, client_is, client_sends, connects, endpoint_gets, endpoint_sends, mesh, play

from mizzen.proxy.base.flags import UPSTREAM_CODEC_ERROR

ADDRESS = "10.0.0.1:80"
EDGE = mesh(http={"use_remote_address": True})


def request(*headers: bytes) -> bytes:
    return b"\r\n".join((b"GET / HTTP/1.1", b"Host: shop", *headers, b"", b""))


def test_istio_security_2020_002_attributes_from_outside_are_not_believed() -> None:
    """CVE-2020-8843: who sent x-istio-attributes to a gateway told Mixer who it was."""
    play(
        EDGE,
        client_sends(request(b"X-Istio-Attributes: Zm9yZ2Vk")),
        connects(ADDRESS),
        endpoint_gets("GET / HTTP/1.1", {"x-istio-attributes": None}),
    )


@pytest.mark.parametrize(
    "header",
    [
        "x-envoy-original-path",
        "x-envoy-retry-on",
        "x-envoy-internal",
        "x-envoy-decorator-operation",
        "X-Envoy-Max-Retries",
    ],
)
def test_istio_security_2024_006_headers_of_envoy_from_outside_are_taken_out(header: str) -> None:
    """CVE-2024-45806."""
    play(
        EDGE,
        client_sends(request(f"{header}: 5xx".encode())),
        connects(ADDRESS),
        endpoint_gets("GET / HTTP/1.1", {header.lower(): None}),
    )


def test_istio_security_2024_004_a_switch_of_protocols_that_nobody_asked_for() -> None:
    """CVE-2024-23326: what follows would be taken for the next response, or for a tunnel."""
    play(
        mesh(),
        client_sends(request()),
        connects(ADDRESS),
        endpoint_sends(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
        client_gets("HTTP/1.1 502 Bad Gateway", body=UPSTREAM_CODEC_ERROR.body),
        client_is(closed=False),
    )


@pytest.mark.parametrize("value", [b"a\0b", b"a\rb", b"a\nX-Admin: 1", b"a\x7f\x01"])
def test_istio_security_2023_001_values_that_would_break_their_line(value: bytes) -> None:
    """CVE-2023-27493 and -27491."""
    play(
        mesh(),
        client_sends(request(b"X-A: " + value)),
        client_gets("HTTP/1.1 400 Bad Request", body=b"Bad Request"),
        client_is(closed=True),
    )
