"""Who reports: the attributes by which a proxy names itself, as opposed to whom it talks to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

KIND: Final = "context.reporter.kind"
"""On which side of a request the reporter is."""
UID: Final = "context.reporter.uid"
"""`kubernetes://POD.NAMESPACE`."""
SCHEME: Final = "kubernetes://"


class Side(NamedTuple):
    """One end of a request: names of attributes that say who is there."""

    uid: str
    namespace: str
    principal: str


SIDES: Final[Mapping[str, Side]] = {
    "inbound": Side("destination.uid", "destination.namespace", "destination.principal"),
    "outbound": Side("source.uid", "source.namespace", "source.principal"),
}
"""The reporter's own, by its kind."""


def own_names(kind: str) -> frozenset[str]:
    """All attributes by which a reporter of this kind names itself, and which nobody else may state for it."""
    side = SIDES.get(kind)
    return frozenset((KIND, UID, *(side or ())))


def namespace_of(uid: str) -> str:
    """The namespace of a Pod; empty for a text that names none."""
    name, _, namespace = uid.removeprefix(SCHEME).rpartition(".")
    return namespace if name and uid.startswith(SCHEME) else ""
