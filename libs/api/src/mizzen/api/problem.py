"""What is wrong with a resource, and where."""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]

Path = tuple[str | int, ...]
"""Keys and list indexes from the root of a value."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a resource or one of its fields was written; document and line count from 1."""

    file: str
    document: int
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong: where it stands, in which resource and field, and what would be right.

    `resource` reads "VirtualService default/reviews" ("" when it is unknown), `path` "spec.http[0].route[1].weight".
    An error keeps its resource out of the mesh, a warning does not.
    """

    source: Source | None
    resource: str
    path: str
    message: str
    severity: Severity = "error"

    def __str__(self) -> str:
        place = f"{self.source} (document {self.source.document})" if self.source else ""
        return ": ".join(part for part in (place, self.severity, self.resource, self.path, self.message) if part)
