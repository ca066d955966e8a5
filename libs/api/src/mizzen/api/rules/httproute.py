"""HTTP routes: what may stand together, and what each action needs."""

from collections.abc import Iterator, Mapping

from mizzen.api.problem import Path
from mizzen.api.rules import Finding, check_labels, check_namespace, error, warning
from mizzen.api.rules.destination import check_destination, check_weights
from mizzen.api.rules.fault import check_fault
from mizzen.api.rules.operators import OPERATORS, unknown_operators
from mizzen.api.virtualservice import (
    CorsPolicy,
    Headers,
    HTTPDirectResponse,
    HTTPMatchRequest,
    HTTPRedirect,
    HTTPRetry,
    HTTPRewrite,
    HTTPRoute,
    StringMatch,
)
from mizzen.api.wording import suggestion

ACTIONS = ("route", "redirect", "directResponse", "delegate")
REDIRECT_CODES = (301, 302, 303, 307, 308)
CORS_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE", "*"})
RETRY_ON = frozenset(
    {
        "5xx", "gateway-error", "reset", "reset-before-request", "connect-failure", "retriable-4xx", "refused-stream",
        "retriable-status-codes", "retriable-headers", "envoy-ratelimited", "http3-post-connect-failure",
        "cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable",
    }
)  # fmt: skip
LARGE_BODY = 100 * 1024
MAX_BODY = 1024 * 1024


def check(http: HTTPRoute, at: Path, *, is_delegate: bool) -> Iterator[Finding]:
    """All rules of one HTTP route."""
    yield from _check_actions(http, at, is_delegate)
    for index, match in enumerate(http.match):
        yield from _check_match(match, (*at, "match", index))
    yield from _check_headers(http.headers, (*at, "headers"))
    if http.route:
        yield from check_weights(http.route, (*at, "route"))
    for index, destination in enumerate(http.route):
        yield from _check_headers(destination.headers, (*at, "route", index, "headers"))
    if http.redirect is not None:
        yield from _check_redirect(http.redirect, http.match, (*at, "redirect"))
    if http.direct_response is not None:
        yield from _check_direct_response(http.direct_response, (*at, "directResponse"))
    if http.rewrite is not None:
        yield from _check_rewrite(http.rewrite, http.headers, (*at, "rewrite"))
    if http.retries is not None:
        yield from _check_retries(http.retries, (*at, "retries"))
    if http.fault is not None:
        yield from check_fault(http.fault, (*at, "fault"))
    if http.cors_policy is not None:
        yield from _check_cors(http.cors_policy, (*at, "corsPolicy"))
    yield from _check_mirrors(http, at)


def _check_actions(http: HTTPRoute, at: Path, is_delegate: bool) -> Iterator[Finding]:
    present = {
        "route": bool(http.route),
        "redirect": http.redirect is not None,
        "directResponse": http.direct_response is not None,
        "delegate": http.delegate is not None,
    }
    found = [name for name in ACTIONS if present[name]]
    if not found:
        yield error(at, f"needs one of {', '.join(ACTIONS)}")
    for name in found[1:]:
        yield error((*at, name), f"cannot stand beside {found[0]}: a route has one of {', '.join(ACTIONS)}")
    if http.delegate is not None and is_delegate:
        yield error((*at, "delegate"), "a delegate (a VirtualService without hosts) cannot delegate further")
    if "redirect" in found or "directResponse" in found:
        for name in ("fault", "rewrite"):
            if getattr(http, name) is not None:
                yield error((*at, name), f"has no meaning beside {found[0]}, which answers without a destination")


def _check_match(match: HTTPMatchRequest, at: Path) -> Iterator[Finding]:
    for name in ("uri", "scheme", "method", "authority"):
        test: StringMatch | None = getattr(match, name)
        if test is not None and name != "uri":
            yield from _check_prefix(test, (*at, name))
    tests: Mapping[str, Mapping[str, StringMatch]] = {
        "headers": match.headers,
        "withoutHeaders": match.without_headers,
        "queryParams": match.query_params,
    }
    for name, named in tests.items():
        for key, value in named.items():
            yield from _check_prefix(value, (*at, name, key))
    yield from check_labels(match.source_labels, (*at, "sourceLabels"))
    yield from check_namespace(match.source_namespace, (*at, "sourceNamespace"))


def _check_prefix(test: StringMatch, at: Path) -> Iterator[Finding]:
    if test.prefix == "":
        yield error((*at, "prefix"), "must not be empty; to match any value write {} instead of a prefix")


def _check_headers(headers: Headers | None, at: Path) -> Iterator[Finding]:
    if headers is None:
        return
    for direction in ("request", "response"):
        operations = getattr(headers, direction)
        if operations is None:
            continue
        for name in ("set", "add"):
            for key, value in getattr(operations, name).items():
                if direction == "response":
                    yield from _check_not_authority(key, (*at, direction, name, key))
                if any(character in value for character in "\0\r\n"):
                    yield error((*at, direction, name, key), "must not contain line breaks or NUL")
                for operator in unknown_operators(value):
                    sentence = f"%{operator}% is no operator of Envoy{suggestion(operator, OPERATORS)}"
                    yield error((*at, direction, name, key), f"{sentence}; write %% for a percent sign")
        for index, key in enumerate(operations.remove):
            yield from _check_not_authority(key, (*at, direction, "remove", index))


def _check_not_authority(name: str, at: Path) -> Iterator[Finding]:
    if name.lower() in ("host", ":authority"):
        yield error(at, f"{name} can only be set in requests")


def _check_redirect(redirect: HTTPRedirect, matches: tuple[HTTPMatchRequest, ...], at: Path) -> Iterator[Finding]:
    if redirect.uri and redirect.prefix_rewrite:
        yield error((*at, "prefixRewrite"), "cannot stand beside uri")
    if redirect.prefix_rewrite and any(match.uri and match.uri.prefix is None for match in matches):
        yield error((*at, "prefixRewrite"), "needs every uri match of this route to be a prefix")
    has_port = redirect.port is not None or redirect.derive_port is not None
    if not (redirect.uri or redirect.prefix_rewrite or redirect.authority or redirect.scheme or has_port):
        yield error(at, "needs at least one of uri, prefixRewrite, authority, scheme, port, derivePort")
    if redirect.redirect_code is not None and redirect.redirect_code not in REDIRECT_CODES:
        codes = ", ".join(map(str, REDIRECT_CODES))
        yield error((*at, "redirectCode"), f"must be one of {codes}, got {redirect.redirect_code}")
    if redirect.scheme not in ("", "http", "https"):
        yield error((*at, "scheme"), f"must be http or https, got {redirect.scheme!r}")


def _check_direct_response(response: HTTPDirectResponse, at: Path) -> Iterator[Finding]:
    if not 200 <= response.status <= 599:
        yield error((*at, "status"), f"must be from 200 to 599, got {response.status}")
    if response.body is None:
        return
    size = len((response.body.string or "").encode()) + len(response.body.bytes or b"")
    if size > MAX_BODY:
        yield error((*at, "body"), f"may have 1 MiB, this one has {size} bytes")
    elif size > LARGE_BODY:
        yield warning((*at, "body"), f"is large ({size} bytes): it is sent to every proxy with the routes")


def _check_rewrite(rewrite: HTTPRewrite, headers: Headers | None, at: Path) -> Iterator[Finding]:
    regex = rewrite.uri_regex_rewrite
    if rewrite.uri and regex is not None:
        yield error((*at, "uriRegexRewrite"), "cannot stand beside uri")
    if not rewrite.uri and regex is None and not rewrite.authority:
        yield error(at, "needs at least one of uri, uriRegexRewrite, authority")
    if regex is not None and regex.match is None:
        yield error((*at, "uriRegexRewrite", "match"), "is required")
    if regex is not None and not regex.rewrite:
        yield error((*at, "uriRegexRewrite", "rewrite"), "is required")
    request = headers.request if headers is not None else None
    if rewrite.authority and request is not None:
        for name in (*request.set, *request.add):
            if name.lower() in ("host", ":authority"):
                yield error((*at, "authority"), f"the authority is set twice: here and by headers.request ({name})")


def _check_retries(retries: HTTPRetry, at: Path) -> Iterator[Finding]:
    extras = retries.per_try_timeout is not None or retries.retry_on or retries.retry_remote_localities is not None
    if retries.attempts == 0 and extras:
        yield error((*at, "attempts"), "is 0, which turns retries off, so the other fields have no effect")
    for condition in filter(None, retries.retry_on.split(",")):
        if condition not in RETRY_ON and not (condition.isdigit() and 100 <= int(condition) <= 599):
            yield error(
                (*at, "retryOn"), f"{condition!r} is neither a status code nor one of {', '.join(sorted(RETRY_ON))}"
            )


def _check_cors(cors: CorsPolicy, at: Path) -> Iterator[Finding]:
    for index, origin in enumerate(cors.allow_origins):
        if not (origin.exact or origin.prefix or origin.regex):
            yield error((*at, "allowOrigins", index), "needs one of exact, prefix, regex, and not empty")
    if cors.allow_origin:
        yield warning((*at, "allowOrigin"), "is deprecated; use allowOrigins with exact")
    for index, method in enumerate(cors.allow_methods):
        if method not in CORS_METHODS:
            yield error((*at, "allowMethods", index), f"{method!r} is not one of {', '.join(sorted(CORS_METHODS))}")
    if cors.max_age is not None and cors.max_age.microseconds:
        yield error((*at, "maxAge"), "must be whole seconds")


def _check_mirrors(http: HTTPRoute, at: Path) -> Iterator[Finding]:
    if http.mirror is not None:
        yield from check_destination(http.mirror, (*at, "mirror"))
    for index, mirror in enumerate(http.mirrors):
        yield from check_destination(mirror.destination, (*at, "mirrors", index, "destination"))
    if http.mirror is not None and http.mirrors:
        yield error((*at, "mirror"), "cannot stand beside mirrors")
    if http.mirror_percent is not None:
        yield warning((*at, "mirrorPercent"), "is deprecated; use mirrorPercentage with value")
