"""Send a call to a real Envoy and read its decision off the answer."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterable

from simulation.harness.call import Call, Result
from simulation.harness.instrument import CLUSTER_HEADER, POINT_HEADER, ROUTE_HEADER

EVERYBODYS = frozenset(
    {"host", "connection", "content-length", "content-type", "transfer-encoding", "date", "server", "x-request-id"}
    | {"x-forwarded-proto", "x-forwarded-for", "accept-encoding", "location", POINT_HEADER, CLUSTER_HEADER}
    | {ROUTE_HEADER}
)
"""Headers that say nothing about the decision, or are reported in a field of their own."""

ECHO = b'{"method": '
"""How the echo server's answers begin."""


def ask(call: Call, port: int) -> Result:
    """The decision of the Envoy that listens on this port of 127.0.0.1."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.putrequest(call.method, call.path, skip_host=True, skip_accept_encoding=True)
        for name, value in {"host": call.host, **call.headers, POINT_HEADER: str(call.point)}.items():
            connection.putheader(name, value)
        connection.endheaders()
        response = connection.getresponse()
        body = response.read()
    finally:
        connection.close()
    return _result(response, body)


def _result(response: http.client.HTTPResponse, body: bytes) -> Result:
    route = (response.getheader(ROUTE_HEADER) or "").removeprefix("-")
    headers = visible(response.getheaders())
    if body.startswith(ECHO):
        seen = json.loads(body)
        hosts = [value for name, value in seen["headers"] if name.lower() == "host"]
        return Result(
            "forward",
            route=route,
            cluster=response.getheader(CLUSTER_HEADER) or "",
            path=seen["path"],
            authority=",".join(hosts),
            request_headers=visible(seen["headers"]),
            response_headers=headers,
        )
    location = response.getheader("location")
    if location is not None:
        return Result("redirect", route=route, status=response.status, location=location, response_headers=headers)
    if response.status == 404 and response.getheader(ROUTE_HEADER) is None:
        return Result("not found")
    return Result("respond", route=route, status=response.status, body=body.decode(), response_headers=headers)


def visible(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Headers by lower-case name, repeated ones joined by a comma, without EVERYBODYS and Envoy's own."""
    found: dict[str, str] = {}
    for name, value in headers:
        key = name.lower()
        if key not in EVERYBODYS and not key.startswith("x-envoy-"):
            found[key] = f"{found[key]},{value}" if key in found else value
    return found
