"""Every condition of an AuthorizationPolicy, in each form of its values, and visitors that meet it or do not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from simulation.harness.admission import PORTS, Speaks, Visitor, Workload

from mizzen.runtime.address import unused_port

Place = Literal["from", "to", "when"]


@dataclass(frozen=True)
class Condition:
    """One attribute with one value."""

    place: Place
    name: str
    value: str
    meets: tuple[Visitor, ...]
    fails: tuple[Visitor, ...]
    """Those that have another value, and those that have none."""
    http_only: bool = False
    """A connection of bytes has no such attribute."""
    only: Speaks | Literal[""] = ""
    """The one port on which it is met at all."""

    def __str__(self) -> str:
        return f"{self.name} {self.value}"

    def rule(self, *, negated: bool) -> str:
        """Of a policy, YAML in one line."""
        if self.place == "when":
            values = "notValues" if negated else "values"
            return f"{{when: [{{key: '{self.name}', {values}: ['{self.value}']}}]}}"
        name = f"not{self.name[0].upper()}{self.name[1:]}" if negated else self.name
        holder = {"from": "source", "to": "operation"}[self.place]
        return f"{{{self.place}: [{{{holder}: {{{name}: ['{self.value}']}}}}]}}"

    def holds(self, speaks: Speaks, visitor: Visitor) -> bool:
        """On this port."""
        return visitor in self.meets and self.only in ("", speaks)


PLAIN = Visitor()
WEB, BANK = Visitor("default/web"), Visitor("bank/teller")
NEAR, FAR = Visitor(address="127.0.0.2"), Visitor(address="127.0.1.9")
BEHIND = {ip: Visitor(headers=(("x-forwarded-for", ip),)) for ip in ("203.0.113.9", "203.0.114.9", "2001:db8::7")}
SPOOFED = Visitor(headers=(("x-forwarded-for", "203.0.113.9, 203.0.114.9"),))
BLUE, RED = Visitor(headers=(("x-team", "blue"),)), Visitor(headers=(("X-Team", "red"),))
EMPTY, BOTH = Visitor(headers=(("x-team", ""),)), Visitor(headers=(("x-team", "blue"), ("x-team", "red")))
NAMED = {name: replace(WEB, server_name=name) for name in ("shop.example.com", "pay.example.com")}
UNNAMED = replace(WEB, server_name="")


def _asking(paths: Iterable[str]) -> tuple[Visitor, ...]:
    return tuple(Visitor(path=path) for path in paths)


def _identity(name: str, key: str, value: str, meets: tuple[Visitor, ...]) -> Iterator[Condition]:
    """As a field of `from.source`, and as a key of `when`."""
    fails = tuple(each for each in (PLAIN, WEB, BANK) if each not in meets)
    yield Condition("from", name, value, meets, fails)
    yield Condition("when", key, value, meets, fails)


def _identities() -> Iterator[Condition]:
    for value, meets in (
        ("cluster.local/ns/default/sa/web", (WEB,)),
        ("cluster.local/ns/default/*", (WEB,)),
        ("*/sa/web", (WEB,)),
        ("*", (WEB, BANK)),
        ("cluster.local/ns/default/sa/we", ()),
        ("other.domain/ns/default/sa/web", ()),
    ):
        yield from _identity("principals", "source.principal", value, meets)
    for value, meets in (("default", (WEB,)), ("def*", (WEB,)), ("*nk", (BANK,)), ("*", (WEB, BANK)), ("fault", ())):
        yield from _identity("namespaces", "source.namespace", value, meets)
    for value, meets in (("web", (WEB,)), ("bank/teller", (BANK,)), ("teller", ()), ("default/we", ())):
        yield from _identity("serviceAccounts", "source.serviceAccount", value, meets)
    for value, meets in (("cluster.local", (WEB, BANK)), ("*.local", (WEB, BANK)), ("*", (WEB, BANK)), ("local", ())):
        yield from _identity("trustDomains", "source.trustDomain", value, meets)


def _addresses() -> Iterator[Condition]:
    direct: tuple[tuple[Place, str], ...] = (("from", "ipBlocks"), ("when", "source.ip"))
    for place, name in direct:
        yield Condition(place, name, "127.0.0.2", (NEAR,), (PLAIN, FAR, BEHIND["203.0.113.9"]))
        yield Condition(place, name, "127.0.0.0/24", (NEAR, PLAIN), (FAR,))
        yield Condition(place, name, "2001:db8::/32", (), (NEAR, FAR))
    first, second, sixth = BEHIND.values()
    remote: tuple[tuple[Place, str], ...] = (("from", "remoteIpBlocks"), ("when", "remote.ip"))
    for place, name in remote:
        yield Condition(place, name, "203.0.113.0/24", (first,), (second, sixth, SPOOFED, PLAIN), only="http")
        yield Condition(place, name, "2001:db8::7", (sixth,), (first, PLAIN), only="http")
        yield Condition(place, name, "127.0.0.2", (NEAR,), (PLAIN, FAR))
    yield Condition("when", "destination.ip", "127.0.0.1", (PLAIN, WEB), ())
    yield Condition("when", "destination.ip", "127.0.0.0/8", (PLAIN, WEB), ())
    yield Condition("when", "destination.ip", "10.0.0.0/8", (), (PLAIN, WEB))


def _operations() -> Iterator[Condition]:
    def to(name: str, value: str, meets: tuple[Visitor, ...], fails: tuple[Visitor, ...]) -> Condition:
        return Condition("to", name, value, meets, fails, http_only=True)

    shop, loud, ported, other = (
        Visitor(host=host) for host in ("shop.com", "SHOP.com", "shop.com:9080", "shop.com.evil.org")
    )
    yield to("hosts", "shop.com", (shop, loud), (ported, other))
    yield to("hosts", "Shop.com", (shop, loud), (ported, other))
    yield to("hosts", "shop.com*", (shop, loud, ported, other), (Visitor(host="shop"),))
    yield to("hosts", "*.com", (shop, loud), (ported, other))
    yield to("hosts", "*", (shop, ported), ())
    get, put, post = (Visitor(method=method) for method in ("GET", "PUT", "POST"))
    yield to("methods", "GET", (get,), (put, post))
    yield to("methods", "P*", (put, post), (get,))
    yield to("methods", "*T", (get, put, post), (Visitor(method="DELETE"),))
    yield to("methods", "*", (get, put), ())
    for value, meets, fails in PATHS:
        yield to("paths", value, _asking(meets), _asking(fails))


PATHS: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("/shop/cart", ("/shop/cart", "/shop/cart?id=1", "/shop/./cart", "/a/../shop/cart", "/shop/%63art"),
     ("/shop/cart/", "/shop//cart", "/Shop/cart", "/shop/cart;v=1", "/?/shop/cart", "/shop%2Fcart")),
    ("/shop/*", ("/shop/", "/shop/cart", "/shop//x", "/a/../shop/x"), ("/shop", "/shops/x", "/shop/../a")),
    ("*/cart", ("/shop/cart?id=1", "/cart"), ("/cart/x", "/x?y=/cart")),
    ("*", ("/", "/shop"), ()),
    ("/shop/{*}", ("/shop/cart", "/shop/a.b?x=y"), ("/shop/", "/shop/a/b", "/shops/a", "/shop")),
    ("/shop/{**}", ("/shop/", "/shop/cart", "/shop/a/b"), ("/shop", "/shops/a")),
    ("/{*}/cart", ("/shop/cart", "/a/cart"), ("/cart", "/a/b/cart")),
    ("/shop/{**}/end", ("/shop/a/end", "/shop/a/b/end"), ("/shop/end", "/shop/a/ending")),
)  # fmt: skip


def _headers() -> Iterator[Condition]:
    def when(key: str, value: str, meets: tuple[Visitor, ...], fails: tuple[Visitor, ...]) -> Condition:
        return Condition("when", key, value, meets, fails, http_only=True)

    yield when("request.headers[x-team]", "blue", (BLUE, BOTH), (RED, EMPTY, PLAIN))
    yield when("request.headers[X-Team]", "blue", (BLUE,), (RED, PLAIN))
    yield when("request.headers[x-team]", "bl*", (BLUE, BOTH), (RED, EMPTY, PLAIN))
    yield when("request.headers[x-team]", "*ed", (RED, BOTH), (BLUE, EMPTY, PLAIN))
    yield when("request.headers[x-team]", "*", (BLUE, RED, BOTH, EMPTY), (PLAIN,))
    yield when("request.headers[host]", "shop.com", (PLAIN,), (Visitor(host="a.b"),))
    yield when("request.headers[:method]", "PUT", (Visitor(method="PUT"),), (PLAIN,))
    for key in ("request.auth.principal", "request.auth.audiences", "request.auth.presenter", "request.auth.claims[a]"):
        yield when(key, "*", (), (PLAIN, WEB))
        yield when(key, "a", (), (PLAIN, WEB))
    yield Condition("from", "requestPrincipals", "*", (), (PLAIN, WEB), http_only=True)


def _connections() -> Iterator[Condition]:
    yield Condition("to", "ports", "{http}", (PLAIN, WEB), (), only="http")
    yield Condition("when", "destination.port", "{http}", (PLAIN, WEB), (), only="http")
    yield Condition("when", "destination.port", "{tcp}", (PLAIN, WEB), (), only="tcp")
    yield Condition("to", "ports", "1", (), (PLAIN, WEB))
    shop, pay = NAMED.values()
    yield Condition("when", "connection.sni", "shop.example.com", (shop,), (pay, PLAIN, UNNAMED))
    yield Condition("when", "connection.sni", "shop.*", (shop,), (pay, PLAIN, UNNAMED))
    yield Condition("when", "connection.sni", "*.example.com", (shop, pay), (WEB, PLAIN, UNNAMED))
    yield Condition("when", "connection.sni", "*", (shop, pay, WEB), (PLAIN, UNNAMED))
    yield Condition("when", "experimental.envoy.filters.network.odd[key]", "a", (), (PLAIN, WEB))


CONDITIONS = (*_identities(), *_addresses(), *_operations(), *_headers(), *_connections())


@dataclass(frozen=True)
class Policy:
    """A workload under one condition or its contrary."""

    condition: Condition
    negated: bool
    workload: Workload

    def expected(self) -> dict[str, bool]:
        """Whether each visitor is let in at each port."""
        return {f"{speaks}: {visitor}": self._lets_in(speaks, visitor) for speaks, visitor in self.visits()}

    def visits(self) -> Iterator[tuple[Speaks, Visitor]]:
        """What is tried: requests of all, connections of those that differ in more than their request."""
        everybody = (*self.condition.meets, *self.condition.fails)
        yield from (("http", visitor) for visitor in everybody)
        yield from (("tcp", visitor) for visitor in (everybody[:1] if self.condition.http_only else everybody))

    def _lets_in(self, speaks: Speaks, visitor: Visitor) -> bool:
        """In Istio's words: what bytes lack never allows, and never spares from being denied."""
        if speaks == "tcp" and self.condition.http_only:
            return False
        matches = self.condition.holds(speaks, visitor) != self.negated
        return matches if self.workload.action == "ALLOW" else not matches


def _policies(condition: Condition) -> Iterator[Policy]:
    for action in ("ALLOW", "DENY"):
        for negated in (False, True):
            ports = {speaks: unused_port() for speaks in PORTS} if condition.value in ("{http}", "{tcp}") else PORTS
            yield Policy(condition, negated, Workload(action, condition.rule(negated=negated), ports))


POLICIES = {str(condition): tuple(_policies(condition)) for condition in CONDITIONS}
assert len(POLICIES) == len(CONDITIONS)
