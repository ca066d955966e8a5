"""Fetching the pages that are merged. One that cannot be had is left out, counted and logged."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from urllib.parse import urlencode

from mizzen.proxy.app.pod.http_client import AnswerError, Peer, ask
from mizzen.proxy.app.pod.metrics import AgentMetrics, Page, Source, merged
from mizzen.proxy.app.pod.targets import Target
from mizzen.proxy.app.servers import Request, Response
from mizzen.runtime.address import Address

log = logging.getLogger(__name__)

MAX_APPLICATION = 10 * 1024 * 1024
MAX_PROXY = 64 * 1024 * 1024
"""Bytes. A page that is larger would be cut in the middle of a series, so none of it is taken."""
SCRAPE_SECONDS = (10.0, 60.0)
"""Without a word of Prometheus, and at most."""
SHARE = 0.9
"""Of Prometheus' time-out, so that the others' pages still arrive in time when one hangs."""
_TIMEOUT = "x-prometheus-scrape-timeout-seconds"
_TEXT = "text/plain;version=0.0.4"


class Scraper:
    """The merged page: of the proxy at `proxy`, and of the application's `targets`."""

    def __init__(self, proxy: Address, localhost: str, targets: Sequence[Target], metrics: AgentMetrics) -> None:
        self._proxy = proxy
        self._localhost = localhost
        self._targets = targets
        self._metrics = metrics

    async def page(self, request: Request) -> Response:
        """For Prometheus; it has status 200 whatever could not be had."""
        self._metrics.scrapes += 1
        query = f"?{urlencode(request.query)}" if request.query else ""
        proxy, *found = await asyncio.gather(
            self._fetch("envoy", self._proxy, f"/stats/prometheus{query}", request),
            *(
                self._fetch("application", Address(self._localhost, target.port), target.path, request)
                for target in self._targets
            ),
        )
        page = merged(self._metrics.exposition(), proxy, [page for page in found if page is not None])
        return Response(page.text, content_type=page.content_type)

    async def _fetch(self, source: Source, address: Address, path: str, request: Request) -> Page | None:
        accept = _TEXT if source == "envoy" else text_formats(request.header("accept"))
        headers = [("Host", str(address)), ("Accept", accept)]
        headers += [(name, value) for name in ("user-agent", _TIMEOUT) if (value := request.header(name))]
        limit = MAX_PROXY if source == "envoy" else MAX_APPLICATION
        seconds = scrape_seconds(request.header(_TIMEOUT))
        try:
            async with asyncio.timeout(seconds):
                answer = await ask(Peer(address), "GET", path, headers, limit)
            if answer.status != 200:
                raise AnswerError(f"status {answer.status}")
            if answer.truncated:
                raise AnswerError(f"more than {limit} bytes")
        except TimeoutError:
            why = f"no answer within {seconds:g} s"
        except (OSError, AnswerError, ValueError) as error:
            why = str(error)
        else:
            text = answer.body.decode("utf-8", "surrogateescape")
            return Page(text, answer.headers.get("content-type", ""))
        self._metrics.failures[source] += 1
        log.warning("The metrics of http://%s%s are left out: %s", address, path, why)
        return None


def scrape_seconds(stated: str) -> float:
    """How long to wait for a page, from Prometheus' header."""
    usual, most = SCRAPE_SECONDS
    try:
        seconds = float(stated) * SHARE
    except ValueError:
        return usual
    return min(seconds, most) if seconds > 0 else usual


def text_formats(accept: str) -> str:
    """What Prometheus accepts, without its binary format, which cannot be merged by putting pages together."""
    kept = [part.strip() for part in accept.split(",") if part.strip() and "protobuf" not in part]
    return ",".join(kept) or _TEXT
