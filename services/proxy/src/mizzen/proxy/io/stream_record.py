"""A connection that is not HTTP, as access logs see it."""

from __future__ import annotations

from mizzen.proxy.engine.request import RequestView


class StreamRecord:
    """What of `mizzen.proxy.engine.request.Record` such a connection has nothing to say to."""

    request: RequestView | None = None
    protocol = ""
    status = 0
    request_duration: float | None = None
    response_duration: float | None = None
    connection_termination_details = ""
    route_name = ""
    flags = ""
    details = ""
    upstream_cluster = ""
    upstream_local_address = ""
    upstream_transport_failure_reason = ""
    downstream_remote_address = ""
    downstream_local_address = ""
    downstream_transport_failure_reason = ""

    def response_header(self, name: bytes, /) -> bytes | None:
        return None

    def response_trailer(self, name: bytes, /) -> bytes | None:
        return None

    @property
    def downstream_direct_remote_address(self) -> str:
        return self.downstream_remote_address
