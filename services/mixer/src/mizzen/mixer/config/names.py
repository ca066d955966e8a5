"""Full names of handlers and instances, `name.kind.namespace`, and the shorter ways to refer to them."""

from __future__ import annotations

import difflib
from collections.abc import Container, Iterable, Iterator

from mizzen.api.resource import ResourceKey

LEAST_LIKENESS = 0.7
"""Of two names, as difflib measures it, for one to be suggested in place of the other."""


def full_name(key: ResourceKey) -> str:
    """What a handler or an instance is called everywhere: in parameters of adapters, in metrics, in messages."""
    return f"{key.name}.{key.kind}.{key.namespace}"


def short_name(name: str) -> str:
    """The first part of a full name; names with dots do not occur in Istio's references."""
    return name.split(".", 1)[0]


def resolve(reference: str, word: str, namespace: str, known: Container[str]) -> str | None:
    """The full name that a reference in `namespace` means, of those that are known; `word` is handler or instance."""
    return next((name for name in _candidates(reference, word, namespace) if name in known), None)


def nearest(reference: str, word: str, namespace: str, known: Iterable[str]) -> str | None:
    """The full name that an author may have meant by a reference to nothing: one of the same or nearly the same name.

    Of several by that name, of other kinds or in other namespaces, it is the one most like the reference as a whole.
    """
    names = list(known)
    shorts = {short_name(name).lower() for name in names}
    near = difflib.get_close_matches(short_name(reference).lower(), shorts, n=1, cutoff=LEAST_LIKENESS)
    if not near:
        return None
    wanted = next(_candidates(reference, word, namespace))
    alike = [name for name in names if short_name(name).lower() == near[0]]
    return max(alike, key=lambda name: difflib.SequenceMatcher(None, name, wanted).ratio())


def _candidates(reference: str, word: str, namespace: str) -> Iterator[str]:
    parts = reference.split(".")
    if len(parts) == 1:
        yield f"{reference}.{word}.{namespace}"
    elif len(parts) == 2:
        yield f"{reference}.{namespace}"
        yield f"{parts[0]}.{word}.{parts[1]}"
    else:
        yield reference
