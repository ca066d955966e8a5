"""The request that Envoy asks about, as attributes."""

from __future__ import annotations

from envoy.service.auth.v3 import attribute_context_pb2

from mizzen.attributes.http import head_attributes
from mizzen.attributes.identity import connection_attributes
from mizzen.attributes.values import Value
from mizzen.mixer.adapter import QuotaArgs
from mizzen.mixer.server.envoy.facts import instant, put_address, put_claims, stated

QUOTA = "quota/"
"""A context extension `quota/<name>` charges that quota with its value."""


def request_attributes(context: attribute_context_pb2.AttributeContext) -> dict[str, Value]:
    """Raises ValueError for a context extension that is not of its attribute's type, and for an impossible time."""
    attributes: dict[str, Value] = {}
    put_address(attributes, "origin", context.source.address)
    put_address(attributes, "source", context.source.address, port="source.port")
    put_address(attributes, "destination", context.destination.address, port="destination.port")
    principal, shown = context.source.principal, context.destination.principal
    attributes.update(connection_attributes(principal, shown, context.tls_session.sni))
    put_claims(attributes, context.metadata_context.filter_metadata)
    extensions = context.context_extensions
    attributes.update(stated({name: extensions[name] for name in extensions if not name.startswith(QUOTA)}))
    if context.request.HasField("http"):
        attributes.update(head_attributes(_headers(context.request.http)))
    else:
        attributes["context.protocol"] = "tcp"
    if context.request.HasField("time"):
        time = "request.time" if context.request.HasField("http") else "context.time"
        try:
            attributes[time] = instant(context.request.time)
        except OverflowError as error:
            raise ValueError(f"{time} is out of range") from error
    return attributes


def quotas(context: attribute_context_pb2.AttributeContext) -> dict[str, QuotaArgs]:
    """What the request is charged with; raises ValueError for an amount that is no number."""
    extensions = context.context_extensions
    charged = {}
    for key in extensions:
        if key.startswith(QUOTA):
            if not extensions[key].isdecimal():
                raise ValueError(f"{key} is to be a number, not {extensions[key]!r}")
            charged[key.removeprefix(QUOTA)] = QuotaArgs(int(extensions[key]), best_effort=False)
    return charged


def _headers(http: attribute_context_pb2.AttributeContext.HttpRequest) -> dict[str, str]:
    headers = dict(http.headers)
    for header in http.header_map.headers:  # with encode_raw_headers, instead of the map
        headers[header.key] = header.value or str(header.raw_value, "utf-8", "backslashreplace")
    for name, value in ((":method", http.method), (":path", http.path), (":authority", http.host)):
        if value:
            headers.setdefault(name, value)
    if http.scheme:
        headers.setdefault(":scheme", http.scheme)
    headers.pop("x-istio-attributes", None)
    return headers
