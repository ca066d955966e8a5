"""admission.k8s.io reviews: a Pod comes in, a JSON Patch goes out."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any, Literal

from mizzen.injector.injection.decision import decide
from mizzen.injector.injection.inject import Place, inject
from mizzen.injector.injection.names import InjectionError
from mizzen.injector.injection.pods import check_shape
from mizzen.injector.injection.settings import Settings

VERSIONS = ("admission.k8s.io/v1", "admission.k8s.io/v1beta1")
MAX_WARNING = 256
"""Kubernetes may cut longer ones."""

Outcome = Literal["injected", "skipped", "refused"]


class BadReview(Exception):
    """The request is no review that could be answered; the message is for whoever sent it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The review with its response, and what happened, for counters and the log."""

    review: dict[str, Any]
    outcome: Outcome
    pod: str
    """`namespace/name`; the name may be `web-*`, of a Pod that has none yet."""
    reason: str


def place_of(path: str) -> Place:
    """Cluster and network of `/inject/cluster/C/net/N`; `--slash--` in a value is a slash."""
    parts = [part.replace("--slash--", "/") for part in path.strip("/").split("/")[1:]]
    stated = dict(zip(parts[::2], parts[1::2], strict=False))
    return Place(cluster=stated.get("cluster", ""), network=stated.get("net", ""))


def answer(body: bytes, path: str, settings: Settings) -> Answer:
    """Decide on the Pod of a review and inject it; raises BadReview. What is wrong with the Pod refuses the Pod."""
    version, request = _request(body)
    pod = request.get("object")
    if not isinstance(pod, dict) or pod.get("kind", "Pod") != "Pod":
        return _answer(version, request, "skipped", "", "the object is no Pod")
    metadata = pod.get("metadata")
    if not isinstance(metadata, dict):
        metadata = {}
    namespace = metadata.get("namespace") or request.get("namespace") or "default"
    name = metadata.get("name") or f"{metadata.get('generateName') or ''}*"
    full_name = f"{namespace}/{name}"
    stated = place_of(path)
    try:
        check_shape(pod)
        decision = decide(pod, namespace, settings.policy)
        warnings = [decision.warning] if decision.warning else []
        if not decision.inject:
            return _answer(version, request, "skipped", full_name, decision.reason, warnings=warnings)
        injected = inject(pod, settings, Place(namespace, cluster=stated.cluster, network=stated.network))
    except InjectionError as error:
        return _answer(version, request, "refused", full_name, f"Pod {full_name} cannot be injected: {error}")
    warnings += injected.warnings
    patch = injected.patch(pod)
    return _answer(version, request, "injected", full_name, decision.reason, patch=patch, warnings=warnings)


def _request(body: bytes) -> tuple[str, dict[str, Any]]:
    try:
        review = json.loads(body)
    except ValueError as error:
        raise BadReview(f"the body is not JSON: {error}") from None
    if not isinstance(review, dict) or review.get("apiVersion") not in VERSIONS:
        raise BadReview(f"the body must be an AdmissionReview of {' or '.join(VERSIONS)}")
    request = review.get("request")
    if not isinstance(request, dict) or not isinstance(request.get("uid"), str):
        raise BadReview("the AdmissionReview has no request with a uid")
    return review["apiVersion"], request


def _answer(
    version: str,
    request: dict[str, Any],
    outcome: Outcome,
    pod: str,
    reason: str,
    *,
    patch: list[dict[str, Any]] | None = None,
    warnings: list[str] | None = None,
) -> Answer:
    response: dict[str, Any] = {"uid": request["uid"], "allowed": outcome != "refused"}
    if outcome == "refused":
        response["status"] = {"message": reason, "code": 400}
    if patch:
        response |= {"patchType": "JSONPatch", "patch": base64.b64encode(json.dumps(patch).encode()).decode()}
    if warnings:
        response["warnings"] = [warning[:MAX_WARNING] for warning in warnings]
    return Answer({"apiVersion": version, "kind": "AdmissionReview", "response": response}, outcome, pod, reason)
