"""Which command runs each process of a mesh."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from mizzen.api.kubernetes import Container, HTTPGetAction
from mizzen.api.kubernetes import Probe as ProbeSpec
from mizzen.cli.local import layout
from mizzen.cli.local.child import Command
from mizzen.cli.local.desired import PodTemplateSpec
from mizzen.cli.local.environment import app_environment, expand
from mizzen.cli.local.gateway import LABELS, NAME, NAMESPACE
from mizzen.cli.local.health import Probes
from mizzen.cli.local.home import Home
from mizzen.cli.local.probe import Probe
from mizzen.cli.local.reconcile import PodKey

PROXY_PROBE_SECONDS = 1.0
HEALTH_PATH = "/healthz/ready"
DISCOVERY = f"{layout.PILOT}:{layout.XDS_PORT}"


def pilot_command(home: Home, environ: Mapping[str, str], more: Sequence[str] = ()) -> Command:
    monitoring = f"{layout.PILOT}:{layout.MONITORING_PORT}"
    return Command(
        name="pilot",
        argv=(
            *(sys.executable, "-m", "mizzen.pilot"),
            *("--xds-address", DISCOVERY, "--monitoring-address", monitoring),
            *("--config-dir", str(home.config), "--registry-dir", str(home.registry)),
            *("--mesh-config", str(home.mesh_config)),
            *more,
        ),
        environ=environ,
        log=home.log("pilot"),
        address=DISCOVERY,
        probes=Probes(Probe(layout.PILOT, layout.MONITORING_PORT, "/ready", period=PROXY_PROBE_SECONDS)),
    )


def mixer_command(home: Home, environ: Mapping[str, str], more: Sequence[str] = ()) -> Command:
    address = f"{layout.MIXER}:{layout.MIXER_PORT}"
    return Command(
        name="mixer",
        argv=(
            *(sys.executable, "-m", "mizzen.mixer"),
            *("--address", address, "--monitoring-address", f"{layout.MIXER}:{layout.MONITORING_PORT}"),
            *("--config-dir", str(home.config), "--registry-dir", str(home.registry)),
            *("--prometheus-address", f"{layout.MIXER}:{layout.TELEMETRY_PORT}"),
            *("--max-valid-duration", "1"),  # a change is live within a second, of policy too
            *more,
        ),
        environ=environ,
        log=home.log("mixer"),
        address=address,
        probes=Probes(Probe(layout.MIXER, layout.MONITORING_PORT, "/ready", period=PROXY_PROBE_SECONDS)),
    )


def app_command(
    home: Home, environ: Mapping[str, str], pod: PodKey, container: Container, part: str, number: int
) -> Command:
    """A container as a process called `<pod>.<part>`."""
    app = layout.app_address(number)
    merged = app_environment(environ, container, pod.name, pod.namespace, (layout.sidecar_address(number), app))
    name = f"{process_prefix(pod)}.{part}"
    ports = [port.container_port for port in container.ports]
    return Command(
        name=name,
        argv=tuple(expand(text, merged) for text in (*container.command, *container.args)),
        environ=merged,
        log=home.log(name),
        address=f"{app}:{ports[0]}" if ports else app,
        probes=_app_probes(container, app),
        working_directory=Path(container.working_dir) if container.working_dir else None,
    )


def sidecar_command(
    home: Home,
    environ: Mapping[str, str],
    engine: str,
    pod: PodKey,
    template: PodTemplateSpec,
    number: int,
    more: Sequence[str] = (),
) -> Command:
    """The agent beside a workload, in interception mode NONE; `more` flags win."""
    address = layout.sidecar_address(number)
    name = f"{process_prefix(pod)}.sidecar"
    return Command(
        name=name,
        argv=(
            *(sys.executable, "-m", "mizzen.proxy", "--role", "sidecar", "--engine", engine),
            *("--name", pod.name, "--namespace", pod.namespace, "--labels", _label_list(template.labels)),
            *("--bind-address", address, "--app-address", layout.app_address(number)),
            *("--discovery-address", DISCOVERY, "--state-dir", str(home.agents)),
            *more,
        ),
        environ=dict(environ)
        | {
            "ISTIO_META_WORKLOAD_NAME": pod.deployment,
            "ISTIO_META_SERVICE_ACCOUNT": template.service_account,
            "ISTIO_METAJSON_ANNOTATIONS": json.dumps({"ANNOTATIONS": dict(template.annotations)}),
        },
        log=home.log(name),
        address=address,
        probes=Probes(Probe(address, layout.HEALTH_PORT, HEALTH_PATH, period=PROXY_PROBE_SECONDS)),
    )


def gateway_command(
    home: Home, environ: Mapping[str, str], engine: str, labels: Mapping[str, str] = LABELS, more: Sequence[str] = ()
) -> Command:
    """The ingress gateway: its listeners at 127.0.0.1, its admin interface at an address of its own."""
    return Command(
        name=NAME,
        argv=(
            *(sys.executable, "-m", "mizzen.gateway", "--engine", engine),
            *("--name", f"{NAME}-1", "--namespace", NAMESPACE, "--labels", _label_list(labels)),
            *("--bind-address", layout.GATEWAY, "--admin-address", f"{layout.GATEWAY_ADMIN}:{layout.ADMIN_PORT}"),
            *("--discovery-address", DISCOVERY, "--state-dir", str(home.agents)),
            *more,
        ),
        environ=dict(environ) | {"ISTIO_META_WORKLOAD_NAME": NAME, "ISTIO_META_SERVICE_ACCOUNT": NAME},
        log=home.log(NAME),
        address=f"{layout.GATEWAY}:{layout.GATEWAY_PORT}",
        probes=Probes(Probe(layout.GATEWAY_ADMIN, layout.HEALTH_PORT, HEALTH_PATH, period=PROXY_PROBE_SECONDS)),
    )


def _label_list(labels: Mapping[str, str]) -> str:
    return ",".join(f"{name}={value}" for name, value in sorted(labels.items()))


def process_prefix(pod: PodKey) -> str:
    """How the processes of a pod begin: its name, outside the default namespace preceded by the namespace."""
    return pod.name if pod.namespace == "default" else f"{pod.namespace}.{pod.name}"


def _app_probes(container: Container, address: str) -> Probes:
    """The container's probes at the application's address; a connection to its first port tells that it is ready."""
    port = _first_port(container)
    connection = Probe(address, port) if port is not None else None
    return Probes(
        readiness=_app_probe(container.readiness_probe, container, address, connection),
        liveness=_app_probe(container.liveness_probe, container, address, None),
        startup=_app_probe(container.startup_probe, container, address, None),
    )


def _app_probe(stated: ProbeSpec | None, container: Container, address: str, default: Probe | None) -> Probe | None:
    if stated is None:
        return default
    if stated.http_get is not None:
        return _http_probe(stated, stated.http_get, container, address)
    port = _port(stated.tcp_socket.port, container) if stated.tcp_socket is not None else _first_port(container)
    return _timed(stated, Probe(address, port)) if port is not None else None


def _http_probe(stated: ProbeSpec, action: HTTPGetAction, container: Container, address: str) -> Probe | None:
    port = _port(action.port, container)
    if port is None:
        return None
    headers = {header.name: header.value for header in action.http_headers}
    path = action.path if action.path.startswith("/") else f"/{action.path}"
    return _timed(stated, Probe(address, port, path, headers))


def _timed(stated: ProbeSpec, probe: Probe) -> Probe:
    return replace(
        probe,
        delay=float(stated.initial_delay_seconds),
        period=float(max(1, stated.period_seconds)),
        timeout=float(max(1, stated.timeout_seconds)),
        failures=max(1, stated.failure_threshold),
    )


def _port(target: int | str, container: Container) -> int | None:
    if isinstance(target, int):
        return target
    return next((port.container_port for port in container.ports if port.name == target), None)


def _first_port(container: Container) -> int | None:
    return container.ports[0].container_port if container.ports else None
