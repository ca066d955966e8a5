"""The Location of a redirect, as Envoy builds it (route RedirectAction)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from mizzen.proxy.base.authority import port_start
from mizzen.proxy.engine.plan import Redirect
from mizzen.proxy.engine.request import RequestView

Location: TypeAlias = Callable[[RequestView], bytes]

DEFAULT_PORTS = {b"http": b":80", b"https": b":443"}


def bind_location(plan: Redirect, rewrite: Callable[[bytes], bytes] | None) -> Location:
    """A function from a request to its Location; `rewrite` replaces the matched prefix, None keeps it.

    Parts that the plan leaves empty are the request's. The request's port is dropped when the plan sets a port, and
    when the scheme changes while it is the default port of the old one. A query in `plan.path` replaces the request's.
    """
    scheme_to = plan.scheme.encode() or (b"https" if plan.https else b"")
    host_to = plan.host.encode()
    port = f":{plan.port}".encode() if plan.port else b""
    path_to = plan.path.encode()
    if path_to and not path_to.startswith(b"/"):
        path_to = b"/" + path_to
    own_query = b"?" in path_to
    strip_query = plan.strip_query and not own_query

    def location(request: RequestView) -> bytes:
        scheme = scheme_to or request.scheme
        host = host_to or _request_host(request, scheme, port != b"")
        path = request.path
        if path_to:
            path = path_to if own_query else path_to + _query(path)
        elif rewrite is not None:
            path = rewrite(path)
        if strip_query:
            path = path.partition(b"?")[0]
        return scheme + b"://" + host + port + path

    return location


def _query(path: bytes) -> bytes:
    _, mark, query = path.partition(b"?")
    return mark + query


def _request_host(request: RequestView, scheme: bytes, port_is_set: bool) -> bytes:
    host = request.authority
    start = port_start(host)
    if start < 0:
        return host
    leaves_default = scheme != request.scheme and host[start:] == DEFAULT_PORTS.get(request.scheme)
    return host[:start] if port_is_set or leaves_default else host
