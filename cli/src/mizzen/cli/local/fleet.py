"""All processes of one mesh: Pilot, Mixer, the ingress gateway, and the pods that the configuration asks for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Any

import aiohttp

from mizzen.api.dump import to_dict
from mizzen.api.kubernetes import Service
from mizzen.api.resource import Resource
from mizzen.cli.local import layout
from mizzen.cli.local.child import Child, Command
from mizzen.cli.local.commands import (
    app_command,
    gateway_command,
    mixer_command,
    pilot_command,
    process_prefix,
    sidecar_command,
)
from mizzen.cli.local.desired import PodTemplateSpec, pod_templates
from mizzen.cli.local.environment import mesh_environment
from mizzen.cli.local.gateway import LABELS as GATEWAY_LABELS
from mizzen.cli.local.gateway import NAME as GATEWAY
from mizzen.cli.local.gateway import NAMESPACE, gateway_pod, gateway_service
from mizzen.cli.local.home import Home
from mizzen.cli.local.mixer import embeds_mixer, mixer_environment, mixer_pod, mixer_services, wants_mixer
from mizzen.cli.local.pod import Pod
from mizzen.cli.local.reconcile import PodKey, Start, reconcile
from mizzen.cli.local.security import TokenIssuer, able, labelled, pilot_flags, wants_security
from mizzen.cli.local.state import PodState, ProcessState
from mizzen.pilot.ingest.registry.objects import endpoint_slices, pod_object

log = logging.getLogger(__name__)

GATEWAY_GRACE_SECONDS = 10.0
MIXER_GRACE_SECONDS = 5.0
PILOT_GRACE_SECONDS = 5.0


class Fleet:
    """Starts, reconciles and stops; `changed` is called whenever what it reports has changed."""

    def __init__(
        self,
        home: Home,
        engine: str,
        client: aiohttp.ClientSession,
        numbers: dict[str, int],
        changed: Callable[[], None],
    ) -> None:
        self.numbers = numbers
        self._home = home
        self._engine = engine
        self._client = client
        self._changed = changed
        self._environ = mesh_environment(home)
        self._pods: dict[PodKey, Pod] = {}
        self._retiring: set[asyncio.Task[None]] = set()
        self._gateway_service = gateway_service()
        self._tokens = TokenIssuer(home) if wants_security(home) else None
        secure = self._tokens is not None
        self.pilot = self._child(pilot_command(home, self._environ, pilot_flags(home) if secure else ()))
        self._proxy_environ = self._environ | mixer_environment(home)
        labels, flags = labelled(GATEWAY_LABELS, secure=secure), self._identity_flags(GATEWAY, NAMESPACE, GATEWAY)
        self.gateway = self._child(gateway_command(home, self._proxy_environ, engine, labels, flags))
        served = wants_mixer(home) and not embeds_mixer(home)
        mixer_flags = self._tokens.mixer_flags() if self._tokens is not None and served else ()
        self.mixer = self._child(mixer_command(home, self._environ, mixer_flags)) if served else None

    def start(self) -> None:
        """Start what every mesh has."""
        self.pilot.start()
        self.gateway.start()
        if self.mixer is not None:
            self.mixer.start()

    def reconcile(self, resources: Iterable[Resource]) -> None:
        """Start and retire pods until they are what the Deployments say."""
        templates = pod_templates(resources)
        if self._tokens is not None:
            templates = {key: able(template) for key, template in templates.items()}
        for action in reconcile(templates, [pod.running for pod in self._pods.values()]):
            if isinstance(action, Start):
                self._start(action.key, templates[action.key.namespace, action.key.deployment])
            else:
                self._retire(self._pods[action.key])

    def objects(self, resources: Iterable[Resource]) -> list[dict[str, Any]]:
        """What the registry is to hold: the mesh's own Services, and all Pods with their EndpointSlices."""
        own = [self._gateway_service]
        serving = [gateway_pod(self.gateway.ready), *(pod.serving for pod in self._pods.values())]
        if self.mixer is not None:
            own += mixer_services()
            serving.append(mixer_pod(self.mixer.ready))
        services = [*own, *(item for item in resources if isinstance(item.spec, Service))]
        return [*map(to_dict, own), *map(pod_object, serving), *endpoint_slices(services, serving)]

    @property
    def processes(self) -> tuple[ProcessState, ...]:
        pods = (child for _, pod in sorted(self._pods.items()) for child in pod.children)
        own = (self.pilot, self.gateway) if self.mixer is None else (self.pilot, self.mixer, self.gateway)
        return tuple(_process_state(child) for child in (*own, *pods))

    @property
    def pods(self) -> tuple[PodState, ...]:
        return tuple(
            PodState(
                namespace=key.namespace,
                name=key.name,
                deployment=key.deployment,
                address=layout.sidecar_address(pod.number),
                app_address=layout.app_address(pod.number),
                ready=pod.ready,
                stopping=pod.stopping,
            )
            for key, pod in sorted(self._pods.items())
        )

    async def stop(self) -> None:
        """End everything at once: the door first, then Mixer, which proxies give their last reports, Pilot last."""
        for task in self._retiring:
            task.cancel()
        pods = list(self._pods.values())
        await asyncio.gather(self.gateway.stop(GATEWAY_GRACE_SECONDS), *(pod.stop() for pod in pods))
        if self.mixer is not None:
            await self.mixer.stop(MIXER_GRACE_SECONDS)
        await self.pilot.stop(PILOT_GRACE_SECONDS)

    def _child(self, command: Command) -> Child:
        return Child(command, self._client, self._changed)

    def _start(self, key: PodKey, template: PodTemplateSpec) -> None:
        number = layout.allot(str(key), self.numbers, {pod.number for pod in self._pods.values()})
        self.numbers[str(key)] = number
        parts = ("app", *(container.name for container in template.containers[1:]))
        apps = [
            self._child(app_command(self._home, self._environ, key, container, part, number))
            for part, container in zip(parts, template.containers, strict=True)
        ]
        flags = self._identity_flags(process_prefix(key), key.namespace, template.service_account)
        sidecar = self._child(
            sidecar_command(self._home, self._proxy_environ, self._engine, key, template, number, flags)
        )
        pod = self._pods[key] = Pod(key, template, number, apps, sidecar)
        log.info("Starting %s at %s", key, layout.sidecar_address(number))
        pod.start()

    def _identity_flags(self, proxy: str, namespace: str, account: str) -> tuple[str, ...]:
        return self._tokens.flags(proxy, namespace, account) if self._tokens is not None else ()

    def _retire(self, pod: Pod) -> None:
        log.info("Retiring %s", pod.key)
        pod.stopping = True
        task = asyncio.create_task(self._forget_after(pod), name=f"retire {pod.key}")
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    async def _forget_after(self, pod: Pod) -> None:
        await pod.retire(self._client)
        del self._pods[pod.key]
        self._changed()


def _process_state(child: Child) -> ProcessState:
    command = child.command
    return ProcessState(
        name=command.name,
        state=child.state,
        pid=child.pid,
        restarts=child.restarts,
        address=command.address,
        log=str(command.log),
        reason=child.reason,
    )
