"""A request, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

POINTS = 100
"""How finely `Call.point` cuts the weights: it is a whole number out of this."""


@dataclass(frozen=True)
class Call:
    """A request as a client sends it to the proxy."""

    host: str
    path: str = "/"
    method: str = "GET"
    headers: dict[str, str] = field(default_factory=dict)
    port: int = 9080
    """The listener's port."""
    point: int = 0
    """Chance, out of POINTS: which stretch of the weights the request falls into."""


@dataclass(frozen=True)
class Result:
    """The decision. A field is empty where it has no meaning."""

    kind: str
    """"forward", "redirect", "respond" (a direct response), "not found" (no route), "no listener"."""
    route: str = ""
    cluster: str = ""
    path: str = ""
    """What the endpoint is asked for."""
    authority: str = ""
    """The Host that the endpoint sees."""
    status: int = 0
    location: str = ""
    body: str = ""
    request_headers: dict[str, str] = field(default_factory=dict)
    """As the endpoint sees them, without those that every proxy adds."""
    response_headers: dict[str, str] = field(default_factory=dict)
    """As the client sees them, without those that every proxy adds."""


UPSTREAM_HEADERS = (("x-upstream", "echo"), ("x-powered-by", "echo"))
"""What endpoints answer with, for response header edits to work on."""


@dataclass(frozen=True)
class Case:
    """A call whose decision is known: `expected` names some fields of the result."""

    world: str
    name: str
    call: Call
    expected: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.world}: {self.name}"

    def check(self, result: Result) -> None:
        """Raise AssertionError with every field that differs."""
        wrong = [
            f"{name}: expected {want!r}, got {getattr(result, name)!r}"
            for name, want in self.expected.items()
            if not _agrees(want, getattr(result, name))
        ]
        assert not wrong, f"{self}\n  " + "\n  ".join(wrong) + f"\n  {result}"


def _agrees(want: Any, got: Any) -> bool:
    """Dicts may leave keys out; a key that is expected to be None must be absent."""
    if isinstance(want, dict):
        return all(got.get(key) == value for key, value in want.items())
    return bool(want == got)
