"""Full names of handlers and instances, `name.kind.namespace`, and the shorter ways to refer to them."""

from __future__ import annotations

from collections.abc import Container, Iterator

from mizzen.api.resource import ResourceKey


def full_name(key: ResourceKey) -> str:
    """What a handler or an instance is called everywhere: in parameters of adapters, in metrics, in messages."""
    return f"{key.name}.{key.kind}.{key.namespace}"


def short_name(name: str) -> str:
    """The first part of a full name; names with dots do not occur in Istio's references."""
    return name.split(".", 1)[0]


def resolve(reference: str, word: str, namespace: str, known: Container[str]) -> str | None:
    """The full name that a reference in `namespace` means, of those that are known; `word` is handler or instance."""
    return next((name for name in _candidates(reference, word, namespace) if name in known), None)


def _candidates(reference: str, word: str, namespace: str) -> Iterator[str]:
    parts = reference.split(".")
    if len(parts) == 1:
        yield f"{reference}.{word}.{namespace}"
    elif len(parts) == 2:
        yield f"{reference}.{namespace}"
        yield f"{parts[0]}.{word}.{parts[1]}"
    else:
        yield reference
