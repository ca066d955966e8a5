"""What handlers fall back on when their parameters name no place of their own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mizzen.runtime.address import Address

if TYPE_CHECKING:  # that package reads its defaults here
    from mizzen.mixer.adapters.kubernetesenv.pods import PodsFrom

EVERYWHERE = Address("0.0.0.0", 42422)


@dataclass(slots=True)
class Defaults:
    """Places of this process. The program that runs Mixer sets them before it builds handlers."""

    config: Path | None = None  # folder of YAML: Mixer's own configuration
    registry: Path | None = None  # folder of YAML: the platform's Pods
    pods: PodsFrom | None = None  # the platform's Pods from elsewhere, where there is no such folder
    prometheus: Address = EVERYWHERE  # where the adapter prometheus serves its page


DEFAULTS = Defaults()
