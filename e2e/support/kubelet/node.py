"""The Node object: what the node has, and that it lives."""

from __future__ import annotations

import asyncio
import logging

from mizzen.kubernetes.client import FAILURES, ApiError, Client
from support.kubelet.container import now
from support.kubelet.environment import CAPACITY
from support.kubelet.objects import Object

BEAT_SECONDS = 5.0
VERSION = "v1.34.4"
STRATEGIC = "application/strategic-merge-patch+json"

log = logging.getLogger(__name__)


async def register(client: Client, name: str, address: str, labels: dict[str, str]) -> None:
    """Make it, and say that it is ready."""
    known = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", **labels}
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": known}}
    try:
        await client.send("POST", "/api/v1/nodes", node)
    except ApiError as error:
        if error.status != 409:
            raise
    await client.send("PATCH", f"/api/v1/nodes/{name}/status", {"status": _status(name, address)}, STRATEGIC)


async def beat(client: Client, name: str, address: str) -> None:
    """Say so again and again: a node that is silent for long counts as lost, with its Pods."""
    while True:
        await asyncio.sleep(BEAT_SECONDS)
        try:
            await client.send("PATCH", f"/api/v1/nodes/{name}/status", {"status": _status(name, address)}, STRATEGIC)
        except FAILURES as error:
            log.warning("status of the node: %s", error)


def _status(name: str, address: str) -> Object:
    ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "lastHeartbeatTime": now()}
    return {
        "capacity": CAPACITY,
        "allocatable": CAPACITY,
        "conditions": [ready],
        "addresses": [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": name}],
        "nodeInfo": {"kubeletVersion": VERSION, "operatingSystem": "linux", "architecture": "amd64"},
    }
