"""Ten rules for Mixer, of which one applies to the requests of the benchmark, and a check as a proxy sends it."""

from __future__ import annotations

from typing import Any

import yaml

from mizzen.attributes.compressed import encode
from mizzen.attributes.values import Value
from mizzen.proto.mixer_pb2 import CheckRequest

RULES = 10
GLOBAL_WORDS = 203

ATTRIBUTES: dict[str, Value] = {
    "context.protocol": "http",
    "context.reporter.kind": "inbound",
    "context.reporter.uid": "kubernetes://reviews-v1-1.default",
    "destination.namespace": "default",
    "destination.port": 9080,
    "destination.service.host": "reviews.default.svc.cluster.local",
    "destination.service.name": "reviews",
    "destination.service.namespace": "default",
    "destination.uid": "kubernetes://reviews-v1-1.default",
    "request.headers": {"user-agent": "python/3", "accept": "*/*", "x-team": "friends", "x-request-id": "0f8f-4a"},
    "request.host": "reviews:9080",
    "request.method": "GET",
    "request.path": "/reviews/0",
    "request.scheme": "http",
    "request.useragent": "python/3",
    "source.namespace": "default",
    "source.uid": "kubernetes://productpage-v1-1.default",
}
"""What a sidecar says of one request."""


def rules() -> str:
    """A list check that applies to every request, and nine denials that do not."""
    lists = {"overrides": ["intruders"], "blacklist": True}
    resources = [
        _resource("listchecker", "teams", lists),
        _resource("listentry", "team", {"value": 'request.headers["x-team"] | "none"'}),
        _resource("denier", "deny", {"status": {"code": 7, "message": "Not allowed"}}),
        _resource("checknothing", "nothing", {}),
        _rule("teams", "true", "teams.listchecker", "team.listentry"),
    ]
    for number in range(RULES - 1):
        match = f'destination.service.host == "service-{number}.test" && request.method == "POST"'
        resources.append(_rule(f"deny-{number}", match, "deny.denier", "nothing.checknothing"))
    return yaml.safe_dump_all(resources, sort_keys=False)


def check() -> bytes:
    """The message of a CheckRequest, framed for gRPC."""
    request = CheckRequest(attributes=encode(ATTRIBUTES, GLOBAL_WORDS), global_word_count=GLOBAL_WORDS)
    message: bytes = request.SerializeToString()
    return b"\0" + len(message).to_bytes(4, "big") + message


def _rule(name: str, match: str, handler: str, instance: str) -> dict[str, Any]:
    return _resource("rule", name, {"match": match, "actions": [{"handler": handler, "instances": [instance]}]})


def _resource(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "istio-system"}
    return {"apiVersion": "config.istio.io/v1alpha2", "kind": kind, "metadata": metadata, "spec": spec}
