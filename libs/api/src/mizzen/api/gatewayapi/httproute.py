"""HTTPRoute: how HTTP requests at gateways or to services are routed."""

from enum import StrEnum

from mizzen.api.gatewayapi.filters import HTTPRouteFilter
from mizzen.api.gatewayapi.reference import BackendObjectReference, ParentReference, Weight
from mizzen.api.types import DurationOrZero, HeaderName, Host, Model


class PathMatchType(StrEnum):
    """How a path is compared; a prefix counts whole segments."""

    EXACT = "Exact"
    PATH_PREFIX = "PathPrefix"
    REGULAR_EXPRESSION = "RegularExpression"


class MatchType(StrEnum):
    """How a text is compared; regular expressions are RE2 and match as a whole."""

    EXACT = "Exact"
    REGULAR_EXPRESSION = "RegularExpression"


class HTTPPathMatch(Model):
    """A condition on the path."""

    type: PathMatchType = PathMatchType.PATH_PREFIX
    value: str = "/"


class HTTPHeaderMatch(Model):
    """A condition on a header."""

    type: MatchType = MatchType.EXACT
    name: HeaderName
    value: str


class HTTPQueryParamMatch(Model):
    """A condition on a parameter of the query."""

    type: MatchType = MatchType.EXACT
    name: str
    value: str


class HTTPMethod(StrEnum):
    """The methods that can be asked for."""

    GET = "GET"
    HEAD = "HEAD"
    POST = "POST"
    PUT = "PUT"
    DELETE = "DELETE"
    CONNECT = "CONNECT"
    OPTIONS = "OPTIONS"
    TRACE = "TRACE"
    PATCH = "PATCH"


class HTTPRouteMatch(Model):
    """Conditions that a request must all meet."""

    path: HTTPPathMatch = HTTPPathMatch()
    headers: tuple[HTTPHeaderMatch, ...] = ()
    query_params: tuple[HTTPQueryParamMatch, ...] = ()
    method: HTTPMethod | None = None


class HTTPBackendRef(BackendObjectReference):
    """A backend and its share of the requests."""

    weight: Weight = 1
    filters: tuple[HTTPRouteFilter, ...] = ()


class HTTPRouteTimeouts(Model):
    """Limits; 0s means none."""

    request: DurationOrZero | None = None
    backend_request: DurationOrZero | None = None


class HTTPRouteRule(Model):
    """What happens to requests that meet one of the matches (all requests without any)."""

    name: str = ""
    matches: tuple[HTTPRouteMatch, ...] = ()
    filters: tuple[HTTPRouteFilter, ...] = ()
    backend_refs: tuple[HTTPBackendRef, ...] = ()
    timeouts: HTTPRouteTimeouts | None = None


class HTTPRoute(Model):
    """Rules for the hosts that a parent and this route have in common."""

    parent_refs: tuple[ParentReference, ...] = ()
    hostnames: tuple[Host, ...] = ()
    rules: tuple[HTTPRouteRule, ...] = (HTTPRouteRule(),)
