"""A request or connection about which an authorizer is asked, from the question to what follows from the answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from mizzen.proxy.base.flags import LocalReply
from mizzen.proxy.codec.headers import block
from mizzen.proxy.engine.control import InquiredRequest, Inquiry, InquiryAnswer
from mizzen.proxy.engine.ext_authz_plan import ExtAuthzPlan
from mizzen.proxy.engine.stats import AuthorizationStats
from mizzen.proxy.engine.verdict import DENIED, bind_changes
from mizzen.proxy.io.forward import turn_away
from mizzen.proxy.io.respond import reply
from mizzen.proxy.io.waiting import Waiting

if TYPE_CHECKING:
    from mizzen.proxy.io.exchange import Exchange
    from mizzen.proxy.io.inquiries import Inquiries
    from mizzen.proxy.io.tunnel import Tunnel

TOO_LARGE: Final = LocalReply("", 413, "request_payload_too_large", b"Payload Too Large")
DENIED_DETAILS: Final = "ext_authz_denied"
ERROR_DETAILS: Final = "ext_authz_error"
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class RequestInquiry(Waiting):
    """Waits for the body if it is asked for, then for the answer."""

    __slots__ = ("_inquiries", "_is_partial", "_plan", "_proceed", "_serial", "_stats", "_x")

    def __init__(
        self,
        x: Exchange,
        inquiries: Inquiries,
        plan: ExtAuthzPlan,
        stats: AuthorizationStats,
        proceed: Callable[[], None],
    ) -> None:
        """`proceed` lets the request go on."""
        self._x = x
        self._plan = plan
        self._stats = stats
        self._proceed = proceed
        self._inquiries = inquiries
        self._serial = 0
        """0 as long as nothing was asked."""
        self._is_partial = False

    def begin(self) -> None:
        """Ask now, or when the body has come."""
        x = self._x
        x.check = self
        if self._plan.body is None or x.request_complete:
            self._ask()
        elif self.wants_body(x) and x.head.pop(b"expect", None) is not None:
            x.downstream.write(_CONTINUE)  # nobody else will tell the client to go on

    def cancel(self, x: Exchange) -> None:
        x.check = None
        self._inquiries.forget(self._serial)

    def wants_body(self, x: Exchange) -> bool:
        plan = self._plan.body
        if plan is None or self._serial:
            return False
        size = sum(map(len, x.waiting_body or ()))
        if size <= plan.max_bytes and not (size == plan.max_bytes and plan.allow_partial):
            return True
        if plan.allow_partial:
            self._is_partial = True
            self._ask()
        else:
            x.check = None
            reply(x, TOO_LARGE, f"the authorizer is shown bodies of at most {plan.max_bytes} bytes", by_route=False)
        return False

    def body_ended(self, x: Exchange) -> None:
        if not self._serial:
            self._ask()

    def _ask(self) -> None:
        x = self._x
        downstream = x.downstream
        arrival = downstream.arrival
        inquiry = Inquiry(
            0,
            self._plan,
            x.start_time,
            x.remote_address or downstream.peer_address,
            downstream.local_address,
            downstream.principal,
            "" if arrival is None else arrival.own,
            x.server_name,
            InquiredRequest(
                x.method, x.path, x.authority, x.scheme, x.protocol, block(x.head), self._body(), self._is_partial
            ),
        )
        self._serial = self._inquiries.ask(inquiry, self._answered)

    def _body(self) -> bytes:
        plan = self._plan.body
        return b"" if plan is None else b"".join(self._x.waiting_body or ())[: plan.max_bytes]

    def _answered(self, answer: InquiryAnswer) -> None:
        x = self._x
        x.check = None
        if x.done:
            return
        if answer.failure and not self._plan.fail_open:
            self._stats.ext_authz_error += 1
            status = self._plan.status_on_error
            why = f"the authorizer in {self._plan.call.cluster} could not be asked: {answer.failure}"
            turn_away(x, LocalReply(DENIED, status, ERROR_DETAILS), why)
        elif answer.failure:
            self._stats.ext_authz_error += 1
            self._stats.ext_authz_failure_mode_allowed += 1
            self._proceed()
        elif not answer.allowed:
            self._stats.ext_authz_denied += 1
            x.response_edits = bind_changes(answer.response_changes)
            why = f"the authorizer in {self._plan.call.cluster} refuses the request"
            turn_away(x, LocalReply(DENIED, answer.status, DENIED_DETAILS, answer.body), why)
        else:
            self._stats.ext_authz_ok += 1
            edits = bind_changes(answer.request_changes)
            if edits is not None:
                edits.apply(x.head, x)
            x.response_edits = bind_changes(answer.response_changes)
            self._proceed()


class ConnectionInquiry:
    """Asks about a byte stream."""

    __slots__ = ("_plan", "_proceed", "_serial", "_stats", "_tunnel")

    def __init__(
        self, tunnel: Tunnel, plan: ExtAuthzPlan, stats: AuthorizationStats, proceed: Callable[[], None]
    ) -> None:
        self._tunnel = tunnel
        self._plan = plan
        self._stats = stats
        self._proceed = proceed
        self._serial = 0

    def begin(self) -> None:
        """Ask now."""
        tunnel = self._tunnel
        arrival = tunnel.arrival
        inquiry = Inquiry(
            0,
            self._plan,
            tunnel.start_time,
            tunnel.downstream_remote_address,
            tunnel.downstream_local_address,
            "" if arrival is None else arrival.principal,
            "" if arrival is None else arrival.own,
            tunnel.server_name,
        )
        self._serial = tunnel.runtime.inquiries.ask(inquiry, self._answered)

    def cancel(self) -> None:
        """The connection is gone, or asked about anew."""
        self._tunnel.runtime.inquiries.forget(self._serial)

    def _answered(self, answer: InquiryAnswer) -> None:
        stats = self._stats
        if not answer.failure and answer.allowed:
            stats.ext_authz_ok += 1
            self._proceed()
        elif not answer.failure:
            stats.ext_authz_denied += 1
            self._tunnel.turn_away(DENIED, DENIED_DETAILS)
        else:
            stats.ext_authz_error += 1
            if self._plan.fail_open:
                stats.ext_authz_failure_mode_allowed += 1
                self._proceed()
            else:
                self._tunnel.turn_away(DENIED, ERROR_DETAILS)
