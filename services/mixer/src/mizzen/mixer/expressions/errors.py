"""What can be wrong with an expression, and with evaluating it. Nothing else is raised by this package."""

from __future__ import annotations


class InvalidExpression(Exception):
    """An expression that cannot be used; `column` counts the characters of its text from 1."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.message = message
        self.column = offset + 1

    def __str__(self) -> str:
        return f"column {self.column}: {self.message}"


class EvaluationError(Exception):
    """An expression has no value for these attributes."""


class AttributeMissing(EvaluationError):
    """The request does not carry an attribute that an expression needs."""

    def __init__(self, name: str) -> None:
        super().__init__(f"lookup failed: '{name}'")
        self.name = name
