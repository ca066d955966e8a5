"""Labels of workloads and the selectors that choose by them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

Labels: TypeAlias = frozenset[tuple[str, str]]
"""(key, value) pairs: hashable, and a selector matches when it is a subset (`selector <= labels`)."""

NONE: Labels = frozenset()


def labels(values: Mapping[str, str] | None) -> Labels:
    """Labels of a mapping as it stands in YAML."""
    return frozenset((values or {}).items())
