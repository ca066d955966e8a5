"""Mixer on a byte stream: one check before it is joined, reports while it lasts and at its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mizzen.proxy.engine.arrival import UNPROVED
from mizzen.proxy.engine.control import CheckAnswer, Checks, ConnectionFacts, ConnectionRecord, Reports
from mizzen.proxy.engine.mixer_plan import MixerContext, TcpMixerPlan
from mizzen.proxy.engine.verdict import DEADLINE_EXCEEDED, OK, UNAVAILABLE, Verdict
from mizzen.proxy.io.mixer import ASK_SECONDS, MixerClient
from mizzen.proxy.io.timers import NEVER

if TYPE_CHECKING:
    from mizzen.proxy.io.tunnel import Tunnel


class TcpGuard:
    """The network filter `mixer` of one listener."""

    __slots__ = ("client", "context", "interval")

    def __init__(self, client: MixerClient, plan: TcpMixerPlan) -> None:
        service = plan.service
        self.client = client
        self.context = MixerContext(plan.transport, service.attributes, service.check, service.report, service.quotas)
        self.interval = plan.report_interval
        """Seconds between reports."""

    def watch(self, tunnel: Tunnel) -> GuardedConnection:
        """Begin with a connection."""
        return GuardedConnection(self, tunnel)


class GuardedConnection:
    """What Mixer has to do with one connection; has the methods of a timer's item."""

    __slots__ = ("_guard", "_received", "_sent", "_serial", "_tunnel", "_verdict", "look_at", "next_report")

    def __init__(self, guard: TcpGuard, tunnel: Tunnel) -> None:
        self.look_at = NEVER
        self.next_report = NEVER
        self._guard = guard
        self._tunnel = tunnel
        self._serial = 0
        """Of the question that waits for an answer; 0 for none."""
        self._verdict: Verdict | None = None
        self._received = 0
        self._sent = 0

    def begin(self) -> None:
        """Ask, and tell the tunnel to go on when it may."""
        context, client = self._guard.context, self._guard.client
        if not context.check:
            self._tunnel.connect()
            return
        client.tcp_stats.total_check_calls += 1
        client.tcp_stats.total_quota_calls += bool(context.quotas)
        if client.post is None or len(client.connections) >= client.max_waiting:
            self._fail(UNAVAILABLE, "too many checks are under way")
            return
        self._serial = client.next_serial()
        client.connections[self._serial] = self._answered
        client.post(Checks((context,), (), ((self._serial, 0, self._facts()),)))
        self._tunnel.runtime.wheel.look(self, self._tunnel.runtime.now() + ASK_SECONDS)

    def joined(self) -> None:
        """The connection carries bytes from now on."""
        if self._guard.context.report:
            self._report("open")
            self.next_report = self._tunnel.runtime.now() + self._guard.interval
            self._tunnel.runtime.wheel.look(self, self.next_report)

    def end(self) -> None:
        """The connection is over."""
        self._forget()
        self._tunnel.runtime.wheel.forget(self)
        if self._guard.context.report:
            self._report("close")

    def on_timer(self, now: float) -> float:
        """Give up an unanswered question, or report."""
        if self._serial:
            self._forget()
            self._fail(DEADLINE_EXCEEDED, "Mixer was not heard of")
            return self.next_report
        if self.next_report > now:
            return self.next_report
        self._report("continue")
        self.next_report = now + self._guard.interval
        return self.next_report

    def _fail(self, code: int, reason: str) -> None:
        self._guard.client.failures += 1
        self._decide(CheckAnswer(0, OK if self._guard.context.transport.fail_open else code, reason))

    def _answered(self, answer: CheckAnswer) -> None:
        self._serial = 0
        self._decide(answer)

    def _decide(self, answer: CheckAnswer) -> None:
        self._verdict = verdict = Verdict(answer, 0.0)
        if verdict.code == OK:
            self._tunnel.connect()
        else:
            self._tunnel.refuse(verdict.message)

    def _forget(self) -> None:
        self._guard.client.connections.pop(self._serial, None)
        self._serial = 0

    def _facts(self) -> ConnectionFacts:
        tunnel = self._tunnel
        host = tunnel.downstream_remote_address.rpartition(":")[0].strip("[]")
        arrival = tunnel.arrival
        identities = UNPROVED if arrival is None else arrival.identities
        return (tunnel.start_time, host.encode(), tunnel.connection_id, identities)

    def _report(self, event: str) -> None:
        tunnel, client, verdict = self._tunnel, self._guard.client, self._verdict
        client.tcp_stats.total_report_calls += 1
        received, sent = tunnel.bytes_received, tunnel.bytes_sent
        check = None
        if verdict is not None:
            answer = verdict.answer
            check = (verdict.code, verdict.message if verdict.code else "", answer.cache_hit, answer.quota_cache_hit)
        amounts = (received - self._received, sent - self._sent, received, sent)
        self._received, self._sent = received, sent
        elapsed = tunnel.runtime.now() - tunnel.started_at
        record: ConnectionRecord = (
            0, self._facts(), event, amounts, elapsed, tunnel.flags, tunnel.upstream_host, check,
        )  # fmt: skip
        if client.post is not None:
            client.post(Reports((self._guard.context,), (), (record,)))
