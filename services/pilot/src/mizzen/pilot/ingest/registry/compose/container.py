"""A container, as far as a registry looks at it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_JOINS = "container:"
_NUMBER = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class Container:
    """One container at one instant."""

    id: str
    name: str
    number: int = 1
    """The how-many-eth it is of its compose service."""
    labels: Mapping[str, str] = field(default_factory=dict)
    running: bool = False
    healthy: bool = True
    """Its health check says yes, or it has none."""
    address: str = ""
    """Its own address; empty when it has none, or another one's."""
    joins: str = ""
    """Id of the container whose network it shares."""

    @classmethod
    def from_api(cls, item: Mapping[str, Any]) -> Container:
        """From an element of `GET /containers/json`."""
        labels = item.get("Labels") or {}
        number = str(labels.get("com.docker.compose.container-number", "1"))
        mode = str((item.get("HostConfig") or {}).get("NetworkMode", ""))
        return cls(
            id=item["Id"],
            name=next((name.lstrip("/") for name in item.get("Names") or ()), item["Id"][:12]),
            number=int(number) if _NUMBER.fullmatch(number) else 1,
            labels=labels,
            running=item.get("State") == "running",
            healthy=_healthy(str(item.get("Status", ""))),
            address=_address((item.get("NetworkSettings") or {}).get("Networks") or {}),
            joins=mode.removeprefix(_JOINS) if mode.startswith(_JOINS) else "",
        )


def _healthy(status: str) -> bool:
    """From the text for people, `Up 3 minutes (healthy)`: a list has the health nowhere else."""
    return "(unhealthy)" not in status and "(health: starting)" not in status


def _address(networks: Mapping[str, Any]) -> str:
    """In the first network by name, because all of a mesh share one."""
    stated = (networks[name] for name in sorted(networks))
    return next((item["IPAddress"] for item in stated if item and item.get("IPAddress")), "")
