"""Route choice as the documents describe it, straight from the plan: slow, obvious, never shipped.

It shares nothing with the compiled table but the plans, so that an error has to be made twice to stay unseen.
"""

from __future__ import annotations

import re

from mizzen.proxy.engine.match_plan import HeaderMatch, PathMatch, QueryMatch, StringMatch
from mizzen.proxy.engine.plan import RoutePlan, RouteTablePlan, VirtualHostPlan


def choose_host(plan: RouteTablePlan, authority: str) -> VirtualHostPlan | None:
    """Exact, then the longest `*.suffix`, then the longest `prefix.*`, then `*`."""
    host = authority.lower()
    if plan.ignore_port:
        host = re.sub(r":[^\]:]*$", "", host)
    best: tuple[int, int] = (0, 0)
    chosen = None
    for candidate in plan.hosts:
        for domain in candidate.domains:
            rank = domain_rank(domain.lower(), host)
            if rank > best:
                best, chosen = rank, candidate
    return chosen


def domain_rank(domain: str, host: str) -> tuple[int, int]:
    """(kind of match, length); greater is better, (0, 0) is no match. A wildcard stands for at least one character."""
    if domain == "*":
        return (1, 0)
    if domain.startswith("*"):
        return (3, len(domain)) if host.endswith(domain[1:]) and len(host) >= len(domain) else (0, 0)
    if domain.endswith("*"):
        return (2, len(domain)) if host.startswith(domain[:-1]) and len(host) >= len(domain) else (0, 0)
    return (4, 0) if domain == host else (0, 0)


def choose_route(plan: RouteTablePlan, request: dict[str, str]) -> tuple[str, RoutePlan | None]:
    """("none" | "tls" | "route", the plan). `request` has `:authority`, `:path`, `:scheme`, `:method` and headers."""
    host = choose_host(plan, request[":authority"])
    if host is None:
        return ("none", None)
    if host.require_tls and request[":scheme"] != "https":
        return ("tls", None)
    for route in host.routes:
        if route_matches(route, request):
            return ("route", route)
    return ("none", None)


def route_matches(route: RoutePlan, request: dict[str, str]) -> bool:
    bare_path = request[":path"].split("?")[0]
    return (
        text_matches(route.match.path, bare_path)
        and all(header_matches(condition, request) for condition in route.match.headers)
        and all(query_matches(condition, request[":path"]) for condition in route.match.query)
    )


def text_matches(match: StringMatch | PathMatch, text: str) -> bool:
    if match.kind == "regex":
        return re.fullmatch(match.value, text) is not None
    value = match.value
    if match.ignore_case:
        value, text = value.lower(), text.lower()
    return {
        "exact": text == value,
        "prefix": text.startswith(value),
        "suffix": text.endswith(value),
        "contains": value in text,
    }[match.kind]


def header_matches(condition: HeaderMatch, request: dict[str, str]) -> bool:
    present = condition.name in request
    if condition.value is None:
        return present != condition.invert
    if not present and not condition.treat_missing_as_empty:
        return False
    return text_matches(condition.value, request.get(condition.name, "")) != condition.invert


def query_matches(condition: QueryMatch, path: str) -> bool:
    query = path.split("?", 1)[1] if "?" in path else None
    if query is None:
        return False
    for pair in query.split("&"):
        name, value = pair.split("=", 1) if "=" in pair else (pair, "")
        if name == condition.name:
            return condition.value is None or text_matches(condition.value, value)
    return False
