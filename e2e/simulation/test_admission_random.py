"""Random policies and guests: what Pilot and our engine make of them is what Istio's reference says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from envoy.extensions.filters.http.rbac.v3 import rbac_pb2 as http_pb2
from envoy.extensions.filters.network.rbac.v3 import rbac_pb2 as network_pb2
from hypothesis import event, given, settings
from hypothesis import strategies as st
from simulation.harness.admission_reference import Guest, lets_in

from mizzen.api.resource import Metadata, Resource
from mizzen.api.security import AuthorizationPolicy
from mizzen.pilot.generate.authz.filters import Setting, http_filters, network_filters
from mizzen.proxy.engine.rbac import Guard
from mizzen.proxy.snapshot.rbac import rbac_filter

JWT = "envoy.filters.http.jwt_authn"
DOMAINS, NAMESPACES, ACCOUNTS = ("cluster.local", "other"), ("default", "bank"), ("web", "teller")
ISSUERS, SUBJECTS, GROUPS = ("https://a.com", "b"), ("me", "you"), ("admin", "staff")
ADDRESSES, HOSTS = ("10.0.0.1", "10.0.1.2", "2001:db8::7"), ("shop.com", "SHOP.com", "shop.com:80", "pay.shop.com")
PATHS, METHODS = ("/", "/admin", "/admin/a", "/a?b=/admin", "/b/admin"), ("GET", "POST")
REPEATED = "request.headers[X-Team]"
"""A condition on what may come several times: it deserves more attempts."""
VALUES: Mapping[str, tuple[str, ...]] = {
    "principals": ("cluster.local/ns/default/sa/web", "*", "cluster.local/*", "*/sa/teller", "other/ns/bank/*"),
    "namespaces": ("default", "def*", "*nk", "*"),
    "requestPrincipals": ("https://a.com/me", "*", "*/you", "b/*", "https://a.com/*"),
    "ipBlocks": ("10.0.0.1", "10.0.0.0/16", "2001:db8::/32"),
    "remoteIpBlocks": ("10.0.1.0/24", "2001:db8::7", "10.0.0.0/8"),
    "hosts": ("shop.com", "*.shop.com", "Shop.com:*", "*"),
    "methods": ("GET", "P*", "*"),
    "paths": ("/admin", "/admin*", "*/admin", "/", "*"),
    "ports": ("80", "9000"),
}
WHENS: Mapping[str, tuple[str, ...]] = {
    "source.principal": VALUES["principals"],
    "source.namespace": VALUES["namespaces"],
    "source.ip": VALUES["ipBlocks"],
    "remote.ip": VALUES["remoteIpBlocks"],
    REPEATED: ("blue", "b*", "*ed", "*"),
    "request.auth.principal": VALUES["requestPrincipals"],
    "request.auth.claims[groups]": ("admin", "st*", "*"),
    "destination.port": VALUES["ports"],
    "connection.sni": ("shop.com", "*.com", "*"),
}


def some(values: tuple[str, ...]) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(values), min_size=1, max_size=2, unique=True)


def holder(names: tuple[str, ...]) -> st.SearchStrategy[dict[str, list[str]]]:
    """Of some of these fields, as they are or negated."""
    fields = {name: some(VALUES[name]) for name in names}
    fields |= {f"not{name[0].upper()}{name[1:]}": some(VALUES[name]) for name in names}
    one = [st.fixed_dictionaries({name: values}) for name, values in fields.items()]
    return st.lists(st.one_of(one), min_size=1, max_size=2).map(
        lambda parts: {name: values for part in parts for name, values in part.items()}
    )


@st.composite
def conditions(draw: st.DrawFn) -> dict[str, Any]:
    key = draw(st.just(REPEATED) | st.sampled_from(sorted(WHENS)))
    names = draw(st.sampled_from((("values",), ("notValues",), ("values", "notValues"))))
    return {"key": key, **{name: draw(some(WHENS[key])) for name in names}}


SOURCES = holder(("principals", "namespaces", "requestPrincipals", "ipBlocks", "remoteIpBlocks"))
OPERATIONS = holder(("hosts", "methods", "paths", "ports"))
RULES = st.fixed_dictionaries(
    {},
    optional={
        "from": st.lists(SOURCES.map(lambda each: {"source": each}), min_size=1, max_size=2),
        "to": st.lists(OPERATIONS.map(lambda each: {"operation": each}), min_size=1, max_size=2),
        "when": st.lists(conditions(), min_size=1, max_size=2),
    },
)
POLICIES = st.lists(
    st.fixed_dictionaries(
        {"action": st.sampled_from(("ALLOW", "DENY")), "rules": st.lists(RULES, min_size=1, max_size=2)}
    ).map(AuthorizationPolicy.model_validate),
    min_size=1,
    max_size=3,
)
IDENTITIES = st.none() | st.tuples(st.sampled_from(DOMAINS), st.sampled_from(NAMESPACES), st.sampled_from(ACCOUNTS))
CLAIMS = st.fixed_dictionaries(
    {"iss": st.sampled_from(ISSUERS), "sub": st.sampled_from(SUBJECTS)},
    optional={"groups": st.sampled_from(GROUPS) | st.lists(st.sampled_from(GROUPS), min_size=1, unique=True)},
)
TEAMS = st.lists(st.sampled_from(("blue", "red", "")), max_size=2).map(tuple)
REQUESTS = st.builds(
    Guest,
    IDENTITIES,
    st.sampled_from(ADDRESSES),
    st.sampled_from(ADDRESSES),
    st.sampled_from((80, 9000)),
    st.sampled_from(("", "shop.com", "pay.com")),
    st.sampled_from(METHODS),
    st.sampled_from(HOSTS),
    st.sampled_from(PATHS),
    TEAMS.map(lambda values: {"x-team": values} if values else {}),
    st.just({}) | CLAIMS,
)
CONNECTIONS = st.builds(
    lambda identity, peer, port, name: Guest(identity, peer, peer, port, name),
    IDENTITIES,
    st.sampled_from(ADDRESSES),
    st.sampled_from((80, 9000)),
    st.sampled_from(("", "shop.com", "pay.com")),
)


@dataclass
class Request:
    """A guest as the engine sees its request."""

    guest: Guest
    scheme = b"http"

    @property
    def method(self) -> bytes:
        return self.guest.method.encode()

    @property
    def path(self) -> bytes:
        return self.guest.path.encode()

    @property
    def authority(self) -> bytes:
        return self.guest.host.encode()

    def header(self, name: bytes, /) -> bytes | None:
        found = self.guest.headers.get(name.decode())
        return None if found is None else ",".join(found).encode()

    def values(self, name: bytes, /) -> list[bytes]:
        return [each.encode() for each in self.guest.headers.get(name.decode(), ())]

    def metadata(self, namespace: str, /) -> Mapping[str, object]:
        return {"payload": self.guest.claims} if namespace == JWT and self.guest.claims else {}


@dataclass
class Subject:
    """A guest as the engine sees it."""

    guest: Guest

    @property
    def request(self) -> Any:
        return Request(self.guest) if self.guest.is_http else None

    @property
    def peer_names(self) -> tuple[bytes, ...]:
        return (f"spiffe://{self.guest.principal}".encode(),) if self.guest.identity else ()

    @property
    def addresses(self) -> Mapping[str, str]:
        return {"peer": self.guest.peer, "client": self.guest.client, "local": "10.9.9.9"}

    @property
    def local_port(self) -> int:
        return self.guest.port

    @property
    def server_name(self) -> str:
        return self.guest.server_name

    def metadata(self, namespace: str, /) -> Mapping[str, object]:
        return Request(self.guest).metadata(namespace)


def engine_lets_in(policies: list[AuthorizationPolicy], guest: Guest) -> bool:
    """Through Pilot's filters and our plans."""
    resources = [
        Resource("security.istio.io/v1", "AuthorizationPolicy", Metadata(name=f"p{index}"), policy)
        for index, policy in enumerate(policies)
    ]
    setting = Setting(("cluster.local",))
    made = http_filters(resources, setting) if guest.is_http else network_filters(resources, setting)
    for each in made:
        config = http_pb2.RBAC() if guest.is_http else network_pb2.RBAC()
        assert each.typed_config.Unpack(config)
        if not all(Guard(plan).decide(Subject(guest)).allowed for plan in rbac_filter(config)):
            return False
    return True


@settings(max_examples=500, deadline=None)
@given(POLICIES, REQUESTS)
def test_requests(policies: list[AuthorizationPolicy], guest: Guest) -> None:
    expected = lets_in(policies, guest)
    event(f"let in: {expected}")
    assert engine_lets_in(policies, guest) == expected


@settings(max_examples=200, deadline=None)
@given(POLICIES, CONNECTIONS)
def test_connections(policies: list[AuthorizationPolicy], guest: Guest) -> None:
    expected = lets_in(policies, guest)
    event(f"let in: {expected}")
    assert engine_lets_in(policies, guest) == expected
