"""A new connection until it is known who handles it: where it was going, what its first bytes say.

This happens once a connection, and only on listeners that ask for it. The bytes that were read go to the filter chain
that takes the connection.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final, cast

from mizzen.proxy.base import flags
from mizzen.proxy.codec import h2, sniff
from mizzen.proxy.codec.sniff import HttpSniffer, TlsSniffer
from mizzen.proxy.engine.arrival import Arrival
from mizzen.proxy.engine.plan import PortRanges, RefusePlan
from mizzen.proxy.engine.stats import TlsStats
from mizzen.proxy.engine.tls_plan import ServerTlsPlan
from mizzen.proxy.io.connect import address_text
from mizzen.proxy.io.http_manager import HttpManager
from mizzen.proxy.io.stream_record import StreamRecord
from mizzen.proxy.io.timers import NEVER
from mizzen.proxy.io.tls import TOO_LONG, TlsConnection
from mizzen.proxy.io.tls_contexts import NoSecret

if TYPE_CHECKING:
    from mizzen.proxy.engine.peer import TlsFacts
    from mizzen.proxy.io.chain import Chain
    from mizzen.proxy.io.listener import Listener

SILENT_SECONDS: Final = 3600.0
"""For a client that says nothing where the configuration sets no limit: as long as a tunnel may idle."""
_NO_HTTP2: Final = "this proxy does not speak HTTP/2 yet, and no TCP filter chain takes the connection"


class Intake(asyncio.Protocol, StreamRecord):
    """Also the access log's record of a connection that nobody takes, and a timer's item."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.runtime = listener.runtime
        self.look_at = NEVER
        self.transport: asyncio.Transport = cast("asyncio.Transport", None)
        self.started_at = self.runtime.now()
        self.ended_at = 0.0
        self.connection_id = self.runtime.next_connection_id()
        self._seen = bytearray()
        self._done = False
        """Handed over, or closed."""
        self._tls: TlsSniffer | None = None
        self._http: HttpSniffer | None = None

    # -- connection -------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._enter(self.listener)
        peer, own = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        if not peer or not own:  # gone before it was looked at
            self.abort()
            return
        self.arrival = Arrival(peer[:2], own[:2])
        self._restore()
        self._hand_off()
        self._sniff()

    def data_received(self, data: bytes) -> None:
        self._seen += data
        if not self._done:
            self._look_at(data)

    def eof_received(self) -> bool:
        """The client says no more: what it said must do."""
        if self._done:
            return False
        if not self._seen:
            self.listener.stats.downstream_listener_filter_remote_close += 1
            self._end("downstream_remote_close")
            return False
        taker = self._decide()
        return taker is not None and bool(taker.eof_received())

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._done:
            self.listener.stats.downstream_listener_filter_remote_close += 1
            self._end("downstream_remote_close")

    def on_timer(self, now: float) -> float:
        """The client said too little for too long: where the server speaks first, it waits for that."""
        self.listener.stats.downstream_pre_cx_timeout += 1
        plan = self.listener.plan.sniff
        if plan is None or plan.go_on:  # none any more: a new plan does not look at first bytes
            self._decide()
        else:
            self._end("listener_filter_timeout")
        return NEVER

    def close(self) -> None:
        """Close unless something was said already."""
        if not self._seen:
            self.abort()

    def abort(self) -> None:
        """Close now, because this proxy wants it: the client did not leave."""
        self._let_go()
        self.transport.abort()

    # -- steps ------------------------------------------------------------------------------------------------------

    def _enter(self, listener: Listener) -> None:
        self.listener = listener
        listener.stats.downstream_pre_cx_active += 1
        listener.connections[self] = None

    def _let_go(self) -> None:
        """The listener and the timers have no more to do with it."""
        self._done = True
        self.runtime.wheel.forget(self)
        self._leave()

    def _leave(self) -> None:
        self.listener.stats.downstream_pre_cx_active -= 1
        self.listener.connections.pop(self, None)

    def _restore(self) -> None:
        """Find the original destination."""
        arrival, plan = self.arrival, self.listener.plan
        arrival.restored = plan.transparent  # TPROXY leaves the destination as it was
        if plan.hands_off or plan.restores:
            found = self.runtime.kernel.original_destination(self.transport.get_extra_info("socket"))
            if found is not None and found != arrival.destination:
                arrival.destination = found
                arrival.restored = True
        self.downstream_remote_address = address_text(arrival.source)
        self.downstream_local_address = address_text(arrival.destination)

    def _hand_off(self) -> None:
        """Go to the listener of the original destination: once, for that one hands off no more."""
        if not self.listener.plan.hands_off or not self.arrival.restored:
            return
        found = self.runtime.listener_of(self.arrival.destination)
        if found is not None and found is not self.listener:
            self._leave()
            self._enter(found)

    def _sniff(self) -> None:
        """Look at the first bytes where the choice of a filter chain asks for that; else choose at once."""
        plan, port = self.listener.plan.sniff, self.arrival.destination[1]
        if plan is not None:
            self._tls = TlsSniffer() if _holds(plan.tls, port) else None
            self._http = HttpSniffer() if _holds(plan.http, port) else None
        if self._tls is None and self._http is None:
            self._decide()
        elif plan is not None:
            self.runtime.wheel.look(self, self.started_at + (plan.timeout or SILENT_SECONDS))

    def _look_at(self, data: bytes) -> None:
        tls, http = self._tls, self._http
        if tls is not None:
            state = tls.feed(data)
            if state == sniff.WAITING:
                return
            if state == sniff.TOO_LARGE:
                self.listener.stats.client_hello_too_large += 1
                self._end("client_hello_too_large")
                return
            self._tls = None
            if state == sniff.FOUND:
                self.arrival.transport = "tls"
                self.arrival.server_name = tls.server_name
                self.arrival.protocols = tls.protocols
                self._decide()
                return
            data = bytes(self._seen)
        if http is not None:
            state = http.feed(data)
            if state == sniff.WAITING:
                return
            if state == sniff.FOUND:
                self.arrival.protocols = (http.protocol,)
        self._decide()

    def _decide(self) -> asyncio.Protocol | None:
        """Give the connection to the filter chain that takes it; who handles it from now on."""
        listener, arrival = self.listener, self.arrival
        chain = listener.choose(arrival)
        if chain is None:
            listener.stats.no_filter_chain_match += 1
            tried = listener.table.explain(arrival) if listener.table is not None else []
            self._refuse("no filter chain matches", "; ".join([arrival.in_words(), *tried]))
            return None
        if isinstance(chain.manager, RefusePlan):
            listener.stats.tls_refused += 1
            self._refuse(chain.manager.reason, arrival.in_words())
            return None
        if isinstance(chain.manager, HttpManager) and arrival.protocols == ("h2c",):
            bytewise = listener.choose_for_bytes(arrival, chain)
            if bytewise is None:
                listener.stats.http2_refused += 1
                self.transport.write(h2.refusal(_NO_HTTP2))
                self._refuse(_NO_HTTP2, arrival.in_words())
                return None
            chain = bytewise
        if chain.tls is not None:
            self._shake_hands(chain, chain.tls)
            return None
        taker = self._hand_over(chain, self.transport)
        if self._seen:
            taker.data_received(bytes(self._seen))
        return taker

    def _shake_hands(self, chain: Chain, plan: ServerTlsPlan) -> None:
        """End TLS here, then hand over what is inside."""
        self.runtime.wheel.forget(self)
        try:
            security = self.runtime.tls.security(plan, chain.inside)
        except NoSecret as error:
            self.listener.stats.tls_refused += 1
            self._refuse(str(error), self.arrival.in_words())
            return
        stats = self.listener.stats
        if stats.ssl is None:
            stats.ssl = TlsStats()
        secured = TlsConnection(security, stats.ssl, partial(self._secured, chain), self._not_secured)
        secured.begin(self.transport, bytes(self._seen), plan.handshake_timeout)

    def _secured(self, chain: Chain, connection: TlsConnection) -> None:
        if self._done:
            connection.abort()
            return
        taker = self.listener.successor(chain, self.arrival) if chain.draining else chain
        if taker is None:  # its listener or its plan has gone meanwhile
            self._end("chain_removed")
            return
        self.arrival.is_secured = True
        self.arrival.peer = connection.peer
        self.arrival.tls = connection.facts
        self.arrival.own = connection.identity
        self._hand_over(taker, connection)

    def _not_secured(self, reason: str) -> None:
        if not self._done:
            if reason == TOO_LONG:
                self.listener.stats.downstream_cx_transport_socket_connect_timeout += 1
            self.flags = flags.DOWNSTREAM_PROTOCOL_ERROR
            self.downstream_transport_failure_reason = f"TLS_error:{flags.without_blanks(reason)}"
            self.listener.warn(f"TLS: {reason}", self.arrival.in_words())
            self._end("tls_handshake_failed")
            for log in self.listener.logs:
                log.append(self)

    def _hand_over(self, chain: Chain, transport: asyncio.Transport) -> asyncio.Protocol:
        self._let_go()
        taker = chain.protocol(self.arrival)
        transport.set_protocol(taker)
        taker.connection_made(transport)
        return taker

    def _refuse(self, reason: str, about: str) -> None:
        """Close, and let the access log and the log know."""
        self.listener.warn(reason, about)
        self.flags = flags.NO_ROUTE_FOUND
        self._end("filter_chain_not_found")
        for log in self.listener.logs:
            log.append(self)

    def _end(self, details: str) -> None:
        self._let_go()
        self.ended_at = self.runtime.now()
        self.details = details
        self.transport.close()

    # -- the access log's view --------------------------------------------------------------------------------------

    attempts = 0
    bytes_sent = 0
    upstream_host = ""

    @property
    def server_name(self) -> str:
        return self.arrival.server_name

    @property
    def tls(self) -> TlsFacts | None:
        return self.arrival.tls

    @property
    def start_time(self) -> float:
        return self.runtime.unix_time(self.started_at)

    @property
    def duration(self) -> float | None:
        return self.ended_at - self.started_at

    @property
    def bytes_received(self) -> int:
        return len(self._seen)


def _holds(ranges: PortRanges, port: int) -> bool:
    return any(start <= port < end for start, end in ranges)
