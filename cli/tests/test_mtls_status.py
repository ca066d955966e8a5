"""`mizzen mtls-status`: from Pilot's page and proxies' metrics to a verdict."""

from __future__ import annotations

from typing import Any

import pytest

from mizzen.cli.mtls import Plain, mtls_rows, plain_sources, since

TLS = (
    'istio_requests_total{reporter="destination",source_workload="page",source_workload_namespace="default",'
    'connection_security_policy="mutual_tls"} 7\n'
)
PLAIN = TLS.replace("mutual_tls", "none").replace("} 7", "} 3")
STRANGER = PLAIN.replace('"page"', '"unknown"')
SENT = PLAIN.replace("destination", "source").replace("none", "unknown")


def port(**changes: Any) -> dict[str, Any]:
    workload = {
        "workload": "reviews-v1",
        "address": "127.1.0.1:9080",
        "proxy": "reviews-v1-1.default",
        "certificate": True,
        "mode": "PERMISSIVE",
        "decidedBy": "",
        "switching": False,
        "waitsFor": [],
    }
    clients = changes.pop("clients", [])
    return {"service": "reviews", "port": 9080, "workloads": [workload | changes], "clientsInPlainText": clients}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        (TLS, {}),
        (TLS + PLAIN, {"page.default": 3}),
        (STRANGER, {"a client without a sidecar": 3}),
        (SENT, {}),
        ("envoy_cluster_upstream_rq_total 3\n", None),
        ('envoy_cluster_istio_system_rq_total{envoy_cluster_name="outbound|80||istio_a"} 3\n', None),
        ("envoy_cluster_upstream_rq_total 3\nmizzen_workers 1\n", {}),
    ],
)
def test_who_called_in_plain_text(text: str, expected: Plain | None) -> None:
    assert plain_sources(text) == expected


def test_what_came_between_two_looks() -> None:
    assert since({"a": 3, "b": 1}, {"a": 3, "b": 4, "c": 1}) == {"b": 3, "c": 1}
    assert since({"a": 9}, {"a": 2}) == {}
    assert since(None, {"a": 2}) == {"a": 2}


@pytest.mark.parametrize(
    ("page", "plain", "verdict"),
    [
        (port(), {}, "safe"),
        (port(mode="STRICT", decidedBy="PeerAuthentication default/x"), {}, "in force"),
        (port(certificate=False), {}, "not safe: reviews-v1-1.default has no certificate"),
        (port(mode="STRICT", certificate=False), {}, "in force, but reviews-v1-1.default has no certificate"),
        (port(proxy=None), {}, "not safe: no proxy at 127.1.0.1:9080 is connected to Pilot"),
        (port(proxy=None, certificate=False), {}, "without effect: reviews-v1 has no sidecar"),
        (port(mode="STRICT"), None, "in force"),
        (port(), None, "not safe: reviews-v1-1.default does not tell who calls in plain text"),
        (port(), {"page.default": 3}, "not safe: page.default called in plain text"),
        (
            port(switching=True, waitsFor=["page.default has not answered"]),
            {},
            "not safe: 127.1.0.1:9080 is being switched, page.default has not answered",
        ),
        (
            port(clients=["old has no certificate"]),
            {},
            "not safe: old has no certificate, and would call in plain text",
        ),
    ],
)
def test_whether_strict_is_safe(page: dict[str, Any], plain: Plain | None, verdict: str) -> None:
    (row,) = mtls_rows([page], {"reviews-v1-1.default": plain})
    assert row["strict"] == verdict
    assert row["strict_is_safe"] == (not row["reasons"])


def test_a_row_tells_who_decides_and_who_calls() -> None:
    (row,) = mtls_rows([port()], {"reviews-v1-1.default": {"page.default": 3}})
    assert (row["mode"], row["decided_by"], row["plaintext"]) == ("PERMISSIVE", "the default", "page.default (3)")
