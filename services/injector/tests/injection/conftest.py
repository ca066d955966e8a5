"""Pods to inject, and short names for what tests look at in them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

Pod = dict[str, Any]


class Seen:
    """A Pod, asked with short names: `env:NAME`, `flag:-d`, `label:app`, `proxy:securityContext.runAsUser`, ..."""

    def __init__(self, pod: Pod) -> None:
        self.pod = pod

    def __getitem__(self, question: str) -> Any:
        kind, _, name = question.partition(":")
        return getattr(self, f"_{kind}")(name)

    def container(self, name: str) -> Pod | None:
        spec = self.pod["spec"]
        containers = [*spec.get("initContainers", []), *spec.get("containers", [])]
        return next((container for container in containers if container["name"] == name), None)

    def _env(self, name: str) -> Any:
        variables = [item for item in self._proxy("env") if item["name"] == name]
        assert len(variables) <= 1
        return variables[0].get("value", variables[0].get("valueFrom")) if variables else None

    def _json(self, name: str) -> Any:
        return json.loads(self._env(name) or "null")

    def _flag(self, name: str) -> str | None:
        arguments = (self.container("istio-init") or {"args": []})["args"]
        return arguments[arguments.index(name) + 1] if name in arguments else None

    def _init(self, path: str) -> Any:
        return _walk(self.container("istio-init"), path)

    def _proxy(self, path: str) -> Any:
        return _walk(self.container("istio-proxy"), path)

    def _app(self, path: str) -> Any:
        return _walk(self.container("app"), path)

    def _label(self, name: str) -> str | None:
        return self.pod["metadata"].get("labels", {}).get(name)

    def _annotation(self, name: str) -> str | None:
        return self.pod["metadata"].get("annotations", {}).get(name)

    def _status(self, name: str) -> Any:
        return json.loads(self._annotation("sidecar.istio.io/status") or "null")[name]

    def _order(self, section: str) -> list[str]:
        return [container["name"] for container in self.pod["spec"].get(section, [])]

    def _volume(self, name: str) -> Any:
        found = [volume for volume in self.pod["spec"]["volumes"] if volume["name"] == name]
        return found[0] if found else None

    def _mount(self, name: str) -> Any:
        return next((item["mountPath"] for item in self._proxy("volumeMounts") if item["name"] == name), None)


def _walk(value: Any, path: str) -> Any:
    for part in filter(None, path.split(".")):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def make_pod(
    annotations: Pod | None = None,
    labels: Pod | None = None,
    spec: Pod | None = None,
    app: Pod | None = None,
) -> Pod:
    """A Pod with one container `app`."""
    metadata: Pod = {"name": "reviews-1", "labels": {"app": "reviews", "version": "v1"} if labels is None else labels}
    if annotations is not None:
        metadata["annotations"] = annotations
    container = {"name": "app", "image": "reviews:1"} | (app or {})
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"containers": [container], **(spec or {})},
    }


@pytest.fixture
def pod_of() -> Callable[..., Pod]:
    return make_pod


@pytest.fixture
def seen() -> type[Seen]:
    return Seen
