"""The life of one Pod on this node, from its binding to its end."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mizzen.kubernetes.client import FAILURES, ApiError, Client
from support.kubelet import rootfs
from support.kubelet.container import Container, Plan, State, now
from support.kubelet.environment import expand
from support.kubelet.images import Image, stage
from support.kubelet.objects import Object, Unable, is_sidecar, named, path_of
from support.kubelet.sandbox import Network, Sandbox, make_sandbox, remove_sandbox
from support.kubelet.sources import Sources
from support.kubelet.status import Facts, status
from support.kubelet.volumes import make_volumes

RETRY_SECONDS = 0.5
KILL_SECONDS = 5.0
STRATEGIC = "application/strategic-merge-patch+json"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Host:
    """What all Pods of the node share."""

    client: Client
    network: Network
    address: str
    folder: Path
    images: Mapping[str, Image]
    nameserver: str
    domain: str
    api: tuple[str, str]
    """Address and port of the API server's Service."""


class PodLife:
    """One Pod: `run` until it is gone."""

    def __init__(self, host: Host, pod: Object, number: int, address: str) -> None:
        self.pod = pod
        self._host = host
        self._number = number
        self._address = address
        self._folder = host.folder / named(pod).replace("/", "_") / pod["metadata"]["uid"]
        self._sources = Sources(host.client, pod)
        self._sandbox: Sandbox | None = None
        self._containers: dict[str, Container] = {}
        self._began = now()
        self._complaint = ""
        self._deleted = asyncio.Event()
        self._grace = 0.0
        self._dirty = asyncio.Event()

    def delete(self, grace: float) -> None:
        """End it within so many seconds; the API server wants it gone."""
        self._grace = grace
        self._deleted.set()

    async def run(self) -> None:
        """All of it; cancelled, it ends at once and leaves nothing on this machine."""
        reporting = asyncio.create_task(self._report(), name=f"status of {named(self.pod)}")
        living = asyncio.create_task(self._live(), name=named(self.pod))
        try:
            await self._deleted.wait()
            living.cancel()
            await asyncio.wait([living])
            await self._stop(self._grace)
            await self._forget()
        finally:
            reporting.cancel()
            living.cancel()
            await asyncio.wait([reporting, living])
            await self._stop(0)
            if self._sandbox is not None:
                await remove_sandbox(self._sandbox)
            shutil.rmtree(self._folder / "layers", ignore_errors=True)

    async def _live(self) -> None:
        """Sandbox, init containers, containers, and their end where they are to end."""
        try:
            await self._prepare()
            if await self._initialise():
                await self._main()
        except Unable as error:
            self._complaint = str(error)
            log.warning("%s: %s", named(self.pod), error)
            self._changed()

    async def _prepare(self) -> None:
        spec = self.pod["spec"]
        if spec.get("hostNetwork"):
            raise Unable("hostNetwork: this node's network is not for Pods")
        self._folder.mkdir(parents=True)
        self._sandbox = await make_sandbox(self._host.network, self._number, self._address)
        self.pod.setdefault("status", {}).update({"podIP": self._address, "hostIP": self._host.address})
        self._changed()
        while True:
            try:
                await make_volumes(self.pod, self._folder / "volumes", self._sources)
                break
            except (Unable, *FAILURES) as error:
                # A ConfigMap may come later, and this node's right to read it a moment after the Pod.
                self._complaint = str(error)
                self._changed()
                await asyncio.sleep(RETRY_SECONDS)
        self._complaint = ""
        etc = self._folder / "etc"
        etc.mkdir()
        name = self.pod["metadata"]["name"]
        (etc / "hostname").write_text(f"{name}\n")
        (etc / "hosts").write_text(f"127.0.0.1 localhost\n::1 localhost\n{self._address} {name}\n")
        search = [self.pod["metadata"]["namespace"] + ".svc." + self._host.domain, f"svc.{self._host.domain}"]
        lines = [f"nameserver {self._host.nameserver}", f"search {' '.join(search)} {self._host.domain}"]
        (etc / "resolv.conf").write_text("\n".join([*lines, "options ndots:5", ""]))

    async def _initialise(self) -> bool:
        """Init containers in their order: False when one failed for good."""
        policy = self.pod["spec"]["restartPolicy"]
        for spec in self.pod["spec"].get("initContainers", ()):
            own = "Always" if is_sidecar(spec) else ("Never" if policy == "Never" else "OnFailure")
            container = await self._container(spec, own)
            await container.start()
            if is_sidecar(spec):
                if not await container.wait_started():
                    return False
                continue
            await container.wait()
            if container.state.code != 0:
                return False
        return True

    async def _main(self) -> None:
        policy = self.pod["spec"]["restartPolicy"]
        main = []
        for spec in self.pod["spec"]["containers"]:
            container = await self._container(spec, policy)
            await container.start()
            main.append(container)
        await asyncio.gather(*(container.wait() for container in main))
        # Only a Pod that is to end comes here. Its sidecars end after it.
        await self._stop(self._own_grace)
        self._changed()

    @property
    def _own_grace(self) -> float:
        return float(self.pod["spec"]["terminationGracePeriodSeconds"])

    async def _container(self, spec: Object, policy: str) -> Container:
        image = self._host.images.get(stage(spec["image"]), Image())
        variables = await self._variables(spec, image)
        command = [
            expand(word, variables) for word in [*(spec.get("command") or image.entrypoint), *spec.get("args", ())]
        ]
        if not (spec.get("command") or image.entrypoint):
            self._containers.pop(spec["name"], None)
            raise Unable(f"container {spec['name']}: there is no image {spec['image']}, and it has no command")
        rights = _rights(self.pod["spec"], spec, image).command()
        mounts = [_mount(each) for each in spec.get("volumeMounts", ())]
        folder = spec.get("workingDir") or image.folder
        read_only = bool(spec.get("securityContext", {}).get("readOnlyRootFilesystem"))
        inside = rootfs.inside(spec["name"], mounts, read_only, folder, [*rights, *command])
        (self._folder / f"{spec['name']}.inside.sh").write_text(inside)
        script = self._folder / f"{spec['name']}.sh"
        script.write_text(rootfs.outside(self._folder, spec["name"], self.pod["metadata"]["name"]))
        assert self._sandbox is not None
        log_file = self._folder.parent / f"{spec['name']}.log"
        plan = Plan(
            spec=spec,
            namespace=self._sandbox.namespace,
            address=self._address,
            script=script,
            environment=variables,
            rights=tuple(rights),
            log=log_file,
            grace=self._own_grace,
        )
        container = self._containers[spec["name"]] = Container(plan, policy, self._changed)
        return container

    async def _variables(self, spec: Object, image: Image) -> dict[str, str]:
        host, port = self._host.api
        services = {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}
        known = {"HOSTNAME": self.pod["metadata"]["name"], "HOME": "/", **image.environment, **services}
        return await self._sources.variables(spec, known)

    async def _stop(self, grace: float) -> None:
        """Containers first, then sidecars, the last one first."""
        spec = self.pod["spec"]
        main = [self._containers[each["name"]] for each in spec["containers"] if each["name"] in self._containers]
        await asyncio.gather(*(container.stop(grace) for container in main))
        for each in reversed(spec.get("initContainers", [])):
            if each["name"] in self._containers:
                await self._containers[each["name"]].stop(grace)

    def _changed(self) -> None:
        self._dirty.set()

    @property
    def _facts(self) -> Facts:
        states: dict[str, State] = {name: container.state for name, container in self._containers.items()}
        address = self._address if self._sandbox is not None else ""
        stopping = self._deleted.is_set()
        return Facts(self.pod, self._host.address, address, self._began, states, self._complaint, stopping)

    async def _report(self) -> None:
        """Tell the API server what changed."""
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            try:
                await self._patch(status(self._facts))
            except ApiError as error:
                if error.status != 404:
                    log.warning("status of %s: %s", named(self.pod), error)
            except FAILURES as error:
                log.warning("status of %s: %s", named(self.pod), error)
                await asyncio.sleep(RETRY_SECONDS)
                self._dirty.set()

    async def _patch(self, told: dict[str, Any]) -> None:
        body = {"metadata": {"uid": self.pod["metadata"]["uid"]}, "status": told}
        await self._host.client.send("PATCH", f"{path_of(self.pod)}/status", body, STRATEGIC)

    async def _forget(self) -> None:
        """Have the API server delete the object, which it kept for us."""
        uid = self.pod["metadata"]["uid"]
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0, "preconditions": {"uid": uid}}
        try:
            await self._patch(status(self._facts))
            await self._host.client.send("DELETE", path_of(self.pod), options)
        except ApiError as error:
            if error.status not in (404, 409):
                raise


def _mount(mount: Object) -> rootfs.Mount:
    source = "/".join(filter(None, (mount["name"], mount.get("subPath", ""))))
    return rootfs.Mount(source, mount["mountPath"], bool(mount.get("readOnly")))


def _rights(pod: Object, container: Object, image: Image) -> rootfs.Rights:
    """The container's settings win over the Pod's, those over the image's."""
    shared, own = pod.get("securityContext") or {}, container.get("securityContext") or {}
    user, _, group = image.user.partition(":")
    settings = {"runAsUser": int(user), "runAsGroup": int(group or 0)} | shared | own
    if settings.get("runAsNonRoot") and settings["runAsUser"] == 0:
        raise Unable(f"container {container['name']} is not to run as root, and would")
    groups = (*shared.get("supplementalGroups", ()), *((shared["fsGroup"],) if "fsGroup" in shared else ()))
    allowed = None if own.get("privileged") else rootfs.capabilities(own.get("capabilities") or {})
    no_new = own.get("allowPrivilegeEscalation") is False
    return rootfs.Rights(settings["runAsUser"], settings["runAsGroup"], groups, allowed, no_new)
