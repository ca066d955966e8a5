"""Answers that the proxy gives itself: redirects and direct responses."""

from __future__ import annotations

from typing import Any

from envoy.config.route.v3 import route_components_pb2 as route_pb2

from mizzen.api.virtualservice import HTTPDirectResponse, HTTPRedirect, RedirectPortSelection

_CODES = {
    301: route_pb2.RedirectAction.MOVED_PERMANENTLY,
    302: route_pb2.RedirectAction.FOUND,
    303: route_pb2.RedirectAction.SEE_OTHER,
    307: route_pb2.RedirectAction.TEMPORARY_REDIRECT,
    308: route_pb2.RedirectAction.PERMANENT_REDIRECT,
}


def redirect(stated: HTTPRedirect, listener_port: int) -> Any:
    """A redirect; a port that is the scheme's own is left out of the new URL."""
    message = route_pb2.RedirectAction(
        host_redirect=stated.authority, response_code=_CODES.get(stated.redirect_code or 301, _CODES[301])
    )
    if stated.scheme:
        message.scheme_redirect = stated.scheme
    if stated.uri:
        message.path_redirect = stated.uri
    elif stated.prefix_rewrite:
        message.prefix_rewrite = stated.prefix_rewrite
    port = stated.port or 0
    if stated.derive_port is RedirectPortSelection.FROM_REQUEST_PORT:
        port = listener_port
    if (stated.scheme or "http", port) not in (("http", 80), ("https", 443)):
        message.port_redirect = port
    return message


def direct_response(stated: HTTPDirectResponse) -> Any:
    message = route_pb2.DirectResponseAction(status=stated.status)
    if stated.body is not None and stated.body.string is not None:
        message.body.inline_string = stated.body.string
    elif stated.body is not None and stated.body.bytes is not None:
        message.body.inline_bytes = stated.body.bytes
    return message
