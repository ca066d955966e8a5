"""A cluster of one node as it is in production: kubelet and containerd, which run Pods of the images of `make images`.

It needs root, a Docker engine with those images, containerd, and CNI's plugins (Debian: containernetworking-plugins).
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from support.kube.cluster import Cluster, Refused, command_output, until
from support.kube.local import ControlPlane, start_control_plane
from support.kube.machine import Machine, machine
from support.kube.node import NODE, is_ready, start_services
from support.kube.programs import program
from support.kube.release import image

NAMES = ("pilot", "mixer", "injector", "proxy", "gateway", "proxy-init", "demo")
PAUSE = image("pause")
PAUSE_FILE = f'FROM {image("proxy-init")}\nUSER 65535\nENTRYPOINT ["sleep", "infinity"]\n'
"""The image of sandboxes: any program that waits."""
PLUGINS = "/usr/lib/cni"
ARCHIVE_SECONDS = 300
NODE_SECONDS = 90
CONTAINERD = """
version = 2
root = "{folder}/root"
state = "{folder}/state"
[grpc]
address = "{socket}"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "docker.io/{pause}"
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{plugins}"
conf_dir = "{folder}/net.d"
"""


@contextmanager
def containers_node(folder: Path) -> Iterator[Path]:
    """The administrator's kubeconfig of a new one that is ready; nothing is left of it afterwards."""
    with machine(folder) as place:
        plane = start_control_plane(folder, place.stack, place)
        kubeconfig = plane.kubeconfig("administrator", "system:masters")
        cluster = Cluster(kubeconfig, local=False)
        start_services(plane, place, cluster)
        _kubelet(plane, place, _containerd(place))
        until("the node is ready", lambda: is_ready(cluster), NODE_SECONDS)
        try:
            yield kubeconfig
        finally:
            _end_pods(cluster)


def _containerd(place: Machine) -> Path:
    """Its socket, once it serves and has the images."""
    folder = place.folder / "containerd"
    (folder / "net.d").mkdir(parents=True)
    addresses = {"type": "host-local", "dataDir": f"{folder}/addresses", "ranges": [[{"subnet": place.pods}]]}
    bridge = {
        "type": "bridge",
        "bridge": "pods",
        "isGateway": True,
        "hairpinMode": True,
        "ipam": addresses | {"routes": [{"dst": "0.0.0.0/0"}]},
    }
    network = {"cniVersion": "0.4.0", "name": "pods", "plugins": [bridge]}
    (folder / "net.d" / "pods.conflist").write_text(json.dumps(network))
    socket = folder / "containerd.sock"
    settings = folder / "config.toml"
    settings.write_text(CONTAINERD.format(folder=folder, socket=socket, pause=PAUSE, plugins=PLUGINS))
    place.run("containerd", "containerd", "--config", str(settings))
    ctr = ("ctr", f"--address={socket}", "--namespace=k8s.io")
    until("containerd serves", lambda: _succeeds(*ctr, "version"))
    with tempfile.NamedTemporaryFile(dir=place.folder, suffix=".tar") as archive:
        command_output("docker", "build", "--quiet", f"--tag={PAUSE}", "-", stdin=PAUSE_FILE)
        references = [image(name) for name in NAMES]
        command_output("docker", "save", f"--output={archive.name}", PAUSE, *references, seconds=ARCHIVE_SECONDS)
        command_output(*ctr, "images", "import", archive.name, seconds=ARCHIVE_SECONDS)
    return socket


def _kubelet(plane: ControlPlane, place: Machine, runtime: Path) -> None:
    folder = place.folder / "kubelet"
    folder.mkdir()
    # It mounts its folder onto itself, and leaves that so.
    place.stack.callback(command_output, "umount", "--lazy", str(folder / "root"))
    (folder / "resolv.conf").write_text(f"nameserver {place.address}\n")
    settings = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": place.address,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": False},
            "x509": {"clientCAFile": plane.authority.file},
        },
        "authorization": {"mode": "AlwaysAllow"},
        "cgroupDriver": "cgroupfs",
        "cgroupsPerQOS": False,
        "clusterDNS": [place.address],
        "clusterDomain": "cluster.local",
        "containerRuntimeEndpoint": f"unix://{runtime}",
        "enforceNodeAllocatable": [],
        "evictionHard": {"memory.available": "50Mi"},
        "failCgroupV1": False,
        "failSwapOn": False,
        "imageGCHighThresholdPercent": 100,
        "localStorageCapacityIsolation": False,
        "makeIPTablesUtilChains": False,
        "podLogsDir": str(folder / "logs"),
        "resolvConf": str(folder / "resolv.conf"),
    }
    (folder / "config.yaml").write_text(json.dumps(settings))
    place.run(
        "kubelet",
        program("kubelet"),
        f"--config={folder / 'config.yaml'}",
        f"--kubeconfig={plane.kubeconfig(f'system:node:{NODE}', 'system:nodes')}",
        f"--hostname-override={NODE}",
        f"--node-ip={place.address}",
        f"--root-dir={folder / 'root'}",
        f"--cert-dir={folder / 'certificates'}",
    )


def _end_pods(cluster: Cluster) -> None:
    """While there is a kubelet that unmounts what it mounted for them."""
    for kinds in ("deployments,daemonsets,statefulsets,jobs", "pods"):
        cluster.kubectl("delete", kinds, "--all", "--all-namespaces", "--grace-period=1")
    until("all Pods have ended", lambda: not cluster.names("pods", "--all-namespaces"))


def _succeeds(*command: str) -> bool:
    with suppress(Refused):
        command_output(*command)
        return True
    return False
