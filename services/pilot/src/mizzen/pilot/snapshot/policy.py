"""What Mixer's configuration means to proxies: whether to ask it, and what is bound to which service."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from google.protobuf.json_format import ParseDict, ParseError

from mizzen.api.dump import to_dict
from mizzen.api.mixer.binding import HTTPAPISpec, HTTPAPISpecBinding, IstioService, QuotaSpec, QuotaSpecBinding
from mizzen.api.mixer.instance import TEMPLATES, Instance
from mizzen.api.mixer.kinds import GROUP
from mizzen.api.mixer.rule import Rule
from mizzen.api.problem import Problem
from mizzen.api.resource import Metadata, Resource, ResourceKey
from mizzen.api.types import Model
from mizzen.pilot.snapshot.select import of_kind
from mizzen.proto import mixer_client_pb2 as pb

REPORTS = frozenset({"edge", "logentry", "metric", "reportnothing", "tracespan", "servicecontrolreport"})
SILENT = REPORTS | {"kubernetes"}
"""Templates that never decide about a request."""
_HEADER = re.compile(r'\b(request|response)\.headers\[\s*(?:"([^"]+)"|`([^`]+)`)\s*\]')

SpecT = TypeVar("SpecT", bound=Model)


@dataclass(frozen=True, slots=True)
class Bound(Generic[SpecT]):
    """A spec, and the services it is for: `*`, `*.<namespace>.*` or full names."""

    services: frozenset[str]
    spec: Resource[SpecT]

    def covers(self, hostname: str) -> bool:
        return any(
            pattern in ("*", hostname) or (pattern.startswith("*.") and pattern.strip("*") in hostname)
            for pattern in self.services
        )


@dataclass(frozen=True, slots=True)
class Policy:
    """The part of Mixer's configuration that proxies see."""

    decides: bool = False
    """Some rule checks, limits or edits requests; without one there is no use in asking."""
    quotas: tuple[Bound[QuotaSpec], ...] = ()
    apis: tuple[Bound[HTTPAPISpec], ...] = ()
    request_headers: tuple[str, ...] = ()
    """Headers that any expression reads, in lower case."""
    response_headers: tuple[str, ...] = ()

    def quotas_of(self, hostname: str) -> tuple[Resource[QuotaSpec], ...]:
        """What requests to a service are charged."""
        return tuple(dict.fromkeys(bound.spec for bound in self.quotas if bound.covers(hostname)))

    def apis_of(self, hostname: str) -> tuple[Resource[HTTPAPISpec], ...]:
        """The APIs of a service."""
        return tuple(dict.fromkeys(bound.spec for bound in self.apis if bound.covers(hostname)))


def policy_of(resources: Iterable[Resource], domain: str, problems: list[Problem]) -> Policy:
    """The policy of these resources; what is wrong with a binding is added to `problems`."""
    known = {resource.key: resource for resource in resources if resource.group == GROUP}
    if not known:
        return Policy()
    quota_bindings = of_kind(known.values(), QuotaSpecBinding)
    api_bindings = of_kind(known.values(), HTTPAPISpecBinding)
    quotas = _bound(((b, b.spec.quota_specs) for b in quota_bindings), "QuotaSpec", known, domain, problems)
    apis = _bound(((b, b.spec.api_specs) for b in api_bindings), "HTTPAPISpec", known, domain, problems)
    headers = _headers(known.values())
    return Policy(
        decides=any(_decides(rule, known) for rule in of_kind(known.values(), Rule)),
        quotas=tuple(quotas),
        apis=tuple(apis),
        request_headers=tuple(sorted(name for side, name in headers if side == "request")),
        response_headers=tuple(sorted(name for side, name in headers if side == "response")),
    )


def _decides(rule: Resource[Rule], known: Mapping[ResourceKey, Resource]) -> bool:
    spec = rule.spec
    if spec.request_header_operations or spec.response_header_operations:
        return True
    templates = {
        _template(reference, rule.metadata.namespace, known)
        for action in spec.actions
        for reference in action.instances
    }
    return not templates <= SILENT


def _template(reference: str, namespace: str, known: Mapping[ResourceKey, Resource]) -> str:
    """The template of an instance that a rule names as Mixer resolves it; unknown ones are taken for reports."""
    name, _, rest = reference.partition(".")
    kind, _, place = rest.partition(".")
    for key in (
        ResourceKey(kind or "instance", place or namespace, name),
        ResourceKey("instance", kind if kind and not place else namespace, name),
    ):
        if key not in known:
            continue
        spec = known[key].spec
        if isinstance(spec, Instance):
            stated = spec.compiled_template or spec.template.partition(".")[0]
            return stated.lower()
        return key.kind if key.kind in TEMPLATES else "reportnothing"
    return "reportnothing"


def _bound(
    bindings: Iterable[tuple[Resource[Any], Iterable[Any]]],
    kind: str,
    known: Mapping[ResourceKey, Resource],
    domain: str,
    problems: list[Problem],
) -> Iterator[Bound[Any]]:
    for binding, references in bindings:
        services = frozenset(_hostname(service, binding.metadata, domain) for service in binding.spec.services)
        for reference in references:
            key = ResourceKey(kind, reference.namespace or binding.metadata.namespace, reference.name)
            message = f"{key} does not exist" if key not in known else _unreadable(known[key])
            if message:
                text = f"{message}; the binding has no effect for it"
                problems.append(Problem(binding.source, binding.id, "spec", text, "warning"))
            else:
                yield Bound(services, known[key])


def _unreadable(spec: Resource) -> str:
    """Why proxies cannot be given a spec; empty when they can. Its values are texts that only protobuf understands."""
    try:
        message_of(spec)
    except ParseError as error:
        return f"{spec.id} has a value that is not of its type: {error}"
    return ""


def message_of(spec: Resource[Any]) -> Any:
    """A QuotaSpec or HTTPAPISpec as proxies get it; raises ParseError."""
    message = pb.QuotaSpec() if isinstance(spec.spec, QuotaSpec) else pb.HTTPAPISpec()
    return ParseDict(to_dict(spec)["spec"], message)


def _hostname(service: IstioService, metadata: Metadata, domain: str) -> str:
    """The full name; `service` is one already and wins over `name`."""
    if service.service:
        return service.service
    suffix = service.domain or f"svc.{domain}"
    return f"{service.name}.{service.namespace or metadata.namespace}.{suffix}"


def _headers(resources: Iterable[Resource]) -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    for resource in resources:
        for text in _texts(resource.spec.model_dump(mode="python")):
            found.update((side, (name or other).lower()) for side, name, other in _HEADER.findall(text))
    return found


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _texts(item)
