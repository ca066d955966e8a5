"""GRPCRoute: how gRPC calls are routed."""

from mizzen.api.gatewayapi.filters import GRPCRouteFilter
from mizzen.api.gatewayapi.httproute import HTTPHeaderMatch, MatchType
from mizzen.api.gatewayapi.reference import BackendObjectReference, ParentReference, Weight
from mizzen.api.types import Host, Model


class GRPCMethodMatch(Model):
    """A condition on service and method; what is unset may be anything."""

    type: MatchType = MatchType.EXACT
    service: str = ""
    method: str = ""


class GRPCRouteMatch(Model):
    """Conditions that a call must all meet."""

    method: GRPCMethodMatch | None = None
    headers: tuple[HTTPHeaderMatch, ...] = ()


class GRPCBackendRef(BackendObjectReference):
    """A backend and its share of the calls."""

    weight: Weight = 1
    filters: tuple[GRPCRouteFilter, ...] = ()


class GRPCRouteRule(Model):
    """What happens to calls that meet one of the matches (all calls without any)."""

    name: str = ""
    matches: tuple[GRPCRouteMatch, ...] = ()
    filters: tuple[GRPCRouteFilter, ...] = ()
    backend_refs: tuple[GRPCBackendRef, ...] = ()


class GRPCRoute(Model):
    """Rules for the hosts that a parent and this route have in common."""

    parent_refs: tuple[ParentReference, ...] = ()
    hostnames: tuple[Host, ...] = ()
    rules: tuple[GRPCRouteRule, ...] = ()
