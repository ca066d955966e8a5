"""Kinds as people type them: virtualservice, virtualservices, vs."""

from __future__ import annotations

from mizzen.api.kinds import KINDS
from mizzen.cli.errors import UserError

SHORT = {
    "vs": "VirtualService",
    "dr": "DestinationRule",
    "gw": "Gateway",
    "se": "ServiceEntry",
    "we": "WorkloadEntry",
    "svc": "Service",
    "deploy": "Deployment",
    "ep": "Endpoints",
    "po": "Pod",
    "ns": "Namespace",
    "gc": "GatewayClass",
    "refgrant": "ReferenceGrant",
}
GROUPS = {
    "networking.istio.io": "networking",
    "gateway.networking.k8s.io": "gateway api",
    "security.istio.io": "security",
    "config.istio.io": "mixer",
    "rbac.istio.io": "rbac",
    "authentication.istio.io": "authentication",
}
"""What people call API groups."""


def kind_named(text: str) -> str:
    """The kind's own name; raises UserError listing what there is."""
    wanted, _, group = text.lower().partition(".")  # also virtualservices.networking.istio.io
    if wanted in SHORT:
        return SHORT[wanted]
    found = [kind for kind in KINDS.values() if wanted in (kind.name.lower(), plural(kind.name.lower()))]
    if found:
        return next((kind for kind in found if kind.group == group), found[0]).key
    raise UserError("\n".join((f"There is no kind {text!r}; the kinds are:", *_kinds_by_group())))


def _kinds_by_group() -> list[str]:
    """One line a group, in the order in which `mizzen.api.kinds` has them, networking first."""
    short = {kind: f" ({text})" for text, kind in SHORT.items()}
    groups: dict[str, list[str]] = {"networking": [], "kubernetes": []}
    for name, kind in KINDS.items():
        group = "kubernetes" if kind.is_kubernetes else GROUPS[kind.group]
        groups.setdefault(group, []).append(f"{name.lower()}{short.get(name, '')}")
    return [f"  {group}: {', '.join(names)}" for group, names in groups.items()]


def plural(name: str) -> str:
    """Of a kind in lower case: gateways, serviceentries, bypasses; Endpoints is its own plural."""
    if name.endswith(("ry", "cy")):
        return f"{name[:-1]}ies"
    if name.endswith("s"):
        return name if name == "endpoints" else f"{name}es"
    return f"{name}s"
