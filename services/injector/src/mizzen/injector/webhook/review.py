"""admission.k8s.io reviews: what the API server asks, and the form of an answer."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

VERSIONS = ("admission.k8s.io/v1", "admission.k8s.io/v1beta1")
MAX_WARNING = 256
"""Kubernetes may cut longer ones."""

Outcome = Literal["injected", "skipped", "valid", "refused"]


class BadReview(Exception):
    """The request is no review that could be answered; the message is for whoever sent it."""


@dataclass(frozen=True, slots=True)
class Review:
    """A question."""

    version: str
    request: dict[str, Any]

    def answer(
        self,
        outcome: Outcome,
        subject: str,
        reason: str,
        *,
        patch: list[dict[str, Any]] | None = None,
        warnings: Sequence[str] = (),
    ) -> Answer:
        """Whoever wanted the object learns the reason of a refusal, and the warnings in any case."""
        response: dict[str, Any] = {"uid": self.request["uid"], "allowed": outcome != "refused"}
        if outcome == "refused":
            response["status"] = {"message": reason, "code": 400}
        if patch:
            response |= {"patchType": "JSONPatch", "patch": base64.b64encode(json.dumps(patch).encode()).decode()}
        if warnings:
            response["warnings"] = [warning[:MAX_WARNING] for warning in warnings]
        return Answer(
            {"apiVersion": self.version, "kind": "AdmissionReview", "response": response}, outcome, subject, reason
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """The review with its response, and what happened, for counters and the log."""

    review: dict[str, Any]
    outcome: Outcome
    subject: str
    """Kind, namespace and name; a name may be `web-*`, of an object that has none yet."""
    reason: str


def read_review(body: bytes) -> Review:
    """Raises BadReview."""
    try:
        review = json.loads(body)
    except ValueError as error:
        raise BadReview(f"the body is not JSON: {error}") from None
    if not isinstance(review, dict) or review.get("apiVersion") not in VERSIONS:
        raise BadReview(f"the body must be an AdmissionReview of {' or '.join(VERSIONS)}")
    request = review.get("request")
    if not isinstance(request, dict) or not isinstance(request.get("uid"), str):
        raise BadReview("the AdmissionReview has no request with a uid")
    return Review(review["apiVersion"], request)
