"""Handlers: which adapter with which parameters, from the three forms that Istio has for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mizzen.api.dump import to_dict
from mizzen.api.mixer.handler import Handler as HandlerSpec
from mizzen.api.mixer.handler import Parameters
from mizzen.api.resource import Resource
from mizzen.mixer.adapter import Adapter
from mizzen.mixer.adapters.remote.registration import params_of
from mizzen.mixer.config.names import full_name, resolve
from mizzen.mixer.config.problems import Problems

Find = Callable[[str], Adapter | None]
"""An adapter by its name."""
REMOTE = "remote"
"""The adapter that calls those outside of Mixer."""


@dataclass(frozen=True, slots=True)
class HandlerConfig:
    """A handler that may be started."""

    name: str
    title: str
    """Its name in messages to callers: of `kind: handler` with compiledAdapter, without the kind."""
    namespace: str
    adapter: Adapter
    templates: frozenset[str]
    params: Mapping[str, Any] = field(hash=False)


def handler_of(
    resource: Resource, remotes: Mapping[str, Resource], find: Find, problems: Problems
) -> HandlerConfig | None:
    """Read a handler; None after a problem with it. `remotes` are the resources of kind adapter by full name."""
    spec = resource.spec
    if isinstance(spec, Parameters):
        return _compiled(resource, resource.kind, full_name(resource.key), spec.values, (find, problems))
    assert isinstance(spec, HandlerSpec)  # noqa: S101 - the model of this kind
    if spec.compiled_adapter:
        title = f"{resource.metadata.name}.{resource.metadata.namespace}"
        return _compiled(resource, spec.compiled_adapter, title, spec.params, (find, problems))
    return _remote(resource, spec, remotes, find, problems)


def _compiled(
    resource: Resource, adapter_name: str, title: str, params: Mapping[str, Any], tools: tuple[Find, Problems]
) -> HandlerConfig | None:
    find, problems = tools
    adapter = find(adapter_name)
    if adapter is None:
        path = ("compiledAdapter",) if isinstance(resource.spec, HandlerSpec) else ()
        problems.quarantine(resource, path, f"there is no adapter {adapter_name}")
        return None
    name, namespace = full_name(resource.key), resource.metadata.namespace
    return HandlerConfig(name, title, namespace, adapter, adapter.templates, params)


def _remote(
    resource: Resource, spec: HandlerSpec, remotes: Mapping[str, Resource], find: Find, problems: Problems
) -> HandlerConfig | None:
    namespace = resource.metadata.namespace
    reference = resolve(spec.adapter, "adapter", namespace, remotes)
    adapter = find(REMOTE)
    if reference is None or adapter is None:
        known = ", ".join(remotes) or "none"
        reason = f"there is no adapter {spec.adapter}; declared are: {known}"
        problems.quarantine(resource, ("adapter",), reason, missing=True)
        return None
    params = params_of(to_dict(remotes[reference])["spec"], to_dict(resource)["spec"])
    taken = params.get("templates")
    templates = frozenset(map(str, taken)) if isinstance(taken, list) else adapter.templates
    name = full_name(resource.key)
    return HandlerConfig(name, name, namespace, adapter, templates & adapter.templates, params)
