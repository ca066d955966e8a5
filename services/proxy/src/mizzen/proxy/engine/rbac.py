"""Authorization bound from plans: each rule is one function of a subject.

Facts: envoy.config.rbac.v3; Envoy's RBAC filters. Paths and hosts are those that the router sees, already normalised.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final, NamedTuple, Protocol, TypeAlias

from mizzen.proxy.engine.match import bind_header, bind_metadata, bind_string, regex
from mizzen.proxy.engine.match_plan import HeaderMatch
from mizzen.proxy.engine.rbac_plan import (
    AllOf,
    AnyOf,
    Anything,
    Authenticated,
    Header,
    LocalPort,
    Metadata,
    Network,
    Not,
    PathTemplate,
    RbacPlan,
    Rule,
    ServerName,
    UrlPath,
)
from mizzen.proxy.engine.request import RequestView


class Subject(Protocol):
    """What is known of a request or connection that asks for entry."""

    @property
    def request(self) -> RequestView | None:
        """None on a TCP connection: conditions on it do not hold."""

    @property
    def peer_names(self) -> Sequence[bytes]:
        """Of the peer's verified certificate: its URIs, else its DNS names, else its subject; none without one."""

    @property
    def addresses(self) -> Mapping[str, str]:
        """IP addresses by end: peer, client, local."""

    @property
    def local_port(self) -> int: ...

    @property
    def server_name(self) -> str:
        """SNI of the connection."""

    def metadata(self, namespace: str, /) -> Mapping[str, object]:
        """What a filter found out, such as the claims of a token; empty for nothing."""


Predicate: TypeAlias = Callable[[Subject], bool]


class Decision(NamedTuple):
    """The outcome of one filter."""

    allowed: bool
    policy: str
    """The first one that matched; "" for none."""


class Guard:
    """One filter, bound."""

    __slots__ = ("_action", "_policies", "plan")

    def __init__(self, plan: RbacPlan) -> None:
        self.plan = plan
        self._action: Final = plan.action
        self._policies: Final = [(policy.name, bind_rule(policy.rule)) for policy in plan.policies]

    def decide(self, subject: Subject) -> Decision:
        """Whether it may come in, and which policy says so."""
        for name, matches in self._policies:
            if matches(subject):
                return Decision(self._action != "DENY", name)
        return Decision(self._action != "ALLOW", "")


def bind_rule(rule: Rule) -> Predicate:
    """A function of the subject; raises ValueError for a regular expression or block that is none."""
    match rule:
        case Anything():
            return lambda _: True
        case AllOf(rules):
            return _all([bind_rule(each) for each in rules])
        case AnyOf(rules):
            return _any([bind_rule(each) for each in rules])
        case Not(inner):
            holds = bind_rule(inner)
            return lambda subject: not holds(subject)
        case Header(header):
            return _of_request(_header(header))
        case UrlPath(text):
            is_path = bind_string(text)
            return _of_request(lambda request: is_path(request.path.partition(b"?")[0]))
        case PathTemplate(template):
            fullmatch = regex(template_pattern(template)).fullmatch
            return _of_request(lambda request: fullmatch(request.path.partition(b"?")[0]) is not None)
        case Network(end, block):
            return _network(end, block)
        case LocalPort(low, high):
            return lambda subject: low <= subject.local_port <= high
        case ServerName(text):
            is_name = bind_string(text)
            return lambda subject: is_name(subject.server_name.encode())
        case Authenticated(text):
            if text is None:
                return lambda subject: bool(subject.peer_names)
            is_peer = bind_string(text)
            return lambda subject: any(map(is_peer, subject.peer_names))
        case Metadata(match):
            found = bind_metadata(match)
            namespace = match.namespace
            return lambda subject: found(subject.metadata(namespace))


def template_pattern(template: str) -> str:
    """A URI template as a regular expression: `*` one segment that is not empty, `**` the rest, even none of it."""
    parts = []
    for segment in template.split("/"):
        if segment == "*":
            parts.append("[^/]+")
        elif segment == "**":
            parts.append(".*")
        else:
            parts.append("".join(f"\\{char}" if not char.isalnum() and char.isascii() else char for char in segment))
    return "/".join(parts)


def _all(predicates: Sequence[Predicate]) -> Predicate:
    if len(predicates) == 1:
        return predicates[0]

    def holds(subject: Subject) -> bool:
        for predicate in predicates:  # noqa: SIM110 - all() would make a generator for each request
            if not predicate(subject):
                return False
        return True

    return holds


def _any(predicates: Sequence[Predicate]) -> Predicate:
    if len(predicates) == 1:
        return predicates[0]

    def holds(subject: Subject) -> bool:
        for predicate in predicates:  # noqa: SIM110 - as above
            if predicate(subject):
                return True
        return False

    return holds


def _of_request(holds: Callable[[RequestView], bool]) -> Predicate:
    def of_subject(subject: Subject) -> bool:
        request = subject.request
        return request is not None and holds(request)

    return of_subject


def _header(plan: HeaderMatch) -> Callable[[RequestView], bool]:
    """Unlike in routes, each value of a header that comes several times counts for itself; one that matches will do."""
    holds = bind_header(plan).holds
    if plan.value is None or plan.name.startswith(":"):
        return holds
    name, is_value, invert = plan.name.encode(), bind_string(plan.value), plan.invert

    def of_request(request: RequestView) -> bool:
        value = request.header(name)
        if value is None or b"," not in value:
            return holds(request)
        return any(map(is_value, request.values(name))) != invert

    return of_request


def _network(end: str, block: str) -> Predicate:
    network = ip_network(block, strict=False)

    def holds(subject: Subject) -> bool:
        address = _address(subject.addresses.get(end, ""))
        return address is not None and address.version == network.version and address in network

    return holds


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """An IPv4 address that came in IPv6 clothes counts as itself; None for a Unix socket's."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
