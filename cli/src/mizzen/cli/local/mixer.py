"""Mixer as the platform's objects, and what a new mesh says about it."""

from __future__ import annotations

from pathlib import Path

import yaml

from mizzen.api.parse import parse
from mizzen.api.resource import Resource
from mizzen.cli.local.home import Home
from mizzen.cli.local.layout import MIXER, MIXER_PORT, MIXER_TLS_PORT
from mizzen.pilot.ingest.registry.objects import Serving

NAMESPACE = "istio-system"
NAME = "istio-mixer"
ACCOUNT = "mizzen-mixer"
LABELS = {"app": NAME, "istio": "mixer"}
POLICY, TELEMETRY = "istio-policy", "istio-telemetry"
HOSTS = tuple(f"{name}.{NAMESPACE}.svc.cluster.local" for name in (POLICY, TELEMETRY))
MIXER_CONFIG = f"""\
# Mixer, which checks requests as soon as a rule of yours asks for it, and gets reports of all. Without these two lines
# proxies do not know of it. disablePolicyChecks: true keeps the rules from being asked, policyCheckFailOpen: true lets
# requests pass while Mixer is away. Port {MIXER_TLS_PORT} is mutual TLS, {MIXER_PORT} plain text.
mixerCheckServer: {HOSTS[0]}:{MIXER_TLS_PORT}
mixerReportServer: {HOSTS[1]}:{MIXER_TLS_PORT}
"""
EMBEDDED = "mixer.embedded"
"""Stands for Mixer's host in the mesh config where every proxy has Mixer's rules in its agent."""
EMBEDDED_CONFIG = f"""\
# Every proxy has Mixer's rules in its own agent. Without these two lines nothing is checked or reported.
mixerCheckServer: {EMBEDDED}:{MIXER_PORT}
mixerReportServer: {EMBEDDED}:{MIXER_PORT}
"""
SERVICE_YAML = """\
apiVersion: v1
kind: Service
metadata:
  name: {name}
  namespace: {namespace}
  labels: {{app: istio-mixer, istio: mixer}}
spec:
  selector: {{istio: mixer}}
  ports:
  - {{name: grpc-mixer, port: {port}}}
  - {{name: grpc-mixer-mtls, port: {tls_port}}}
"""


def wants_mixer(home: Home) -> bool:
    """Whether the mesh config names Mixer, of either kind."""
    return bool(_servers(home))


def embeds_mixer(home: Home) -> bool:
    """Whether the Mixer that the mesh config names is in the proxies, and none is to be started."""
    servers = _servers(home)
    return bool(servers) and all(server.rpartition(":")[0] == EMBEDDED for server in servers)


def secures_mixer(home: Home) -> bool:
    """Whether proxies are to speak mutual TLS with a Mixer that the mesh config names."""
    return any(server.endswith(f":{MIXER_TLS_PORT}") for server in _servers(home))


def mixer_environment(home: Home) -> dict[str, str]:
    """Variables of the proxies."""
    if not embeds_mixer(home):
        return {}
    return {
        "MIZZEN_PROXY_MIXER": "embedded",
        "MIZZEN_PROXY_MIXER_CONFIG_DIR": str(home.config),
        "MIZZEN_PROXY_MIXER_REGISTRY_DIR": str(home.registry),
    }


def _servers(home: Home) -> list[str]:
    """Of checks and reports; Pilot says what is wrong with a mesh config that cannot be read."""
    try:
        stated = yaml.safe_load(home.mesh_config.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return []
    if not isinstance(stated, dict):
        return []
    return [str(stated[field]) for field in ("mixerCheckServer", "mixerReportServer") if stated.get(field)]


def mixer_services() -> list[Resource]:
    """Istio's two Services, which one process stands for here."""
    text = "---\n".join(
        SERVICE_YAML.format(name=name, namespace=NAMESPACE, port=MIXER_PORT, tls_port=MIXER_TLS_PORT)
        for name in (POLICY, TELEMETRY)
    )
    parsed = parse(text, file="<mixer>")
    if parsed.problems:
        raise ValueError(f"Mixer's own Services are wrong: {parsed.problems[0]}")
    return list(parsed.resources)


def mixer_pod(ready: bool) -> Serving:
    """Mixer's pod."""
    return Serving(NAMESPACE, f"{NAME}-1", MIXER, LABELS, ready, ACCOUNT, deployment=NAME)


def telemetry_file() -> Path:
    """Istio's default metrics and log instances, as configuration of Mixer."""
    return Path(__file__).with_name("telemetry.yaml")
