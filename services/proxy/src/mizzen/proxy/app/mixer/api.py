"""What HTTPAPISpecs say of a request, and its caller's key. Source: istio/proxy, service_context.cc at 1.0.9."""

from __future__ import annotations

from mizzen.attributes.values import Value
from mizzen.proxy.engine.api_spec import bind_api
from mizzen.proxy.engine.control import RequestFacts
from mizzen.proxy.engine.mixer_plan import DEFAULT_KEYS, ApiPlan

_NONE: dict[str, str] = {}


def api_key(api: ApiPlan | None, request: RequestFacts, said: dict[str, Value]) -> str | None:
    """The first key among the sources; `said` is what the request says, by attributes. None for no key."""
    for kind, name in DEFAULT_KEYS if api is None else api.keys:
        if kind == "cookie":
            found = _cookie(request[5], name.encode())
        else:
            entries = said.get("request.headers" if kind == "header" else "request.query_params", _NONE)
            found = entries.get(name) if isinstance(entries, dict) else None
        if found is not None:
            return found
    return None


def stated_by_api(api: ApiPlan, request: RequestFacts) -> bytes:
    """Serialised attributes."""
    return bind_api(api).attributes(request[1], request[2])


def _cookie(head: bytes, name: bytes) -> str | None:
    """The value of the first cookie of that name that has one, without its quotes."""
    for line in head.split(b"\r\n"):
        field, _, value = line.partition(b":")
        if field.lower() != b"cookie":
            continue
        for pair in value.split(b";"):
            known, _, found = pair.strip(b" \t").partition(b"=")
            if known == name and found:
                return found.strip(b'"').decode("utf-8", "surrogateescape")
    return None
