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
}


def kind_named(text: str) -> str:
    """The kind's own name; raises UserError listing what there is."""
    wanted = text.lower().partition(".")[0]  # also virtualservices.networking.istio.io
    if wanted in SHORT:
        return SHORT[wanted]
    for kind in KINDS:
        name = kind.lower()
        if wanted in (name, plural(name)):
            return kind
    known = ", ".join(sorted(kind.lower() for kind in KINDS))
    raise UserError(f"There is no kind {text!r}; the kinds are {known}.")


def plural(name: str) -> str:
    """Of a kind in lower case: gateways, serviceentries, bypasses; Endpoints is its own plural."""
    if name.endswith("ry"):
        return f"{name[:-1]}ies"
    if name.endswith("s"):
        return name if name == "endpoints" else f"{name}es"
    return f"{name}s"
