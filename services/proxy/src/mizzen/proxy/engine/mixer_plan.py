"""Plans of a Mixer client: what Pilot says about checks and reports (istio.mixer.v1.config.client).

Attributes are serialised `istio.mixer.v1.Attributes`: only the agent reads them. Two such texts one after the other are
their union, in which the later one wins, so a worker puts them together without knowing what is in them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

DEFAULT_CLUSTER = "mixer_server"
"""The cluster of Mixer where the configuration names none."""


@dataclass(frozen=True, slots=True)
class TransportPlan:
    """How Mixer is called."""

    check_cluster: str = DEFAULT_CLUSTER
    report_cluster: str = DEFAULT_CLUSTER
    check_cache: bool = True
    quota_cache: bool = True
    report_batch: bool = True
    """False: every report is sent by itself."""
    fail_open: bool = True
    """Requests go on when Mixer cannot be asked."""
    max_retry: int = 0
    base_retry_wait: float = 0.08
    max_retry_wait: float = 1.0
    batch_entries: int = 1000
    batch_seconds: float = 1.0
    own_attributes: bytes = b""
    """Sent along with the calls, for the proxy in front of Mixer."""


@dataclass(frozen=True, slots=True)
class QuotaClause:
    """A condition on a text attribute; `kind` "any" only asks for its presence."""

    attribute: str
    kind: str
    """exact, prefix, regex or any."""
    value: str = ""


@dataclass(frozen=True, slots=True)
class QuotaRulePlan:
    """Quotas that are charged when one of `matches` holds whole; without any, always."""

    matches: tuple[tuple[QuotaClause, ...], ...]
    charges: tuple[tuple[str, int], ...]
    """Quota and amount."""


class ApiPattern(NamedTuple):
    """Attributes of the requests that match; a tuple, as hundreds of them are hashed with each record."""

    method: bytes
    segments: tuple[bytes, ...]
    """Of the path: literals, `*` for any one, `**` for any number; then the verb, if there is one."""
    verb: bytes
    """What follows a colon at the end of the path."""
    regex: str
    """In place of segments: for the whole path with its query. "" for none."""
    attributes: bytes


class ApiPlan(NamedTuple):
    """The HTTPAPISpecs of one service."""

    attributes: bytes
    """Of all its requests."""
    patterns: tuple[ApiPattern, ...]
    keys: tuple[tuple[str, str], ...]
    """Where keys of callers are: `query`, `header` or `cookie`, and a name; the first that a request has counts."""
    names: tuple[str, ...]
    """Of all attributes of `patterns`."""


DEFAULT_KEYS = (("query", "key"), ("query", "api_key"), ("header", "x-api-key"))
"""Where keys are looked for when nobody says, as in Istio."""


@dataclass(frozen=True, slots=True)
class ServicePlan:
    """A ServiceConfig: checks and reports of one service's requests."""

    check: bool = True
    report: bool = True
    attributes: bytes = b""
    forward: bytes = b""
    """For the upstream proxy, in x-istio-attributes."""
    quotas: tuple[QuotaRulePlan, ...] = ()
    api: ApiPlan | None = None


@dataclass(frozen=True, slots=True)
class MixerPlan:
    """The HTTP filter `mixer`."""

    transport: TransportPlan = TransportPlan()
    attributes: bytes = b""
    forward: bytes = b""
    services: tuple[tuple[str, ServicePlan], ...] = ()
    default_service: str = ""
    """Which of `services` is for requests whose route has none of its own."""
    trusts_peer: bool = False
    """Believe what the peer says in x-istio-attributes."""


@dataclass(frozen=True, slots=True)
class TcpMixerPlan:
    """The network filter `mixer`."""

    transport: TransportPlan = TransportPlan()
    service: ServicePlan = ServicePlan()
    report_interval: float = 10.0
    """Seconds between the reports of a connection that stays open."""


@dataclass(frozen=True, slots=True)
class MixerContext:
    """Everything configured that a check or report depends on: what workers name to the agent with each."""

    transport: TransportPlan
    attributes: bytes
    """The filter's, then the service's."""
    check: bool
    report: bool
    quotas: tuple[QuotaRulePlan, ...] = ()
    trusts_peer: bool = False
    api: ApiPlan | None = None


def context_of(plan: MixerPlan, service: ServicePlan | None) -> MixerContext:
    """For a route with `service`, else for the default one. Without either nothing is checked or reported."""
    used = service or dict(plan.services).get(plan.default_service)
    if used is None:
        return MixerContext(plan.transport, plan.attributes, check=False, report=False, trusts_peer=plan.trusts_peer)
    return MixerContext(
        transport=plan.transport,
        attributes=plan.attributes + used.attributes,
        check=used.check,
        report=used.report,
        quotas=used.quotas,
        trusts_peer=plan.trusts_peer,
        api=used.api,
    )


def forwarded(plan: MixerPlan, service: ServicePlan | None) -> bytes:
    """Attributes for the upstream proxy."""
    used = service or dict(plan.services).get(plan.default_service)
    return plan.forward + (used.forward if used is not None else b"")
