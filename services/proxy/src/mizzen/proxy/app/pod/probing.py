"""The kubelet's questions, repeated to the application from inside of the Pod."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from urllib.parse import urljoin, urlsplit

from mizzen.proxy.app.pod.grpc_health import check_health
from mizzen.proxy.app.pod.http_client import Answer, AnswerError, Peer, ask, connect
from mizzen.proxy.app.pod.probers import Grpc, HttpGet, Prober
from mizzen.proxy.app.servers import Handler, Request, Response
from mizzen.runtime.address import Address

log = logging.getLogger(__name__)

MAX_BODY = 10 * 1024
"""What the kubelet shows of an answer."""
MAX_REDIRECTS = 10
_OURS = frozenset({"host", "connection", "content-length", "transfer-encoding", "expect", "upgrade"})
"""Headers that belong to a connection, and not to the question."""


class Probing:
    """Asks the application at `host`, from `source`; `own_port` is the agent's, which the kubelet asks at."""

    def __init__(self, host: str, source: str, own_port: int) -> None:
        self._host = host
        self._source = source
        self._own_port = own_port

    def handler(self, prober: Prober) -> Handler:
        """The page of one prober."""

        async def answer(request: Request) -> Response:
            try:
                async with asyncio.timeout(prober.seconds):
                    return await self._answer(prober, request)
            except TimeoutError:
                why = f"no answer within {prober.seconds:g} s"
            except (OSError, AnswerError, ValueError) as error:
                why = str(error)
            log.warning("%s: the application's port %d: %s", request.path, prober.action.port, why)
            return Response(f"{why}\n", 500)

        return answer

    async def _answer(self, prober: Prober, request: Request) -> Response:
        action = prober.action
        if isinstance(action, HttpGet):
            return await self._get(action, request)
        peer = Peer(Address(self._host, action.port), source=self._source)
        if isinstance(action, Grpc):
            why = await check_health(peer, action.service, request.header("user-agent"), prober.seconds)
            if why:
                raise AnswerError(why)
        else:
            (await connect(peer))[1].close()
        return Response("")

    async def _get(self, action: HttpGet, request: Request) -> Response:
        """As the kubelet does: redirects are followed on the same host, and one to another host is success."""
        start = f"{'https' if action.tls else 'http'}://{Address(self._host, action.port)}"
        url = start + action.path
        headers = tuple(item for item in request.headers if item[0] not in _OURS)
        host = _host(request.header("host"), action.port, self._own_port)
        for _ in range(MAX_REDIRECTS):
            answer = await self._ask(url, (("Host", host), *headers))
            if not 300 <= answer.status < 400:
                return _response(answer)
            location = answer.headers.get("location")
            if location is None:
                return Response("")
            url = urljoin(url, location)
            if urlsplit(url).hostname != urlsplit(start).hostname:
                return Response("")
            host = urlsplit(url).netloc
        raise AnswerError(f"stopped after {MAX_REDIRECTS} redirects")

    async def _ask(self, url: str, headers: Iterable[tuple[str, str]]) -> Answer:
        parts = urlsplit(url)
        tls = parts.scheme == "https"
        address = Address(self._host, parts.port or (443 if tls else 80))
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return await ask(Peer(address, tls, self._source), "GET", target, headers, MAX_BODY)


def _host(asked: str, port: int, own_port: int) -> str:
    """The Host that was asked for, with the application's port in place of the agent's."""
    host, _, stated = asked.rpartition(":")
    return f"{host}:{port}" if host and stated == str(own_port) else asked


def _response(answer: Answer) -> Response:
    text = answer.body.decode("utf-8", "surrogateescape")
    return Response(text, answer.status, answer.headers.get("content-type", "text/plain"))
