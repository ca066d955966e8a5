"""A cluster of one node that runs Pods: scheduler, kube-proxy, CoreDNS and our kubelet around a control plane."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.kube.cluster import Cluster, until
from support.kube.local import ControlPlane, start_control_plane
from support.kube.machine import Machine, machine
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

    def log(self, namespace: str, pod: str, container: str) -> Path:
        """What a container wrote, also before it was started anew."""
        return self.machine.folder / "pods" / f"{namespace}_{pod}" / f"{container}.log"


@contextmanager
def node(folder: Path) -> Iterator[Node]:
    """A new one, ready for Pods; nothing is left of it afterwards. Needs root."""
    with machine(folder) as place:
        plane = start_control_plane(folder, place.stack, place)
        cluster = Cluster(plane.kubeconfig("administrator", "system:masters"), local=True)
        _scheduler(plane, place)
        _proxy(plane, place)
        _dns(plane, place, cluster)
        _kubelet(plane, place)
        until("the node is ready", lambda: _is_ready(cluster))
        account = "serviceaccount/default"
        until("Pods may be made", lambda: account in cluster.names("serviceaccounts", "--namespace=default"))
        yield Node(cluster, place)


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


def _is_ready(cluster: Cluster) -> bool:
    nodes = cluster.get("nodes")["items"]
    return any(
        condition["type"] == "Ready" and condition["status"] == "True" and not node["spec"].get("taints")
        for node in nodes
        for condition in node["status"].get("conditions", ())
    )
