"""The merged page, as text."""

from __future__ import annotations

import pytest

from mizzen.proxy.app.pod.metrics import TEXT, AgentMetrics, Page, merged, negotiated
from mizzen.proxy.app.pod.scrape import scrape_seconds, text_formats

OPEN = "application/openmetrics-text; version=1.0.0; charset=utf-8"
OLD_OPEN = "application/openmetrics-text; version=0.0.1; charset=utf-8"


@pytest.mark.parametrize(
    ("proxy", "applications", "text", "content_type"),
    [
        (None, [], "agent 1\n", TEXT),
        ("envoy 2\n", [], "agent 1\nenvoy 2\n", TEXT),
        ("envoy 2", [("app 3", TEXT)], "agent 1\nenvoy 2\napp 3\n", TEXT),
        ("envoy 2\n", [("app 3\n# EOF\n", OPEN)], "agent 1\nenvoy 2\napp 3\n# EOF\n", OPEN),
        (None, [("app 3\n# EOF", OLD_OPEN)], "agent 1\napp 3\n# EOF\n", OLD_OPEN),
        (None, [("a 1\n# EOF\n", OPEN), ("b 2\n# EOF\n", OPEN)], "agent 1\na 1\nb 2\n# EOF\n", OPEN),
        (None, [("a 1\n# EOF\n", OPEN), ("b 2\n", TEXT)], "agent 1\na 1\nb 2\n", TEXT),
        (None, [("# EOF\n# HELP x # EOF\nx 1\n", TEXT)], "agent 1\n# EOF\n# HELP x # EOF\nx 1\n", TEXT),
    ],
)
def test_merged(proxy: str | None, applications: list[tuple[str, str]], text: str, content_type: str) -> None:
    pages = [Page(*application) for application in applications]
    assert merged("agent 1\n", Page(proxy, TEXT) if proxy else None, pages) == Page(text, content_type)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("text/plain; version=0.0.4", TEXT),
        ("", TEXT),
        ("nonsense", TEXT),
        ("application/openmetrics-text", OLD_OPEN),
        ('application/OpenMetrics-text; charset=utf-8; version="1.0.0"', OPEN),
        ("application/openmetrics-text; version=0.0.1", OLD_OPEN),
        ("application/openmetrics-text; version=7", TEXT),
        ("application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily", TEXT),
    ],
)
def test_formats(given: str, expected: str) -> None:
    assert negotiated(given) == expected


@pytest.mark.parametrize(
    ("stated", "expected"),
    [("", 10.0), ("5", 4.5), ("1000", 60.0), ("0", 10.0), ("-1", 10.0), ("soon", 10.0), ("nan", 10.0), ("inf", 60.0)],
)
def test_how_long_a_page_may_take(stated: str, expected: float) -> None:
    assert scrape_seconds(stated) == expected


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", "text/plain;version=0.0.4"),
        ("application/vnd.google.protobuf;q=0.6", "text/plain;version=0.0.4"),
        (
            "application/vnd.google.protobuf, application/openmetrics-text;q=0.5,*/*",
            "application/openmetrics-text;q=0.5,*/*",
        ),
    ],
)
def test_binary_metrics_are_not_asked_for(accept: str, expected: str) -> None:
    assert text_formats(accept) == expected


def test_what_the_agent_says_of_itself() -> None:
    metrics = AgentMetrics(1000.5)
    assert "startup" not in metrics.exposition()
    metrics.scrapes, metrics.failures["application"], metrics.ready_after = 3, 2, 1.25
    samples = [line for line in metrics.exposition().splitlines() if not line.startswith("#")]
    assert samples == [
        "istio_agent_process_start_time_seconds 1000.500",
        'istio_agent_scrape_failures_total{type="envoy"} 0',
        'istio_agent_scrape_failures_total{type="application"} 2',
        "istio_agent_scrapes_total 3",
        "istio_agent_startup_duration_seconds 1.250",
    ]
