"""`python -m support.kubelet`: runs in the node's network namespace until SIGTERM, and then ends all Pods."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
from ipaddress import IPv4Network
from pathlib import Path

from mizzen.kubernetes.access import access_to
from mizzen.kubernetes.client import Client
from support.kubelet.images import read_images
from support.kubelet.kubelet import Kubelet
from support.kubelet.node import beat, register
from support.kubelet.pod import Host
from support.kubelet.rootfs import REPOSITORY
from support.kubelet.sandbox import Network


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="kubelet", description="Runs the Pods of one node as processes.")
    for name, text in (
        ("kubeconfig", "of the node's own user"),
        ("name", "of the node"),
        ("address", "of the node"),
        ("namespace", "network namespace of the node"),
        ("prefix", "of the names of the Pods' network namespaces"),
        ("pods", "addresses of Pods, CIDR"),
        ("dns", "address of the cluster's DNS server"),
        ("folder", "of logs and volumes"),
    ):
        parser.add_argument(f"--{name}", required=True, help=text)
    return parser.parse_args()


async def _serve(given: argparse.Namespace) -> None:
    client = Client(access_to(given.kubeconfig, {}), "e2e-kubelet")
    pods = IPv4Network(given.pods)
    try:
        await register(client, given.name, given.address, {"topology.kubernetes.io/zone": "e2e"})
        service = (await client.get("/api/v1/namespaces/default/services/kubernetes"))["spec"]
        host = Host(
            client=client,
            network=Network(given.namespace, given.prefix, str(next(pods.hosts()))),
            address=given.address,
            folder=Path(given.folder),
            images=read_images(REPOSITORY / "images/Dockerfile"),
            nameserver=given.dns,
            domain="cluster.local",
            api=(service["clusterIP"], str(service["ports"][0]["port"])),
        )
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(beat(client, given.name, given.address), name="beat")
            tasks.create_task(Kubelet(host, given.name, pods).run(), name="kubelet")
    finally:
        await client.close()


async def _main() -> None:
    serving = asyncio.create_task(_serve(_arguments()), name="serving")
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, serving.cancel)
    await asyncio.wait([serving])
    if not serving.cancelled():
        serving.result()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    asyncio.run(_main())
