"""Kubernetes' resource quantities: `100m`, `1.5`, `128Mi`, `1e3`."""

from __future__ import annotations

import re
from decimal import Decimal

MAX_LENGTH = 64
_FORM = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:([numkMGTPE]|[KMGTPE]i)|[eE]([+-]?\d{1,3}))?")
_SUFFIXES = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    **{letter: Decimal(1000) ** power for power, letter in enumerate("kMGTPE", start=1)},
    **{f"{letter}i": Decimal(1024) ** power for power, letter in enumerate("KMGTPE", start=1)},
}


def parse_quantity(text: str) -> Decimal:
    """The number that a quantity means; raises ValueError."""
    found = _FORM.fullmatch(text) if len(text) <= MAX_LENGTH else None
    if not found:
        raise ValueError(f"must be a quantity such as 100m, 2 or 128Mi, got {text!r}")
    number, suffix, exponent = found.groups()
    value = Decimal(number)
    if exponent is not None:
        return value.scaleb(int(exponent))
    return value * _SUFFIXES.get(suffix or "", Decimal(1))
