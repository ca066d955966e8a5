"""Text that is an attribute expression."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator


def _as_text(value: Any) -> Any:
    # A number or a truth value in YAML is the expression of that constant.
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


Expression = Annotated[str, BeforeValidator(_as_text)]
"""An attribute expression, such as `source.labels["app"] | "unknown"`."""
