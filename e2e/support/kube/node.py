"""A cluster of one node that runs Pods: scheduler, kube-proxy, CoreDNS and our kubelet around a control plane."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.kube.cluster import Cluster, command_output, until
from support.kube.local import ControlPlane, start_control_plane
from support.kube.machine import Machine, machine, passed_on
from support.kube.pods import Row
from support.kube.programs import REPOSITORY, program

NODE = "e2e"
DNS = """
. {{
  bind {address}
  errors
  kubernetes cluster.local {{
    kubeconfig {kubeconfig}
    ttl 1
  }}
  ready {address}:8181
}}
"""


@dataclass(frozen=True)
class Node:
    """The cluster, and the machine that it is on."""

    cluster: Cluster
    machine: Machine

    def image(self, reference: str) -> str:
        """Its name tells which program of this machine is meant."""
        return reference

    def reach(self, port: int, namespace: str, service: str, there: int) -> None:
        address = self.cluster.get("service", service, f"--namespace={namespace}")["spec"]["clusterIP"]
        self.machine.forward(port, address, there)

    @contextmanager
    def tunnel(self, container: Row, there: int) -> Iterator[int]:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            enter, port = ["nsenter", f"--target={container.pid}", "--net"], int(listening.getsockname()[1])
            log = self.machine.folder / f"tunnel-{port}.log"
            process = passed_on(listening, enter, "127.0.0.1", there, log)
            try:
                yield port
            finally:
                process.end()

    def log(self, container: Row) -> str:
        return self.log_file(container.namespace, container.pod, container.container).read_text()

    def log_file(self, namespace: str, pod: str, container: str) -> Path:
        """What a container wrote, also before it was started anew."""
        return self.machine.folder / "pods" / f"{namespace}_{pod}" / f"{container}.log"

    def fetch(self, container: Row, url: str) -> str:
        return command_output("nsenter", f"--target={container.pid}", "--net", "curl", "-sSf", url)

    def kill(self, container: Row) -> None:
        os.kill(container.pid, signal.SIGKILL)


@contextmanager
def node(folder: Path) -> Iterator[Node]:
    """A new one, ready for Pods; nothing is left of it afterwards. Needs root."""
    with machine(folder) as place:
        plane = start_control_plane(folder, place.stack, place)
        cluster = Cluster(plane.kubeconfig("administrator", "system:masters"), local=True)
        start_services(plane, place, cluster)
        _kubelet(plane, place)
        until("the node is ready", lambda: is_ready(cluster))
        account = "serviceaccount/default"
        until("Pods may be made", lambda: account in cluster.names("serviceaccounts", "--namespace=default"))
        yield Node(cluster, place)


def start_services(plane: ControlPlane, place: Machine, cluster: Cluster) -> None:
    """Scheduler, kube-proxy and DNS: what Pods need beside a kubelet."""
    _scheduler(plane, place)
    _proxy(plane, place)
    _dns(plane, place, cluster)


def _scheduler(plane: ControlPlane, place: Machine) -> None:
    config = plane.kubeconfig("system:kube-scheduler")
    access = [f"--{name}={config}" for name in ("kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig")]
    place.run("kube-scheduler", program("kube-scheduler"), *access, "--leader-elect=false")


def _proxy(plane: ControlPlane, place: Machine) -> None:
    place.run(
        "kube-proxy",
        program("kube-proxy"),
        f"--kubeconfig={plane.kubeconfig('system:kube-proxy')}",
        f"--hostname-override={NODE}",
        f"--cluster-cidr={place.pods}",
        "--proxy-mode=nftables",
        "--conntrack-max-per-core=0",
        "--conntrack-tcp-timeout-established=0s",
        "--conntrack-tcp-timeout-close-wait=0s",
    )


def _dns(plane: ControlPlane, place: Machine, cluster: Cluster) -> None:
    """It reads what CoreDNS' own rights would let it read, and more."""
    cluster.kubectl("create", "clusterrolebinding", "e2e-dns", "--clusterrole=view", "--user=e2e:dns")
    cluster.kubectl("create", "clusterrole", "e2e-dns", "--verb=list,watch", "--resource=namespaces,nodes")
    cluster.kubectl("create", "clusterrolebinding", "e2e-dns-more", "--clusterrole=e2e-dns", "--user=e2e:dns")
    file = plane.folder / "Corefile"
    file.write_text(DNS.format(address=place.address, kubeconfig=plane.kubeconfig("e2e:dns")))
    place.run("coredns", program("coredns"), "-conf", str(file))


def _kubelet(plane: ControlPlane, place: Machine) -> None:
    place.run(
        "kubelet",
        *(sys.executable, "-m", "support.kubelet", f"--name={NODE}"),
        f"--kubeconfig={plane.kubeconfig(f'system:node:{NODE}', 'system:nodes')}",
        f"--address={place.address}",
        f"--namespace={place.namespace}",
        f"--prefix={place.prefix}",
        f"--pods={place.pods}",
        f"--dns={place.address}",
        f"--folder={plane.folder / 'pods'}",
        environment=os.environ | {"PYTHONPATH": str(REPOSITORY / "e2e")},
    )


def is_ready(cluster: Cluster) -> bool:
    """Whether a node takes Pods."""
    nodes = cluster.get("nodes")["items"]
    return any(
        condition["type"] == "Ready" and condition["status"] == "True" and not node["spec"].get("taints")
        for node in nodes
        for condition in node["status"].get("conditions", ())
    )
