"""`/inject`: a Pod comes in, a JSON Patch goes out."""

from __future__ import annotations

from mizzen.injector.injection.decision import decide
from mizzen.injector.injection.inject import Place, inject
from mizzen.injector.injection.names import InjectionError
from mizzen.injector.injection.pods import check_shape
from mizzen.injector.injection.settings import Settings
from mizzen.injector.webhook.review import Answer, read_review


def place_of(path: str) -> Place:
    """Cluster and network of `/inject/cluster/C/net/N`; `--slash--` in a value is a slash."""
    parts = [part.replace("--slash--", "/") for part in path.strip("/").split("/")[1:]]
    stated = dict(zip(parts[::2], parts[1::2], strict=False))
    return Place(cluster=stated.get("cluster", ""), network=stated.get("net", ""))


def answer(body: bytes, path: str, settings: Settings) -> Answer:
    """Decide on the Pod of a review and inject it; raises BadReview. What is wrong with the Pod refuses the Pod."""
    review = read_review(body)
    pod = review.request.get("object")
    if not isinstance(pod, dict) or pod.get("kind", "Pod") != "Pod":
        return review.answer("skipped", "-", "the object is no Pod")
    metadata = pod.get("metadata")
    if not isinstance(metadata, dict):
        metadata = {}
    namespace = metadata.get("namespace") or review.request.get("namespace") or "default"
    name = metadata.get("name") or f"{metadata.get('generateName') or ''}*"
    subject = f"Pod {namespace}/{name}"
    stated = place_of(path)
    try:
        check_shape(pod)
        decision = decide(pod, namespace, settings.policy)
        warnings = [decision.warning] if decision.warning else []
        if not decision.inject:
            return review.answer("skipped", subject, decision.reason, warnings=warnings)
        injected = inject(pod, settings, Place(namespace, cluster=stated.cluster, network=stated.network))
    except InjectionError as error:
        return review.answer("refused", subject, f"{subject} cannot be injected: {error}")
    warnings += injected.warnings
    return review.answer("injected", subject, decision.reason, patch=injected.patch(pod), warnings=warnings)
