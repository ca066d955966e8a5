"""What handlers fall back on when their parameters name no place of their own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mizzen.runtime.address import Address

EVERYWHERE = Address("0.0.0.0", 42422)


@dataclass(slots=True)
class Defaults:
    """Places of this process. The program that runs Mixer sets them before it builds handlers."""

    config: Path | None = None  # folder of YAML: Mixer's own configuration
    registry: Path | None = None  # folder of YAML: the platform's Pods
    prometheus: Address = EVERYWHERE  # where the adapter prometheus serves its page


DEFAULTS = Defaults()
