"""Probes and lifecycle hooks of the application, sent through the agent.

The kubelet asks the Pod from outside and without a certificate, which strict mutual TLS would refuse. So its questions
go to the agent's port, and the agent asks the application what ISTIO_KUBE_APP_PROBERS holds.
"""

from __future__ import annotations

from typing import Any

from mizzen.injector.injection.names import PROXY, Object
from mizzen.injector.injection.pods import all_containers, copied

_PROBES = {"readinessProbe": "readyz", "livenessProbe": "livez", "startupProbe": "startupz"}
_HOOKS = {"preStop": "prestopz", "postStart": "poststartz"}
_ACTIONS = ("httpGet", "tcpSocket", "grpc")
_HOOK_ACTIONS = ("httpGet", "tcpSocket")


def rewrite_probes(pod: Object, status_port: int) -> dict[str, Any]:
    """Point every probe at the agent, in place; what it asked before, by the new path.

    Probes that run a command stay as they are, and so do those that the agent could not repeat (a port's name that the
    container does not declare) and those that point at the agent's port already.
    """
    originals: dict[str, Any] = {}
    for container in all_containers(pod):
        if container["name"] == PROXY:
            continue
        for field, word in _PROBES.items():
            path = f"/app-health/{container['name']}/{word}"
            _rewrite(container, field, path, status_port, originals)
        lifecycle = container.get("lifecycle")
        for field, word in _HOOKS.items() if lifecycle else ():
            path = f"/app-lifecycle/{container['name']}/{word}"
            _rewrite_hook(container, field, path, status_port, originals)
    return originals


def _rewrite(container: Object, field: str, path: str, status_port: int, originals: dict[str, Any]) -> None:
    probe = container.get(field) or {}
    asked = _question(probe, _ACTIONS, container, status_port)
    if asked is None:
        return
    if "timeoutSeconds" in probe:
        asked["timeoutSeconds"] = probe["timeoutSeconds"]
    originals[path] = asked
    container[field] = _redirected(probe, path, status_port)


def _rewrite_hook(container: Object, field: str, path: str, status_port: int, originals: dict[str, Any]) -> None:
    hook = container["lifecycle"].get(field) or {}
    asked = _question(hook, _HOOK_ACTIONS, container, status_port)
    if asked is None:
        return
    originals[path] = asked
    container["lifecycle"][field] = _redirected(hook, path, status_port)


def _question(handler: Object, actions: tuple[str, ...], container: Object, status_port: int) -> Object | None:
    """The action that asks the application, with its port as a number; None where there is none to take over."""
    action = next((name for name in actions if isinstance(handler.get(name), dict)), None)
    if action is None:
        return None
    question = copied(handler[action])
    port = question.get("port")
    if isinstance(port, str):
        declared = (item.get("containerPort") for item in container.get("ports") or () if item.get("name") == port)
        port = next(declared, None)
    if not isinstance(port, int) or port == status_port:
        return None
    question["port"] = port
    return {action: question}


def _redirected(handler: Object, path: str, status_port: int) -> Object:
    """The same handler, asking the agent over plain HTTP; the agent speaks TLS or gRPC to the application."""
    action = copied(handler.get("httpGet") or {}) | {"path": path, "port": status_port}
    if action.get("scheme") == "HTTPS":
        action["scheme"] = "HTTP"
    kept = {name: value for name, value in handler.items() if name not in _ACTIONS}
    return {"httpGet": action, **kept}
