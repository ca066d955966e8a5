"""What the policies of security.istio.io have in common: for which workloads they are, and templates of paths."""

import re
from collections.abc import Iterator

from mizzen.api.problem import Path
from mizzen.api.rules import Finding, check_labels, error
from mizzen.api.security import PolicyTargetReference
from mizzen.api.selector import WorkloadSelector

TARGETS = {
    "Gateway": "gateway.networking.k8s.io",
    "GatewayClass": "gateway.networking.k8s.io",
    "Service": "",
    "ServiceEntry": "networking.istio.io",
}
"""Groups by kind, of what a policy can be for."""
_TEMPLATE_SEGMENT = re.compile(r"(?:[A-Za-z0-9\-._~%!$&'()+,;:@=]|\{\*\*?\})*")


def check_scope(
    selector: WorkloadSelector | None, references: tuple[PolicyTargetReference, ...], refs_path: str
) -> Iterator[Finding]:
    """The selector's labels, and kinds that can be referred to."""
    if selector is not None:
        yield from check_labels(selector.match_labels, ("selector", "matchLabels"), selector=True)
    for index, reference in enumerate(references):
        at: Path = (refs_path, index) if refs_path == "targetRefs" else (refs_path,)
        if TARGETS.get(reference.kind) != reference.group:
            known = ", ".join(f"{group}/{kind}".lstrip("/") for kind, group in TARGETS.items())
            yield error((*at, "kind"), f"{reference.group}/{reference.kind} cannot have policies; these can: {known}")
        if not reference.name:
            yield error((*at, "name"), "is required")
        if reference.namespace:
            yield error((*at, "namespace"), "must be left out: a policy is for its own namespace")


def is_path_template(path: str) -> bool:
    """Whether the path has `{*}` or `{**}`, Envoy's URI templates."""
    return "{" in path or "}" in path


def check_path_template(path: str, at: Path) -> Iterator[Finding]:
    """Envoy's rules for URI templates, as far as Istio takes them: `{*}` is a segment, `{**}` any number, the last."""
    segments = path.split("/")
    if segments[0] or not all(map(_TEMPLATE_SEGMENT.fullmatch, segments)) or "*" in re.sub(r"\{\*\*?\}", "", path):
        yield error(at, f"{path!r} is not a path template: /, literal text, {{*}} for a segment, {{**}} for several")
        return
    for segment in segments:
        if "{" in segment and segment not in ("{*}", "{**}"):
            yield error(at, f"in {path!r}, {{*}} and {{**}} must each be a whole segment")
            return
    if path.count("{**}") > 1 or (path.count("{**}") and "{*}" in path.partition("{**}")[2]):
        yield error(at, f"in {path!r}, {{**}} must be the last of the wildcards")
