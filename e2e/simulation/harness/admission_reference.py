"""Who is let in, read off Istio's reference of AuthorizationPolicy sentence by sentence; slow, and known to be right.

Source: istio.io/latest/docs/reference/config/security/authorization-policy and .../conditions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network

from mizzen.api.security import (
    AuthorizationAction,
    AuthorizationPolicy,
    AuthorizationRule,
    Condition,
    Operation,
    Source,
)


@dataclass(frozen=True)
class Guest:
    """A request, or without a method a connection."""

    identity: tuple[str, str, str] | None
    """Trust domain, namespace and service account, where mutual TLS proves them."""
    peer: str
    client: str
    """Behind trusted proxies; of a connection it is the peer."""
    port: int
    server_name: str = ""
    method: str = ""
    host: str = ""
    path: str = ""
    headers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    claims: Mapping[str, str | list[str]] = field(default_factory=dict)
    """Of a verified token."""

    @property
    def is_http(self) -> bool:
        return bool(self.method)

    @property
    def principal(self) -> str:
        """Empty for none."""
        return "{}/ns/{}/sa/{}".format(*self.identity) if self.identity else ""


Holds = Callable[[Guest], bool]


def lets_in(policies: Sequence[AuthorizationPolicy], guest: Guest) -> bool:
    """Denials first; then one ALLOW must fit, unless there is none."""
    of = {action: [p for p in policies if p.action is action] for action in AuthorizationAction}
    if any(_matches(rule, guest, denies=True) for p in of[AuthorizationAction.DENY] for rule in p.rules or ()):
        return False
    allows = of[AuthorizationAction.ALLOW]
    return not allows or any(_matches(rule, guest, denies=False) for p in allows for rule in p.rules or ())


def _matches(rule: AuthorizationRule, guest: Guest, *, denies: bool) -> bool:
    """On a connection a condition that only HTTP has makes an ALLOW unusable, and is left out of a DENY."""
    froms = [_source(each.source) for each in rule.from_ or () if each.source] or [[]]
    tos = [_operation(each.operation) for each in rule.to or () if each.operation] or [[]]
    whens = [_condition(each) for each in rule.when]
    everything = [one for group in (*froms, *tos, whens) for one in group]
    if not guest.is_http:
        if not denies and any(only_http for only_http, _ in everything):
            return False
        froms, tos = [_usable(each) for each in froms], [_usable(each) for each in tos]
        whens = _usable(whens)
    return (
        any(all(holds(guest) for _, holds in each) for each in froms)
        and any(all(holds(guest) for _, holds in each) for each in tos)
        and all(holds(guest) for _, holds in whens)
    )


Check = tuple[bool, Holds]
"""Whether only HTTP has it, and the condition."""


def _usable(checks: Iterable[Check]) -> list[Check]:
    return [check for check in checks if not check[0]]


def _source(source: Source) -> list[Check]:
    return [
        *_both(source.principals, source.not_principals, "source.principal"),
        *_both(source.namespaces, source.not_namespaces, "source.namespace"),
        *_both(source.request_principals, source.not_request_principals, "request.auth.principal"),
        *_both(source.ip_blocks, source.not_ip_blocks, "source.ip"),
        *_both(source.remote_ip_blocks, source.not_remote_ip_blocks, "remote.ip"),
    ]


def _operation(operation: Operation) -> list[Check]:
    return [
        *_both(operation.hosts, operation.not_hosts, "hosts"),
        *_both(operation.methods, operation.not_methods, "methods"),
        *_both(operation.paths, operation.not_paths, "paths"),
        *_both(operation.ports, operation.not_ports, "destination.port"),
    ]


def _condition(condition: Condition) -> Check:
    checks = _both(condition.values, condition.not_values, condition.key)
    return checks[0][0], lambda guest: all(holds(guest) for _, holds in checks)


def _both(values: Sequence[str], not_values: Sequence[str], key: str) -> list[Check]:
    only_http = key in ("hosts", "methods", "paths") or key.startswith("request.")
    checks: list[Check] = []
    if values:
        checks.append((only_http, lambda guest: any(_has(guest, key, value) for value in values)))
    if not_values:
        checks.append((only_http, lambda guest: not any(_has(guest, key, value) for value in not_values)))
    return checks


def _has(guest: Guest, key: str, value: str) -> bool:
    """Whether the guest's attribute is the value."""
    if key == "source.principal":
        return _like(guest.principal, value)
    if key == "source.namespace":
        return guest.identity is not None and _like(guest.identity[1], value)
    if key == "request.auth.principal":
        return _token_principal(guest, value)
    if key.startswith("request.auth.claims["):
        return any(_like(each, value) for each in _claim(guest, key[len("request.auth.claims[") : -1]))
    if key.startswith("request.headers["):
        present = guest.headers.get(key[len("request.headers[") : -1].lower(), ())
        return bool(present) if value == "*" else any(_like(each, value) for each in present)
    if key in ("source.ip", "remote.ip"):
        address = guest.peer if key == "source.ip" else guest.client
        return ip_address(address) in ip_network(value, strict=False)
    if key == "destination.port":
        return str(guest.port) == value
    if key == "connection.sni":
        return _like(guest.server_name, value)
    if key == "hosts":
        return _like(guest.host.lower(), value.lower())
    return _like({"methods": guest.method, "paths": guest.path.partition("?")[0]}[key], value)


def _token_principal(guest: Guest, value: str) -> bool:
    """`issuer/subject`; both must be there, and a wildcard at either end is one of that half."""
    issuers, subjects = _claim(guest, "iss"), _claim(guest, "sub")
    if value == "*":
        return any(issuers) and any(subjects)
    issuer, _, subject = value.rpartition("/")
    return any(_like(each, issuer) for each in issuers) and any(_like(each, subject) for each in subjects)


def _claim(guest: Guest, name: str) -> list[str]:
    stated = guest.claims.get(name, [])
    return [stated] if isinstance(stated, str) else stated


def _like(text: str, pattern: str) -> bool:
    if pattern == "*":
        return text != ""
    if pattern.startswith("*"):
        return text.endswith(pattern[1:])
    if pattern.endswith("*"):
        return text.startswith(pattern[:-1]) and text != ""
    return text == pattern
