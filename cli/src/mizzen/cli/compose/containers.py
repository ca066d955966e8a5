"""The containers of a project, as the command line shows them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mizzen.cli.compose.docker import output_of
from mizzen.cli.local.state import ProcessState

PROJECT = "com.docker.compose.project"
SERVICE = "com.docker.compose.service"
NUMBER = "com.docker.compose.container-number"
WORKLOAD = "mizzen.workload"
NAMESPACE = "mizzen.namespace"
ROLE = "mizzen.role"
SERVICE_ACCOUNT = "mizzen.service-account"
HOME_IN_PILOT = "/etc/mizzen"
"""Where the compose file mounts the home of the mesh."""
_JOINS = "container:"


@dataclass(frozen=True, slots=True)
class Container:
    """One container at one instant."""

    id: str
    service: str
    number: str
    state: str
    """running, starting, restarting or stopped."""
    pid: int
    restarts: int
    address: str
    """Its own; empty for one that shares another's network, or has none."""
    network: str
    """Id of the container whose network it is in: its own, if it does not share another's."""
    labels: Mapping[str, str]
    reason: str = ""
    home: str = ""
    """The home of the mesh, for a container that has it mounted."""

    @classmethod
    def from_inspect(cls, item: Mapping[str, Any]) -> Container:
        """From an element of `docker inspect`."""
        state, labels = item["State"], item["Config"]["Labels"] or {}
        mode = item["HostConfig"]["NetworkMode"]
        networks = item["NetworkSettings"]["Networks"] or {}
        return cls(
            id=item["Id"],
            service=labels.get(SERVICE, item["Name"].lstrip("/")),
            number=labels.get(NUMBER, "1"),
            state=_state(state),
            pid=state["Pid"],
            restarts=item["RestartCount"],
            address=next((networks[name]["IPAddress"] for name in sorted(networks)), ""),
            network=mode.removeprefix(_JOINS) if mode.startswith(_JOINS) else item["Id"],
            labels=labels,
            reason="" if state["Running"] else f"ended with status {state['ExitCode']}",
            home=next((mount["Source"] for mount in item["Mounts"] if mount["Destination"] == HOME_IN_PILOT), ""),
        )

    def process(self, address: str) -> ProcessState:
        """For `mizzen status`."""
        log = f"docker logs {self.id[:12]}"
        return ProcessState(self.service, self.state, self.pid, self.restarts, address, log, self.reason)


def containers_of(project: str) -> list[Container]:
    """All containers of a compose project by name, also those that ended; raises UserError."""
    ours = ("--filter", f"label={PROJECT}={project}")
    ids = output_of(("docker", "ps", "--all", "--quiet", "--no-trunc", *ours)).split()
    if not ids:
        return []
    found = map(Container.from_inspect, json.loads(output_of(("docker", "inspect", *ids))))
    return sorted(found, key=lambda container: container.service)


def processes(containers: Iterable[Container]) -> tuple[ProcessState, ...]:
    """Each with the address at which it is reached."""
    known = tuple(containers)
    addresses = {container.id: container.address for container in known}
    return tuple(container.process(addresses.get(container.network, "")) for container in known)


def proxy_of(containers: Iterable[Container], workload: str) -> Container | None:
    """The proxy of a workload (reviews-v2) or of one pod of it (reviews-v2-1); `.NAMESPACE` may follow."""
    known = tuple(containers)
    name, _, namespace = workload.partition(".")
    for app in known:
        stated = app.labels.get(WORKLOAD, "")
        if not stated or name not in (stated, f"{stated}-{app.number}"):
            continue
        if namespace in ("", app.labels.get(NAMESPACE, "default")):
            proxies = (item for item in known if item.network == app.network and item.labels.get(ROLE) == "proxy")
            return next(proxies, None)
    return None


def _state(state: Mapping[str, Any]) -> str:
    if state.get("Restarting"):
        return "restarting"
    if not state["Running"] or state.get("Paused"):
        return "stopped"
    health = (state.get("Health") or {}).get("Status", "healthy")
    return {"starting": "starting", "unhealthy": "unhealthy"}.get(health, "running")
