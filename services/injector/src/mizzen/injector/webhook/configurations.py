"""Webhook configurations of the API server: how it calls us, as far as that is ours to say."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

MUTATING = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
STRATEGIC_MERGE = "application/strategic-merge-patch+json"
"""Lists of webhooks are merged by name, so that one that appeared meanwhile stays."""


def correction(item: Mapping[str, Any], bundle: bytes) -> dict[str, Any] | None:
    """The patch by which every webhook of a configuration knows these roots; None where that is so."""
    text = base64.b64encode(bundle).decode()
    wrong = [hook for hook in item.get("webhooks") or () if hook["clientConfig"].get("caBundle") != text]
    if not wrong:
        return None
    return {
        # Refused with 409 when somebody else wrote meanwhile.
        "metadata": {"resourceVersion": item["metadata"]["resourceVersion"]},
        "webhooks": [{"name": hook["name"], "clientConfig": {"caBundle": text}} for hook in wrong],
    }
