"""The route table: from a request to its route. `find` runs per request; `explain` walks the same nodes in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from mizzen.proxy.base.authority import without_port
from mizzen.proxy.engine.match import Condition, Test, bind_conditions, bind_string, describe
from mizzen.proxy.engine.plan import RoutePlan, RouteTablePlan, VirtualHostPlan
from mizzen.proxy.engine.request import RequestView
from mizzen.proxy.engine.route import Route, bind_route, tls_redirect

Node: TypeAlias = tuple[bytes | None, Test | None, tuple[Callable[[RequestView], bool], ...], Route]
"""A route as `find` walks it: prefix of the path, else a test of the path; further conditions; the route."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that `explain` looked at."""

    what: str
    """`virtual host` or `route`."""
    name: str
    matched: bool
    why: str
    """The domain or conditions that matched, or the first condition that failed."""
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Explanation:
    """How a route was found: everything that was tried, in order, and what `find` returns."""

    steps: tuple[Step, ...]
    route: Route | None


class VirtualHost:
    """The routes of some domains."""

    __slots__ = ("explanations", "name", "nodes", "tls_redirect")

    def __init__(self, plan: VirtualHostPlan, table: RouteTablePlan) -> None:
        self.name = plan.name
        self.tls_redirect = tls_redirect(plan, table) if plan.require_tls else None
        """The answer to every request that did not come over TLS."""
        bound = [_bind_node(route, plan, table) for route in plan.routes]
        self.nodes: tuple[Node, ...] = tuple(node for node, _ in bound)
        self.explanations: tuple[tuple[str, tuple[Condition, ...]], ...] = tuple(words for _, words in bound)
        """Beside each node: its path condition in words, and its further conditions."""


class RouteTable:
    """A RouteConfiguration ready to run."""

    __slots__ = ("_default", "_exact", "_ignore_port", "_only_default", "_prefixes", "_suffixes", "name")

    def __init__(self, plan: RouteTablePlan) -> None:
        self.name = plan.name
        self._ignore_port = plan.ignore_port
        self._default: VirtualHost | None = None
        self._exact: dict[bytes, VirtualHost] = {}
        self._suffixes: list[tuple[bytes, VirtualHost]] = []
        self._prefixes: list[tuple[bytes, VirtualHost]] = []
        seen: set[bytes] = set()
        for host_plan in plan.hosts:
            host = VirtualHost(host_plan, plan)
            for domain in host_plan.domains:
                wire = domain.lower().encode()
                if wire in seen:
                    raise ValueError(f"route table {plan.name!r}: domain {domain!r} appears twice")
                seen.add(wire)
                self._add(wire, host)
        self._suffixes.sort(key=_longest_first)
        self._prefixes.sort(key=_longest_first)
        self._only_default = not (self._exact or self._suffixes or self._prefixes)

    def _add(self, domain: bytes, host: VirtualHost) -> None:
        if domain == b"*":
            self._default = host
        elif domain.startswith(b"*"):
            self._suffixes.append((domain[1:], host))
        elif domain.endswith(b"*"):
            self._prefixes.append((domain[:-1], host))
        elif not (self._ignore_port and without_port(domain) != domain):  # else no host can equal it
            self._exact[domain] = host

    def find(self, request: RequestView) -> Route | None:
        """The route of a request: the first one that matches in the virtual host of its authority."""
        if self._only_default:
            host = self._default
        else:
            host = self._exact.get(request.authority) or self._select(request.authority)[1]
        if host is None:
            return None
        if host.tls_redirect is not None and request.scheme != b"https":
            return host.tls_redirect
        path = request.path
        mark = path.find(b"?")
        if mark >= 0:
            path = path[:mark]
        for prefix, test, conditions, route in host.nodes:
            if prefix is not None:
                if not path.startswith(prefix):
                    continue
            elif not test(path):  # type: ignore[misc]  # a node without a prefix has a test
                continue
            for holds in conditions:
                if not holds(request):
                    break
            else:
                return route
        return None

    def _select(self, authority: bytes) -> tuple[bytes, VirtualHost | None]:
        """Domain and virtual host by Envoy's order: exact, longest suffix wildcard, longest prefix wildcard, `*`."""
        host = authority.lower()
        if self._ignore_port:
            host = without_port(host)
        found = self._exact.get(host)
        if found is not None:
            return host, found
        size = len(host)
        for suffix, candidate in self._suffixes:
            if size > len(suffix) and host.endswith(suffix):
                return b"*" + suffix, candidate
        for prefix, candidate in self._prefixes:
            if size > len(prefix) and host.startswith(prefix):
                return prefix + b"*", candidate
        return b"*", self._default

    def explain(self, request: RequestView) -> Explanation:
        """What `find` does, step by step."""
        domain, host = self._select(request.authority)
        authority = request.authority.decode(errors="replace")
        if host is None:
            return Explanation((Step("virtual host", "", False, f'no domain matches "{authority}"'),), None)
        steps = [Step("virtual host", host.name, True, f'domain "{domain.decode()}" matches "{authority}"')]
        if host.tls_redirect is not None and request.scheme != b"https":
            steps.append(Step("route", "", True, "plaintext request to a virtual host that requires TLS"))
            return Explanation(tuple(steps), host.tls_redirect)
        path = request.path.partition(b"?")[0]
        for node, words in zip(host.nodes, host.explanations, strict=True):
            step = _explain_node(node, words, path, request)
            steps.append(step)
            if step.matched:
                return Explanation(tuple(steps), node[3])
        return Explanation(tuple(steps), None)


def bind_table(plan: RouteTablePlan) -> RouteTable:
    """Make a route table runnable; ValueError says what cannot be."""
    return RouteTable(plan)


def _longest_first(entry: tuple[bytes, VirtualHost]) -> int:
    return -len(entry[0])


def _bind_node(
    plan: RoutePlan, host: VirtualHostPlan, table: RouteTablePlan
) -> tuple[Node, tuple[str, tuple[Condition, ...]]]:
    match = plan.match
    conditions = bind_conditions(match)
    plain_prefix = match.path.kind == "prefix" and not match.path.ignore_case
    node: Node = (
        match.path.value.encode() if plain_prefix else None,
        None if plain_prefix else bind_string(match.path),
        tuple(condition.holds for condition in conditions),
        bind_route(plan, host, table),
    )
    return node, (f"path {describe(match.path)}", conditions)


def _explain_node(node: Node, words: tuple[str, tuple[Condition, ...]], path: bytes, request: RequestView) -> Step:
    prefix, test, _, route = node
    path_text, conditions = words
    if not (path.startswith(prefix) if prefix is not None else test is not None and test(path)):
        return Step("route", route.name, False, f"not: {path_text}", route.origin)
    for condition in conditions:
        if not condition.holds(request):
            return Step("route", route.name, False, f"not: {condition.text}", route.origin)
    held = " and ".join((path_text, *(condition.text for condition in conditions)))
    return Step("route", route.name, True, held, route.origin)
