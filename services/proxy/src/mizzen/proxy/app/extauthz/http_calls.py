"""Questions over HTTP/1.1: the request's method, path and some of its headers; 200 says yes, 5xx that it cannot say.

An authorizer of the mesh is asked in mutual TLS, as its cluster says, like every other service.
"""

from __future__ import annotations

from typing import Final

from mizzen.proxy.app.extauthz.contract import PARTIAL_BODY, NoVerdict, is_shown, lines, matches
from mizzen.proxy.app.extauthz.peers import Peers
from mizzen.proxy.app.pod.http_client import Answer, AnswerError, ask
from mizzen.proxy.engine.control import HeaderChange, InquiredRequest, Inquiry, InquiryAnswer
from mizzen.proxy.engine.ext_authz_plan import ExtAuthzPlan, HttpCall
from mizzen.proxy.io.tls_contexts import NoSecret

MAX_BODY: Final = 1024 * 1024
"""Bytes of a denial's body; the rest is left out."""
_ALWAYS: Final = frozenset({"authorization"})
"""Shown without being asked for, as are method, path and Host."""
_NEVER: Final = frozenset({"content-length", "transfer-encoding", "connection"})
_OF_DENIALS: Final = frozenset({"www-authenticate", "location"})
"""Go to the client whatever the configuration lists."""
_UNSENT: Final = frozenset({"content-length", "transfer-encoding", "connection", "date", "server", "keep-alive"})
_OK: Final = 200
_ERRORS: Final = 500


class HttpCalls:
    """One connection a question."""

    def __init__(self, peers: Peers) -> None:
        self._peers = peers

    async def ask(self, inquiry: Inquiry, call: HttpCall) -> InquiryAnswer:
        """One attempt, for whose time the caller cares. NoVerdict."""
        request = inquiry.request
        if request is None:
            raise NoVerdict("a connection has nothing that could be asked about over HTTP")
        try:
            cluster, endpoints = self._peers.endpoints(call.cluster)
            answer = await ask(
                self._peers.peer(cluster, self._peers.choose(endpoints), request.authority, "http/1.1"),
                request.method.decode("latin-1"),
                call.path_prefix + request.path.decode("latin-1"),
                _headers(request, inquiry.plan, call),
                MAX_BODY,
                request.body,
            )
        except LookupError as error:
            raise NoVerdict(str(error.args[0])) from error
        except (OSError, AnswerError, NoSecret) as error:
            raise NoVerdict(str(error) or type(error).__name__) from error
        if answer.status >= _ERRORS:
            raise NoVerdict(f"it answered {answer.status}")
        return answer_of(inquiry.serial, answer, call)


def _headers(request: InquiredRequest, plan: ExtAuthzPlan, call: HttpCall) -> list[tuple[str, str]]:
    shown = [("host", request.authority.decode("latin-1"))]
    for name, value in lines(request):
        if name not in _NEVER and (name in _ALWAYS or is_shown(plan, name)):
            shown.append((name, value.encode("utf-8", "surrogateescape").decode("latin-1")))
    shown += call.headers
    if plan.body is not None:
        shown.append((PARTIAL_BODY, "true" if request.is_partial else "false"))
    return [*shown, ("content-length", str(len(request.body)))]


def answer_of(serial: int, answer: Answer, call: HttpCall) -> InquiryAnswer:
    """What a response below 500 says."""
    if answer.status == _OK:
        return InquiryAnswer(
            serial,
            allowed=True,
            request_changes=tuple(
                ("replace", name, value) for name, value in answer.headers.items() if matches(call.to_upstream, name)
            ),
            response_changes=tuple(
                ("append", name, value) for name, value in answer.lines if matches(call.to_client_on_success, name)
            ),
        )
    changes: tuple[HeaderChange, ...] = tuple(
        ("append" if name == "set-cookie" else "replace", name, value)
        for name, value in answer.lines
        if name not in _UNSENT and (call.to_client is None or name in _OF_DENIALS or matches(call.to_client, name))
    )
    return InquiryAnswer(serial, status=answer.status, body=answer.body, response_changes=changes)
