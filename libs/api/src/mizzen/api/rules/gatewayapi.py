"""Rules of the Gateway API's kinds."""

from collections import Counter
from collections.abc import Iterator

from mizzen.api import syntax
from mizzen.api.gatewayapi.filters import (
    GRPCRouteFilter,
    HTTPHeaderFilter,
    HTTPPathModifier,
    HTTPRouteFilter,
    PathModifierType,
)
from mizzen.api.gatewayapi.gateway import FromNamespaces, Gateway, GatewayClass, Operator
from mizzen.api.gatewayapi.grpcroute import GRPCMethodMatch, GRPCRoute
from mizzen.api.gatewayapi.httproute import (
    HTTPPathMatch,
    HTTPRoute,
    HTTPRouteMatch,
    HTTPRouteRule,
    MatchType,
    PathMatchType,
)
from mizzen.api.gatewayapi.reference import BackendObjectReference, ReferenceGrant
from mizzen.api.problem import Path
from mizzen.api.resource import Metadata
from mizzen.api.rules import Finding, check_namespace, error
from mizzen.api.types import camel_case

REDIRECT_CODES = (301, 302, 303, 307, 308)
_FIELDS = {
    "RequestHeaderModifier": "request_header_modifier",
    "ResponseHeaderModifier": "response_header_modifier",
    "RequestRedirect": "request_redirect",
    "URLRewrite": "url_rewrite",
    "RequestMirror": "request_mirror",
    "CORS": "cors",
    "ExtensionRef": "extension_ref",
}
_REPEATED = frozenset({"RequestMirror", "ExtensionRef"})


def check_class(spec: GatewayClass, metadata: Metadata) -> Iterator[Finding]:
    """All rules of a GatewayClass."""
    domain, found, path = spec.controller_name.partition("/")
    if not (found and path and syntax.is_dns1123_subdomain(domain)):
        yield error(
            ("controllerName",), f"must be a domain and a path, like example.com/name, got {spec.controller_name!r}"
        )


def check_gateway(spec: Gateway, metadata: Metadata) -> Iterator[Finding]:
    """All rules of a Gateway; what is true of it only beside other objects is told by its status."""
    names: dict[str, int] = {}
    places: dict[tuple[int, str, str], int] = {}
    for index, listener in enumerate(spec.listeners):
        at = ("listeners", index)
        if names.setdefault(listener.name, index) != index:
            yield error(
                (*at, "name"), f"{listener.name!r} is the name of listeners[{names[listener.name]}]; names are unique"
            )
        elif not syntax.is_dns1123_subdomain(listener.name):
            yield error((*at, "name"), f"{listener.name!r} must be lower-case letters, digits, inner dashes and dots")
        place = (listener.port, listener.protocol, listener.hostname or "")
        if places.setdefault(place, index) != index:
            yield error(at, f"has the port, protocol and hostname of listeners[{places[place]}]")
        if listener.hostname == "*":
            yield error((*at, "hostname"), "'*' is written by leaving the field out")
        if listener.protocol in ("HTTP", "TCP", "UDP") and listener.tls is not None:
            yield error((*at, "tls"), f"protocol {listener.protocol} has no TLS; use HTTPS or TLS")
        if listener.protocol in ("HTTPS", "TLS") and listener.tls is None:
            yield error((*at, "tls"), f"is required for protocol {listener.protocol}")
        namespaces = listener.allowed_routes.namespaces
        if namespaces.from_ is FromNamespaces.SELECTOR and namespaces.selector is None:
            yield error((*at, "allowedRoutes", "namespaces", "selector"), "is required when from is Selector")
        for number, wanted in enumerate(namespaces.selector.match_expressions if namespaces.selector else ()):
            if (wanted.operator in (Operator.IN, Operator.NOT_IN)) != bool(wanted.values):
                path = (*at, "allowedRoutes", "namespaces", "selector", "matchExpressions", number, "values")
                yield error(path, "go with operators In and NotIn, and with these alone")


def check_http_route(spec: HTTPRoute, metadata: Metadata) -> Iterator[Finding]:
    """All rules of an HTTPRoute."""
    yield from _check_parents(spec)
    for index, rule in enumerate(spec.rules):
        at = ("rules", index)
        for number, match in enumerate(rule.matches):
            yield from _check_match(match, (*at, "matches", number))
        yield from _check_filters(rule.filters, (*at, "filters"))
        yield from _check_prefix_rewrites(rule, at)
        for number, backend in enumerate(rule.backend_refs):
            yield from _check_backend(backend, (*at, "backendRefs", number))
            yield from _check_filters(backend.filters, (*at, "backendRefs", number, "filters"))
        if any(step.request_redirect for step in rule.filters) and rule.backend_refs:
            yield error((*at, "backendRefs"), "cannot stand beside RequestRedirect, which answers without a backend")
        limits = rule.timeouts
        if limits is not None and limits.request and limits.backend_request and limits.backend_request > limits.request:
            yield error((*at, "timeouts", "backendRequest"), "must not be longer than request")


def check_grpc_route(spec: GRPCRoute, metadata: Metadata) -> Iterator[Finding]:
    """All rules of a GRPCRoute."""
    yield from _check_parents(spec)
    for index, rule in enumerate(spec.rules):
        at = ("rules", index)
        for number, match in enumerate(rule.matches):
            if match.method is not None:
                yield from _check_method(match.method, (*at, "matches", number, "method"))
            for place, header in enumerate(match.headers):
                if header.type is MatchType.REGULAR_EXPRESSION:
                    yield from _check_regex(header.value, (*at, "matches", number, "headers", place, "value"))
        yield from _check_filters(rule.filters, (*at, "filters"))
        for number, backend in enumerate(rule.backend_refs):
            yield from _check_backend(backend, (*at, "backendRefs", number))
            yield from _check_filters(backend.filters, (*at, "backendRefs", number, "filters"))


def check_grant(spec: ReferenceGrant, metadata: Metadata) -> Iterator[Finding]:
    """All rules of a ReferenceGrant."""
    for name, entries in (("from", spec.from_), ("to", spec.to)):
        if not entries:
            yield error((name,), "needs at least one entry")
    for index, entry in enumerate(spec.from_):
        yield from check_namespace(entry.namespace, ("from", index, "namespace"))


def _check_parents(spec: HTTPRoute | GRPCRoute) -> Iterator[Finding]:
    for index, host in enumerate(spec.hostnames):
        if host == "*":
            yield error(("hostnames", index), "'*' is written by leaving hostnames out")
    for index, parent in enumerate(spec.parent_refs):
        if spec.parent_refs.index(parent) != index:
            yield error(("parentRefs", index), f"is the same as parentRefs[{spec.parent_refs.index(parent)}]")
        yield from check_namespace(parent.namespace or "", ("parentRefs", index, "namespace"))


def _check_match(match: HTTPRouteMatch, at: Path) -> Iterator[Finding]:
    yield from _check_path(match.path, (*at, "path", "value"))
    tests = [(("headers", i), test.type, test.value) for i, test in enumerate(match.headers)]
    tests += [(("queryParams", i), test.type, test.value) for i, test in enumerate(match.query_params)]
    for place, how, value in tests:
        if how is MatchType.REGULAR_EXPRESSION:
            yield from _check_regex(value, (*at, *place, "value"))


def _check_path(path: HTTPPathMatch, at: Path) -> Iterator[Finding]:
    if path.type is PathMatchType.REGULAR_EXPRESSION:
        yield from _check_regex(path.value, at)
    elif not path.value.startswith("/"):
        yield error(at, f"must begin with '/', got {path.value!r}")
    elif "//" in path.value or any(part in (".", "..") for part in path.value.split("/")):
        yield error(at, f"must have no '//', '.' or '..' in it, got {path.value!r}: requests are normalised first")
    elif any(mark in path.value for mark in "?#"):
        yield error(at, f"must be a path alone, without query or fragment, got {path.value!r}")


def _check_regex(text: str, at: Path) -> Iterator[Finding]:
    try:
        syntax.check_regex(text)
    except ValueError as failure:
        yield error(at, str(failure))


def _check_method(method: GRPCMethodMatch, at: Path) -> Iterator[Finding]:
    if not method.service and not method.method:
        yield error(at, "needs at least one of service, method")
    for name, value in (("service", method.service), ("method", method.method)):
        if method.type is MatchType.REGULAR_EXPRESSION and value:
            yield from _check_regex(value, (*at, name))
        elif "/" in value:
            yield error((*at, name), f"must have no '/', got {value!r}")


def _check_backend(backend: BackendObjectReference, at: Path) -> Iterator[Finding]:
    yield from check_namespace(backend.namespace or "", (*at, "namespace"))
    if not backend.group and backend.kind == "Service" and backend.port is None:
        yield error((*at, "port"), "is required for a Service")


def _check_filters(filters: tuple[GRPCRouteFilter, ...], at: Path) -> Iterator[Finding]:
    for index, step in enumerate(filters):
        wanted = _FIELDS[step.type.value]
        for name in _FIELDS.values():
            is_there = getattr(step, name, None) is not None
            if name == wanted and not is_there:
                yield error((*at, index, _written(name)), f"is required for type {step.type}")
            elif name != wanted and is_there:
                yield error((*at, index, _written(name)), f"does not go with type {step.type}")
        yield from _check_step(step, (*at, index))
    counted = Counter(step.type.value for step in filters)
    for name, times in counted.items():
        if times > 1 and name not in _REPEATED:
            yield error(at, f"{name} may stand here once, it is there {times} times")
    if counted["RequestRedirect"] and counted["URLRewrite"]:
        yield error(at, "RequestRedirect and URLRewrite cannot stand together")


def _written(name: str) -> str:
    return "urlRewrite" if name == "url_rewrite" else camel_case(name)


def _check_step(step: GRPCRouteFilter, at: Path) -> Iterator[Finding]:
    for name, edits in (
        ("requestHeaderModifier", step.request_header_modifier),
        ("responseHeaderModifier", step.response_header_modifier),
    ):
        if edits is not None:
            yield from _check_edits(edits, (*at, name))
    if step.request_mirror is not None:
        yield from _check_backend(step.request_mirror.backend_ref, (*at, "requestMirror", "backendRef"))
        share = step.request_mirror.fraction
        if share is not None and share.numerator > share.denominator:
            yield error((*at, "requestMirror", "fraction"), "must be 1 at most")
    if not isinstance(step, HTTPRouteFilter):
        return
    redirect = step.request_redirect
    if redirect is not None:
        if redirect.scheme not in ("", "http", "https"):
            yield error((*at, "requestRedirect", "scheme"), f"must be http or https, got {redirect.scheme!r}")
        if redirect.status_code not in REDIRECT_CODES:
            codes = ", ".join(map(str, REDIRECT_CODES))
            yield error((*at, "requestRedirect", "statusCode"), f"must be one of {codes}, got {redirect.status_code}")
        yield from _check_modifier(redirect.path, (*at, "requestRedirect", "path"))
    if step.url_rewrite is not None:
        yield from _check_modifier(step.url_rewrite.path, (*at, "urlRewrite", "path"))


def _check_edits(edits: HTTPHeaderFilter, at: Path) -> Iterator[Finding]:
    names = [*(entry.name for entry in (*edits.set, *edits.add)), *edits.remove]
    for name, times in Counter(name.lower() for name in names).items():
        if times > 1:
            yield error(at, f"header {name} may be edited once, it is there {times} times")
    for name, entries in (("set", edits.set), ("add", edits.add)):
        for index, entry in enumerate(entries):
            if any(character in entry.value for character in "\0\r\n"):
                yield error((*at, name, index, "value"), "must not contain line breaks or NUL")


def _check_modifier(path: HTTPPathModifier | None, at: Path) -> Iterator[Finding]:
    if path is None:
        return
    full = path.type is PathModifierType.REPLACE_FULL_PATH
    wanted, other = ("replaceFullPath", "replacePrefixMatch") if full else ("replacePrefixMatch", "replaceFullPath")
    values = {"replaceFullPath": path.replace_full_path, "replacePrefixMatch": path.replace_prefix_match}
    if values[wanted] is None:
        yield error((*at, wanted), f"is required for type {path.type}")
    if values[other] is not None:
        yield error((*at, other), f"does not go with type {path.type}")


def _check_prefix_rewrites(rule: HTTPRouteRule, at: Path) -> Iterator[Finding]:
    """A prefix can be replaced only where one is matched."""
    has_prefix = all(match.path.type is PathMatchType.PATH_PREFIX for match in rule.matches)
    for index, step in enumerate(rule.filters):
        for name, path in (
            ("requestRedirect", step.request_redirect and step.request_redirect.path),
            ("urlRewrite", step.url_rewrite and step.url_rewrite.path),
        ):
            if path and path.type is PathModifierType.REPLACE_PREFIX_MATCH and not has_prefix:
                yield error(
                    (*at, "filters", index, name, "path"),
                    "ReplacePrefixMatch needs every match of this rule to be PathPrefix",
                )
