"""Delegates: VirtualServices that continue the routes of another one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mizzen.api import virtualservice as vs
from mizzen.api.problem import Problem
from mizzen.api.resource import Resource
from mizzen.pilot.snapshot.select import exported, visible
from mizzen.pilot.snapshot.virtualservice import resolved

VirtualServices = Mapping[tuple[str, str], Resource[vs.VirtualService]]
"""By (namespace, name)."""

_INHERITED = (
    "rewrite",
    "direct_response",
    "timeout",
    "retries",
    "fault",
    "mirror",
    "mirrors",
    "mirror_percent",
    "mirror_percentage",
    "cors_policy",
    "headers",
)
"""What a delegate's route takes from its root where it says nothing itself."""


def merged(
    root: Resource[vs.VirtualService], all_services: VirtualServices, suffix: str, problems: list[Problem]
) -> tuple[tuple[vs.HTTPRoute, ...], tuple[Resource, ...]]:
    """The HTTP routes of a VirtualService with every delegate replaced by its routes, and the delegates used."""
    routes: list[vs.HTTPRoute] = []
    used: list[Resource] = []
    for index, route in enumerate(root.spec.http):
        if route.delegate is None:
            routes.append(resolved(route, root.metadata.namespace, suffix))
            continue
        path = f"spec.http[{index}].delegate"
        delegate, complaint = _find(root, route.delegate, all_services)
        if delegate is None:
            problems.append(Problem(root.source, root.id, path, complaint))
            continue
        used.append(delegate)
        above = resolved(route, root.metadata.namespace, suffix)
        for number, below in enumerate(delegate.spec.http):
            one = _merge_route(above, resolved(below, delegate.metadata.namespace, suffix))
            if one is None:
                message = (
                    f"conflicts with spec.http[{number}] of {delegate.id}: no request can meet both; it is left out"
                )
                problems.append(Problem(root.source, root.id, path, message))
            else:
                routes.append(one)
    return tuple(routes), tuple(dict.fromkeys(used))


def _find(
    root: Resource[vs.VirtualService], reference: vs.Delegate, all_services: VirtualServices
) -> tuple[Resource[vs.VirtualService] | None, str]:
    namespace = reference.namespace or root.metadata.namespace
    found = all_services.get((namespace, reference.name))
    named = f"VirtualService {namespace}/{reference.name}"
    if found is None:
        return None, f"{named} does not exist; the route is left out"
    if found.spec.hosts:
        return None, f"{named} has hosts of its own, so it is no delegate; the route is left out"
    if not visible(exported(found.spec.export_to, namespace), root.metadata.namespace):
        return None, f"{named} is not exported to namespace {root.metadata.namespace}; the route is left out"
    if any(route.delegate is not None for route in found.spec.http):
        return None, f"{named} delegates further, which is not allowed; the route is left out"
    return found, ""


def _merge_route(root: vs.HTTPRoute, delegate: vs.HTTPRoute) -> vs.HTTPRoute | None:
    matches = _merge_matches(root.match, delegate.match)
    if matches is None:
        return None
    changes: dict[str, Any] = {
        field: getattr(root, field) for field in _INHERITED if getattr(delegate, field) in (None, ())
    }
    changes["match"] = matches
    changes["name"] = "-".join(name for name in (root.name, delegate.name) if name)
    return delegate.model_copy(update=changes)


def _merge_matches(
    roots: tuple[vs.HTTPMatchRequest, ...], delegates: tuple[vs.HTTPMatchRequest, ...]
) -> tuple[vs.HTTPMatchRequest, ...] | None:
    """Every pair that can hold together; None when some condition of the delegate fits no condition of the root."""
    if not roots or not delegates:
        return roots or delegates
    found: list[vs.HTTPMatchRequest] = []
    for below in delegates:
        pairs = [_merge_match(above, below) for above in roots if not _conflict(above, below)]
        if not pairs:
            return None
        found.extend(pairs)
    return tuple(found)


def _merge_match(root: vs.HTTPMatchRequest, delegate: vs.HTTPMatchRequest) -> vs.HTTPMatchRequest:
    changes: dict[str, Any] = {
        field: getattr(root, field)
        for field in ("uri", "scheme", "method", "authority", "port")
        if getattr(delegate, field) is None
    }
    for field in ("headers", "without_headers", "query_params"):
        changes[field] = {**getattr(root, field), **getattr(delegate, field)}
    for field in ("source_labels", "source_namespace", "gateways", "stat_prefix"):
        changes[field] = getattr(delegate, field) or getattr(root, field)
    changes["name"] = "-".join(name for name in (root.name, delegate.name) if name)
    return delegate.model_copy(update=changes)


def _conflict(root: vs.HTTPMatchRequest, leaf: vs.HTTPMatchRequest) -> bool:
    """Whether the delegate's condition is no part of the root's."""
    texts = [(getattr(root, field), getattr(leaf, field)) for field in ("uri", "scheme", "method", "authority")]
    for field in ("headers", "without_headers", "query_params"):
        above = getattr(root, field)
        texts += [(above.get(key), value) for key, value in getattr(leaf, field).items()]
    if any(_text_conflict(above, below) for above, below in texts):
        return True
    if root.ignore_uri_case != leaf.ignore_uri_case:
        return True
    return root.port is not None and leaf.port is not None and root.port != leaf.port


def _text_conflict(root: vs.StringMatch | None, leaf: vs.StringMatch | None) -> bool:
    if root is None or leaf is None:
        return False
    if root.regex is not None or leaf.regex is not None:
        return True  # whether one regular expression contains another is not decided here
    if root.exact is not None:
        return leaf.exact != root.exact
    if root.prefix is not None:
        below = leaf.prefix or leaf.exact
        return below is None or not below.startswith(root.prefix)
    return False
