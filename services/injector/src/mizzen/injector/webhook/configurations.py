"""Webhook configurations of the API server: how it calls us, as far as that is ours to say."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

_GROUP = "/apis/admissionregistration.k8s.io/v1"
MUTATING = f"{_GROUP}/mutatingwebhookconfigurations"
VALIDATING = f"{_GROUP}/validatingwebhookconfigurations"
STRATEGIC_MERGE = "application/strategic-merge-patch+json"
"""Lists of webhooks are merged by name, so that one that appeared meanwhile stays."""


def roots_patch(item: Mapping[str, Any], bundle: bytes) -> dict[str, Any] | None:
    """The patch by which every webhook of a configuration knows these roots; None where that is so."""
    text = base64.b64encode(bundle).decode()
    return _patch(
        item,
        {
            each["name"]: {"clientConfig": {"caBundle": text}}
            for each in _webhooks(item)
            if each["clientConfig"].get("caBundle") != text
        },
    )


def fail_patch(item: Mapping[str, Any]) -> dict[str, Any] | None:
    """The patch by which nothing passes unasked (`failurePolicy: Fail`); None where that is so."""
    return _patch(
        item,
        {each["name"]: {"failurePolicy": "Fail"} for each in _webhooks(item) if each.get("failurePolicy") != "Fail"},
    )


def _webhooks(item: Mapping[str, Any]) -> list[dict[str, Any]]:
    return item.get("webhooks") or []


def _patch(item: Mapping[str, Any], changes: Mapping[str, dict[str, Any]]) -> dict[str, Any] | None:
    if not changes:
        return None
    return {
        # Refused with 409 when somebody else wrote meanwhile.
        "metadata": {"resourceVersion": item["metadata"]["resourceVersion"]},
        "webhooks": [{"name": name, **change} for name, change in changes.items()],
    }
