"""One page of several: the agent's own metrics, the proxy's, the application's."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

Source = Literal["envoy", "application"]
SOURCES: tuple[Source, ...] = ("envoy", "application")

TEXT = "text/plain; version=0.0.4; charset=utf-8"
_OPEN = "application/openmetrics-text"
_OPEN_VERSIONS = {"1.0.0": "1.0.0", "0.0.1": "0.0.1", "": "0.0.1"}
_END = re.compile(r"^# EOF[ \t]*\r?\n?\Z", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Page:
    """What one source showed."""

    text: str
    content_type: str


@dataclass(slots=True)
class AgentMetrics:
    """What the agent counts about itself."""

    started: float
    """Unix time."""
    scrapes: int = 0
    failures: dict[Source, int] = field(default_factory=lambda: dict.fromkeys(SOURCES, 0))
    ready_after: float | None = None
    """Seconds from the start to the first time that the proxy was ready."""

    def exposition(self) -> str:
        """Under Istio's names."""
        lines = [
            "# TYPE istio_agent_process_start_time_seconds gauge",
            f"istio_agent_process_start_time_seconds {self.started:.3f}",
            "# TYPE istio_agent_scrape_failures_total counter",
            *(f'istio_agent_scrape_failures_total{{type="{name}"}} {count}' for name, count in self.failures.items()),
            "# TYPE istio_agent_scrapes_total counter",
            f"istio_agent_scrapes_total {self.scrapes}",
        ]
        if self.ready_after is not None:
            lines += [
                "# TYPE istio_agent_startup_duration_seconds gauge",
                f"istio_agent_startup_duration_seconds {self.ready_after:.3f}",
            ]
        return "".join(f"{line}\n" for line in lines)


def merged(agent: str, proxy: Page | None, applications: Sequence[Page]) -> Page:
    """One after the other; the application's format is that of the whole.

    OpenMetrics ends with a line that says so: it comes last, once, and not at all in Prometheus' older format.
    """
    content_type = _common_format([page.content_type for page in applications])
    pages = [agent, *([proxy.text] if proxy else []), *(page.text for page in applications)]
    text = "".join(_closed(_END.sub("", page)) for page in pages)
    return Page(text + ("# EOF\n" if content_type != TEXT else ""), content_type)


def _closed(page: str) -> str:
    return page if not page or page.endswith("\n") else f"{page}\n"


def _common_format(content_types: Sequence[str]) -> str:
    formats = {negotiated(content_type) for content_type in content_types}
    return formats.pop() if len(formats) == 1 else TEXT


def negotiated(content_type: str) -> str:
    """The format that a page in `content_type` has, as a content type that Prometheus knows."""
    media_type, *rest = (part.strip().lower() for part in content_type.split(";"))
    parameters = {name.strip(): value.strip(' "') for name, _, value in (part.partition("=") for part in rest)}
    version = _OPEN_VERSIONS.get(parameters.get("version", ""))
    if media_type != _OPEN or version is None:
        return TEXT
    return f"{_OPEN}; version={version}; charset=utf-8"
