"""A component of the release as a process of this machine, where no kubelet runs its Pods.

It has what its Pod would have: the variables and mounted files of its Deployment, and its ServiceAccount's token. It
stands at the address of its Service, which is one of loopback, so that whoever calls the Service reaches it.
"""

from __future__ import annotations

import base64
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from support.kube.cluster import Object
from support.kube.given import FETCH
from support.kube.process import Process
from support.kube.release import Release

MONITORING_PORT = 15014
ROOTS = "istiod-ca-cert"
"""The volume of what Pilot makes, which runs beside some components only."""


@dataclass(frozen=True)
class Component:
    """One that serves."""

    release: Release
    deployment: str
    address: str
    """Of its process; empty where its Pods run."""

    def page(self, path: str) -> Any:
        """JSON of its monitoring port."""
        if self.address:
            status, text = _get(self.address, path)
            assert status == 200, text
            return json.loads(text)
        pod = ("exec", f"--namespace={self.release.namespace}", f"deployment/{self.deployment}")
        url = f"http://127.0.0.1:{MONITORING_PORT}{path}"
        return json.loads(self.release.cluster.kubectl(*pod, "--", "python3", "-c", FETCH, url))


@contextmanager
def serving(
    release: Release, module: str, deployment: str, variables: Mapping[str, str], folder: Path
) -> Iterator[Component]:
    """A component once it is ready: its Pods, else a process.

    `variables` win over the Deployment's, and may have `{address}` and `{kubeconfig}`.
    """
    spec = release.get("deployment", deployment)["spec"]
    service = _service(release, spec["selector"]["matchLabels"])
    if not release.cluster.local:
        release.wait(deployment)
        yield Component(release, deployment, "")
        return
    pod, address = spec["template"]["spec"], service["spec"]["clusterIP"]
    login = release.cluster.service_account(release.namespace, pod["serviceAccountName"]).kubeconfig
    own = {name: text.format(address=address, kubeconfig=login) for name, text in variables.items()}
    environment = os.environ | _variables(pod, _mounted(release, pod, folder)) | own
    process = Process([sys.executable, "-m", module], folder / f"{deployment}.log", environment)
    try:
        process.wait(lambda: _get(address, "/ready")[0] == 200)
        yield Component(release, deployment, address)
    finally:
        process.end()


def _service(release: Release, labels: Object) -> Object:
    """The first one: Mixer has two, of the same Pods."""
    services = release.get("services")["items"]
    return next(service for service in services if service["spec"]["selector"] == labels)


def _mounted(release: Release, pod: Object, folder: Path) -> dict[str, Path]:
    """Folders with the contents of ConfigMaps, Secrets and tokens, by the path where the container has them."""
    [container] = pod["containers"]
    paths = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    found = {}
    for volume in pod["volumes"]:
        target = folder / volume["name"]
        target.mkdir()
        for name, content in _contents(release, pod["serviceAccountName"], volume).items():
            (target / name).write_bytes(content)
        found[paths[volume["name"]]] = target
    return found


def _contents(release: Release, account: str, volume: Object) -> dict[str, bytes]:
    if "projected" in volume:
        [source] = volume["projected"]["sources"]
        asked = source["serviceAccountToken"]
        token = release.cluster.kubectl(
            "create", "token", account, f"--audience={asked['audience']}", "--namespace", release.namespace
        )
        return {asked["path"]: token.encode()}
    if "configMap" in volume:
        name = volume["configMap"]["name"]
        known = release.cluster.names("configmaps", "--namespace", release.namespace)
        if name not in known and (volume["configMap"].get("optional") or volume["name"] == ROOTS):
            return {}
        data = release.get("configmap", name)["data"]
        return {name: text.encode() for name, text in data.items()}
    data = release.get("secret", volume["secret"]["secretName"])["data"]
    return {name: base64.b64decode(text) for name, text in data.items()}


def _variables(pod: Object, mounted: Mapping[str, Path]) -> dict[str, str]:
    [container] = pod["containers"]
    found = {}
    for variable in container["env"]:
        value = variable.get("value", "")
        for path, folder in mounted.items():
            if f"{value}/".startswith(f"{path}/"):
                value = f"{folder}{value.removeprefix(path)}"
        found[variable["name"]] = value
    return found


def _get(address: str, path: str) -> tuple[int, str]:
    """Status and text; 0 and the reason where nobody answers."""
    connection = HTTPConnection(address, MONITORING_PORT, timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except (OSError, HTTPException) as error:
        return 0, str(error)
    finally:
        connection.close()
