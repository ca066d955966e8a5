"""Plans of authorization: trees of conditions (envoy.config.rbac.v3), for what is asked and who asks alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from mizzen.proxy.engine.match_plan import HeaderMatch, MetadataMatch, StringMatch


@dataclass(frozen=True, slots=True)
class Anything:
    """Always holds."""


@dataclass(frozen=True, slots=True)
class AllOf:
    """All must hold."""

    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """One must hold."""

    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """Must not hold."""

    rule: Rule


@dataclass(frozen=True, slots=True)
class Header:
    """A header or pseudo header of the request."""

    match: HeaderMatch


@dataclass(frozen=True, slots=True)
class UrlPath:
    """The path without its query."""

    match: StringMatch


@dataclass(frozen=True, slots=True)
class PathTemplate:
    """The path without its query, as a template: `*` is a segment, `**` any number of them."""

    template: str


@dataclass(frozen=True, slots=True)
class Network:
    """An address in a CIDR block: of the peer, of the client behind trusted hops, or of this end."""

    end: Literal["peer", "client", "local"]
    block: str


@dataclass(frozen=True, slots=True)
class LocalPort:
    """The port that was connected to: from `low` to `high`, both included."""

    low: int
    high: int


@dataclass(frozen=True, slots=True)
class ServerName:
    """SNI of the connection."""

    match: StringMatch


@dataclass(frozen=True, slots=True)
class Authenticated:
    """One of the names in the peer's verified certificate; `match` None asks for a certificate."""

    match: StringMatch | None


@dataclass(frozen=True, slots=True)
class Metadata:
    """What another filter found out."""

    match: MetadataMatch


Rule: TypeAlias = (
    Anything
    | AllOf
    | AnyOf
    | Not
    | Header
    | UrlPath
    | PathTemplate
    | Network
    | LocalPort
    | ServerName
    | Authenticated
    | Metadata
)


@dataclass(frozen=True, slots=True)
class PolicyPlan:
    """A named rule: Pilot's name tells namespace, policy and the rule's place in it."""

    name: str
    rule: Rule


@dataclass(frozen=True, slots=True)
class RbacPlan:
    """One filter: ALLOW lets in what a policy matches, DENY what none does, LOG everything."""

    action: Literal["ALLOW", "DENY", "LOG"]
    policies: tuple[PolicyPlan, ...]
    """In the order of their names, as Envoy asks them."""
    is_shadow: bool = False
    """Only counted: what would have happened."""
    stat_prefix: str = ""
