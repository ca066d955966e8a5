"""Adapters by name. A back end's module, and the libraries it needs, are imported when a handler first names it."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import cast

from mizzen.mixer.adapter import Adapter

_MODULES: Mapping[str, str] = {
    "bypass": "bypass",
    "denier": "denier",
    "fluentd": "fluentd",
    "jaeger": "jaeger",
    "kubernetesenv": "kubernetesenv",
    "list": "listchecker",
    "listchecker": "listchecker",
    "memquota": "memquota",
    "noop": "noop",
    "opa": "opa",
    "prometheus": "prometheus",
    "python": "python",
    "rbac": "rbac",
    "redisquota": "redisquota",
    "remote": "remote",
    "statsd": "statsd",
    "stdio": "stdio",
    "zipkin": "zipkin",
}
"""Each name that handlers may use, and the module here whose `ADAPTER` answers to it."""


def find(name: str) -> Adapter | None:
    """The adapter that `compiledAdapter: <name>` or `kind: <name>` means; None when there is no such adapter."""
    module = _MODULES.get(name)
    return None if module is None else cast("Adapter", import_module(f"{__package__}.{module}").ADAPTER)


def names() -> tuple[str, ...]:
    """All names that `find` knows, in order."""
    return tuple(sorted(_MODULES))
