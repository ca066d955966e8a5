"""What the head of an HTTP request says, as attributes: the same for every proxy that reports it.

Source: istio/proxy, src/istio/control/http/attributes_builder.cc at 1.3.
"""

from __future__ import annotations

from collections.abc import Mapping

from mizzen.attributes.values import Value

_GRPC = frozenset({"application/grpc", "application/grpc+proto", "application/grpc+json"})
_IF_PRESENT = (("request.method", ":method"), ("request.referer", "referer"), ("request.useragent", "user-agent"))


def head_attributes(headers: Mapping[str, str]) -> dict[str, Value]:
    """From all headers by their lower-case names, `:method`, `:path`, `:authority` and `:scheme` included."""
    path = headers.get(":path", "")
    url_path, _, query = path.partition("?")
    attributes: dict[str, Value] = {
        "request.headers": headers,
        "request.host": headers.get(":authority", ""),
        "request.path": path,
        "request.url_path": url_path,
        "request.scheme": headers.get(":scheme", "http"),
        "context.protocol": "grpc" if headers.get("content-type") in _GRPC else "http",
    }
    for name, header in _IF_PRESENT:
        value = headers.get(header)
        if value is not None:
            attributes[name] = value
    if query:
        attributes["request.query_params"] = _parameters(query)
    return attributes


def _parameters(query: str) -> dict[str, str]:
    """As they are written, undecoded; of several with one name the first."""
    parameters: dict[str, str] = {}
    for part in query.split("&"):
        name, _, value = part.partition("=")
        parameters.setdefault(name, value)
    return parameters
