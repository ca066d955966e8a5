"""Collecting what is wrong with resources."""

from __future__ import annotations

from dataclasses import dataclass, field

from mizzen.api.problem import Path, Problem, Severity
from mizzen.api.resource import Resource
from mizzen.api.wording import path_text
from mizzen.attributes.values import ValueType
from mizzen.mixer.expressions.checker import Vocabulary
from mizzen.mixer.expressions.errors import InvalidExpression
from mizzen.mixer.expressions.expression import Expression, compile_expression


@dataclass(slots=True)
class Problems:
    """All of them, and the resources that are left out as a whole with the reason."""

    found: list[Problem] = field(default_factory=list)
    quarantined: dict[str, str] = field(default_factory=dict)
    partial: bool = False
    """These are not all resources of a mesh: what a reference leads to may be elsewhere."""

    def error(self, resource: Resource, path: Path, message: str) -> None:
        """Something of the resource cannot be used."""
        self._add(resource, path, message, "error")

    def missing(self, resource: Resource, path: Path, message: str) -> None:
        """A reference leads to nothing, or a part is of no use because of that: a warning where not all is known."""
        self._add(resource, path, message, "warning" if self.partial else "error")

    def warning(self, resource: Resource, path: Path, message: str) -> None:
        """Something of the resource is not what its author may think."""
        self._add(resource, path, message, "warning")

    def quarantine(self, resource: Resource, path: Path, message: str, *, missing: bool = False) -> None:
        """Nothing of the resource can be used, perhaps for what is `missing`; the first reason stays."""
        (self.missing if missing else self.error)(resource, path, message)
        self.quarantined.setdefault(resource.id, f"{path_text(('spec', *path))}: {message}")

    def _add(self, resource: Resource, path: Path, message: str, severity: Severity) -> None:
        self.found.append(Problem(resource.source, resource.id, path_text(("spec", *path)), message, severity))

    def compile(
        self, resource: Resource, path: Path, text: str, vocabulary: Vocabulary, wanted: ValueType | None = None
    ) -> Expression | None:
        """Compile a field; None after an error, which is noted with its column. `wanted` is the field's type."""
        try:
            expression = compile_expression(text, vocabulary)
        except InvalidExpression as failure:
            self.error(resource, path, str(failure))
            return None
        if wanted is not None and expression.type is not wanted:
            self.error(
                resource, path, f"must be an expression of type {wanted.name}, {text!r} is {expression.type.name}"
            )
            return None
        for doubt in expression.doubts:
            self.warning(resource, path, f"{doubt}; the expression fails where it needs that")
        return expression
