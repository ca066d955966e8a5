"""What consistent hashing hashes."""

from __future__ import annotations

from typing import Any

from envoy.config.route.v3 import route_components_pb2 as route_pb2

from mizzen.api.destinationrule import ConsistentHashLB, LoadBalancerSettings
from mizzen.pilot.generate.protos import duration


def hash_policies(settings: LoadBalancerSettings | None) -> list[Any]:
    """The hash policy of a route whose destination is balanced so; none for other balancers."""
    if settings is None or settings.consistent_hash is None:
        return []
    policy = route_pb2.RouteAction.HashPolicy()
    return [policy] if _fill(policy, settings.consistent_hash) else []


def _fill(policy: Any, hashing: ConsistentHashLB) -> bool:
    if hashing.http_header_name is not None:
        policy.header.header_name = hashing.http_header_name
    elif hashing.http_cookie is not None:
        cookie = hashing.http_cookie
        policy.cookie.name = cookie.name
        policy.cookie.path = cookie.path
        if cookie.ttl is not None:
            policy.cookie.ttl.CopyFrom(duration(cookie.ttl))
        for attribute in cookie.attributes:
            policy.cookie.attributes.add(name=attribute.name, value=attribute.value)
    elif hashing.use_source_ip:
        policy.connection_properties.source_ip = True
    elif hashing.http_query_parameter_name is not None:
        policy.query_parameter.name = hashing.http_query_parameter_name
    else:
        return False
    return True
