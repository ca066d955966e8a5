"""`envoy.service.accesslog.v3.AccessLogService`: telemetry from Envoy's gRPC access logs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

from envoy.data.accesslog.v3 import accesslog_pb2 as data
from envoy.service.accesslog.v3 import als_pb2 as pb

from mizzen.attributes.bag import DictBag
from mizzen.attributes.values import Value
from mizzen.mixer.server.calls import Calls
from mizzen.mixer.server.envoy.entries import http_attributes, reporter_attributes, tcp_attributes
from mizzen.mixer.server.peer import Peer
from mizzen.mixer.server.policy import Policy
from mizzen.mixer.server.refusal import Refusal
from mizzen.mixer.status import Code
from mizzen.mixer.verdict import PolicyError

log = logging.getLogger(__name__)

MOST_CONNECTIONS = 10_000
_WHOLE_REQUESTS = frozenset({data.AccessLogType.NotSet, data.AccessLogType.DownstreamEnd})


class Traffic:
    """Bytes of open TCP connections at their last entry, at most MOST_CONNECTIONS of them."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[int, int]] = {}

    def count(self, connection: str, received: int, sent: int, *, ended: bool) -> tuple[int, int]:
        """What came and went since the last entry of this connection."""
        before = self._seen.pop(connection, (0, 0))
        if connection and not ended:
            self._seen[connection] = (received, sent)
            if len(self._seen) > MOST_CONNECTIONS:  # of one whose end never came
                del self._seen[next(iter(self._seen))]
        return received - before[0], sent - before[1]


class AccessLogs:
    """Envoy's access log service over one policy; all reports go through `calls`."""

    def __init__(self, policy: Policy, calls: Calls) -> None:
        self._policy = policy
        self._calls = calls
        self._reported, self._failed, self._shed, self._skipped, self._refused = (
            calls.metrics.log_entries.labels(outcome)
            for outcome in ("reported", "failed", "shed", "skipped", "refused")
        )

    def stream(self, peer: Peer | None = None) -> LogStream:
        """What one Envoy sends, which may speak for itself alone if it is a `peer`."""
        return LogStream(self, peer)

    async def report(self, entries: list[dict[str, Value]], peer: Peer | None) -> None:
        """Report entries that were read. Nobody waits for an answer: failures are counted."""
        good = entries if peer is None else peer.sift(entries)[0]
        self._refused.inc(len(entries) - len(good))
        if not good:
            return
        bags = list(map(DictBag, good))
        try:
            await self._calls.perform(len(bags), lambda: self._report(bags))
        except Refusal as refusal:
            (self._shed if refusal.code is Code.UNAVAILABLE else self._failed).inc(len(bags))
            log.debug("Report failed: %s", refusal.message)
        else:
            self._reported.inc(len(bags))

    async def _report(self, bags: list[DictBag]) -> None:
        try:
            await self._policy.report(bags)
        except PolicyError as error:
            raise Refusal(Code.UNKNOWN, str(error)) from error

    def failed(self, error: ValueError) -> None:
        """An entry could not be read."""
        self._failed.inc()
        log.debug("An access log entry cannot be read: %s", error)

    def skipped(self) -> None:
        """An entry about a request that has not ended: its end will be reported."""
        self._skipped.inc()


class LogStream:
    """The state of one stream: who sends it, and what its connections have carried so far."""

    def __init__(self, logs: AccessLogs, peer: Peer | None) -> None:
        self._logs = logs
        self._peer = peer
        self._reporter: dict[str, Value] = {}
        self._traffic = Traffic()

    async def take(self, message: pb.StreamAccessLogsMessage) -> None:
        """Report the entries of one message."""
        if message.HasField("identifier"):
            self._reporter = reporter_attributes(message.identifier.node.id)
        await self._logs.report([*self._http(message), *self._tcp(message)], self._peer)

    def _http(self, message: pb.StreamAccessLogsMessage) -> Iterable[dict[str, Value]]:
        for entry in message.http_logs.log_entry:
            if entry.common_properties.access_log_type in _WHOLE_REQUESTS:
                yield from self._read(http_attributes, entry)
            else:
                self._logs.skipped()

    def _tcp(self, message: pb.StreamAccessLogsMessage) -> Iterable[dict[str, Value]]:
        for entry in message.tcp_logs.log_entry:
            for attributes in self._read(tcp_attributes, entry):
                received, sent = self._traffic.count(
                    entry.common_properties.stream_id,
                    entry.connection_properties.received_bytes,
                    entry.connection_properties.sent_bytes,
                    ended=attributes["connection.event"] == "close",
                )
                yield attributes | {"connection.received.bytes": received, "connection.sent.bytes": sent}

    def _read(
        self, read: Callable[[Any, dict[str, Value]], dict[str, Value]], entry: Any
    ) -> Iterable[dict[str, Value]]:
        try:
            yield read(entry, self._reporter)
        except ValueError as error:
            self._logs.failed(error)
