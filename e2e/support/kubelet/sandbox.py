"""A Pod's network: a namespace with one interface, routed by the node as a point-to-point network plug-in does.

All of a Pod's traffic passes the node, also to Pods beside it, so that kube-proxy's rules see answers too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network

from support.kubelet.objects import Unable

COMMAND_SECONDS = 30.0


@dataclass(frozen=True)
class Network:
    """Where the node's Pods are."""

    node: str
    """The node's own network namespace."""
    prefix: str
    """Of the names of the Pods' namespaces."""
    gateway: str
    """The node's address on every Pod's link."""


@dataclass(frozen=True)
class Sandbox:
    """One Pod's."""

    namespace: str
    address: str


def addresses(pods: IPv4Network) -> Iterator[str]:
    """For Pods, one after the other: one that is gone is not used again soon. The first is the node's."""
    while True:
        hosts = pods.hosts()
        next(hosts)
        yield from map(str, hosts)


async def make_sandbox(network: Network, number: int, address: str) -> Sandbox:
    """A namespace with loopback and eth0; raises Unable."""
    sandbox = Sandbox(f"{network.prefix}-p{number}", address)
    own, link = ("-n", sandbox.namespace), f"pod{number}"
    await _ip("netns", "add", sandbox.namespace)
    await _ip(*own, "link", "set", "lo", "up")
    await _ip(*own, *f"link add eth0 type veth peer name {link} netns {network.node}".split())
    await _ip(*own, *f"address add {address}/32 dev eth0".split())
    await _ip(*own, "link", "set", "eth0", "up")
    await _ip(*own, *f"route add {network.gateway} dev eth0 scope link".split())
    await _ip(*own, *f"route add default via {network.gateway} src {address}".split())
    there = ("-n", network.node)
    await _ip(*there, *f"address add {network.gateway}/32 dev {link}".split())
    await _ip(*there, "link", "set", link, "up")
    await _ip(*there, *f"route add {address}/32 dev {link}".split())
    return sandbox


async def remove_sandbox(sandbox: Sandbox) -> None:
    """The other end of the cable goes with it."""
    await _ip("netns", "delete", sandbox.namespace)


async def _ip(*arguments: str) -> None:
    process = await asyncio.create_subprocess_exec(
        "ip", *arguments, stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(COMMAND_SECONDS):
        _, complaint = await process.communicate()
    if process.returncode:
        raise Unable(f"ip {' '.join(arguments)}: {complaint.decode().strip()}")
