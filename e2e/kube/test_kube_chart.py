"""What the chart renders, compared with the programs that read it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from functools import cache
from typing import Any

import pytest
import yaml
from kube.harness.values import defaults, schema
from support.kube.cluster import Object, template
from support.kube.programs import CHART, REPOSITORY

from mizzen.injector.injection.settings import Global, MeshConfig, Settings, Values, read_settings
from mizzen.injector.injection.webhooks import webhooks
from mizzen.mixer.app.settings import Settings as MixerSettings
from mizzen.mixer.app.settings import read_settings as read_mixer_settings
from mizzen.pilot.app.meshconfig import MeshConfigFile, parse_mesh_config
from mizzen.pilot.app.settings import read_settings as read_pilot_settings
from mizzen.pilot.base.meshconfig import MeshConfig as PilotMeshConfig

TELEMETRY = CHART / "files/telemetry.yaml"
PROGRAMS = {
    "MIZZEN_PILOT_": "mizzen.pilot",
    "MIZZEN_MIXER_": "mizzen.mixer",
    "MIZZEN_INJECTOR_": "mizzen.injector.webhook",
    "MIZZEN_PROXY_": "mizzen.gateway",
}


@cache
def _rendered(*arguments: str) -> tuple[Object, ...]:
    return tuple(template(*arguments))


def _one(kind: str, name: str, *arguments: str) -> Object:
    [found] = [
        rendered
        for rendered in _rendered(*arguments)
        if rendered["kind"] == kind and rendered["metadata"]["name"] == name
    ]
    return found


def _injection(*arguments: str) -> Settings:
    """The injector's settings, read as it reads them."""
    data = _one("ConfigMap", "istio-sidecar-injector", *arguments)["data"]
    return read_settings(data["values"], _one("ConfigMap", "istio", *arguments)["data"]["mesh"], data["config"])


def test_kube_variables_are_those_that_programs_know() -> None:
    stated = {
        variable["name"]
        for deployment in _rendered()
        if deployment["kind"] == "Deployment"
        for container in deployment["spec"]["template"]["spec"]["containers"]
        for variable in container["env"]
    }
    for prefix, module in PROGRAMS.items():
        command = [sys.executable, "-m", module, "--help"]
        usage = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
        flags = {name.removeprefix(prefix).lower().replace("_", "-") for name in stated if name.startswith(prefix)}
        assert flags, prefix
        assert {flag for flag in flags if f"--{flag} " not in usage} == set()


def test_kube_pilot_reads_its_mesh_config() -> None:
    given = ("--set=meshConfig.accessLogFile=/dev/stdout", "--set=meshConfig.enablePrometheusMerge=false")
    mesh = parse_mesh_config(_one("ConfigMap", "istio", *given)["data"]["pilot"])
    assert mesh.access_log_file == "/dev/stdout"
    assert mesh.mixer_check_server == "istio-policy.istio-system.svc.cluster.local:15004"
    assert mesh.mixer_report_server == "istio-telemetry.istio-system.svc.cluster.local:15004"


def test_kube_mutual_tls_is_on_until_somebody_says_otherwise() -> None:
    def mesh(*given: str) -> PilotMeshConfig:
        return parse_mesh_config(_one("ConfigMap", "istio", *given)["data"]["pilot"])

    assert mesh().enable_auto_mtls
    assert not mesh("--set=meshConfig.enableAutoMtls=false").enable_auto_mtls
    assert mesh("--set=meshConfig.trustDomain=acme").trust_domain == "acme"


def _open_ports(policy: str, service: str, *given: str) -> set[int]:
    allowed = _one("NetworkPolicy", policy, *given)["spec"]["ingress"][0]["ports"]
    served = _one("Service", service, *given)["spec"]["ports"]
    assert {port["port"] for port in served} == {port["port"] for port in allowed}
    return {port["port"] for port in allowed}


def test_kube_the_plaintext_ports_are_open_where_that_is_wished() -> None:
    assert _open_ports("mizzen-pilot", "istiod") == {15012, 15014}
    assert _open_ports("mizzen-pilot", "istiod", "--set=pilot.plaintextXds=true") == {15010, 15012, 15014}
    assert _environment("mizzen-pilot")["MIZZEN_PILOT_XDS_ADDRESS"] == "127.0.0.1:15010"
    assert _open_ports("mizzen-mixer", "istio-telemetry") == {15004, 15014, 42422}
    assert _open_ports("mizzen-mixer", "istio-telemetry", "--set=mixer.plaintext=true") == {9091, 15004, 15014, 42422}
    assert _mixer().address is None
    assert _mixer("--set=mixer.plaintext=true").address is not None


def _environment(deployment: str, *given: str) -> dict[str, str]:
    [container] = _one("Deployment", deployment, *given)["spec"]["template"]["spec"]["containers"]
    return {variable["name"]: variable["value"] for variable in container["env"] if "value" in variable}


def _mixer(*given: str) -> MixerSettings:
    suffix = "-canary" if "--set=revision=canary" in given else ""
    return read_mixer_settings((), _environment(f"mizzen-mixer{suffix}", *given))


@pytest.mark.parametrize("given", [(), ("--set=injector.certificate.signer=pilot",), ("--set=mixer.enabled=false",)])
def test_kube_no_variable_is_stated_twice(given: tuple[str, ...]) -> None:
    """An API server keeps one of them, and nobody knows which."""
    for deployment in (rendered for rendered in _rendered(*given) if rendered["kind"] == "Deployment"):
        for container in deployment["spec"]["template"]["spec"]["containers"]:
            names = [variable["name"] for variable in container["env"]]
            assert len(names) == len(set(names)), deployment["metadata"]["name"]


@pytest.mark.parametrize("suffix", ["", "-canary"])
def test_kube_mixer_has_the_identity_that_pilot_gives_its_names_to(suffix: str) -> None:
    given = ("--set=meshConfig.trustDomainAliases={old,older}", *(["--set=revision=canary"] if suffix else []))
    secure = _mixer(*given).secure
    assert secure is not None
    identity = secure.identity.identity
    assert (identity.namespace, identity.service_account) == ("istio-system", f"mizzen-mixer{suffix}")
    assert secure.trust_domains == {"cluster.local", "old", "older"}
    assert str(secure.identity.authority) == f"istiod{suffix}.istio-system.svc:15012"
    spec = _one("Deployment", f"mizzen-mixer{suffix}", *given)["spec"]["template"]["spec"]
    assert spec["serviceAccountName"] == identity.service_account
    authority = read_pilot_settings((), _environment(f"mizzen-pilot{suffix}", *given)).authority
    assert authority is not None
    names = authority.account_hosts["istio-system", identity.service_account]
    mesh = parse_mesh_config(_one("ConfigMap", f"istio{suffix}", *given)["data"]["pilot"])
    assert set(names) == mesh.secure_mixer_hosts == mesh.mixer_hosts


def test_kube_without_mixer_nobody_is_asked() -> None:
    mesh = parse_mesh_config(_one("ConfigMap", "istio", "--set=mixer.enabled=false")["data"]["pilot"])
    assert mesh.mixer_hosts == frozenset()


def test_kube_injection_has_the_defaults_of_its_code() -> None:
    settings = _injection()
    cluster = Global.model_fields["multi_cluster"].annotation
    assert cluster is not None
    known = Values().model_copy(
        update={"global_": Global().model_copy(update={"multi_cluster": cluster(cluster_name="Kubernetes")})}
    )
    assert settings.values == known
    assert settings.policy == Settings().policy
    assert settings.mesh.default_config.discovery_address == "istiod.istio-system.svc:15012"


def test_kube_injection_follows_the_releases_namespace_and_revision() -> None:
    objects = template("--set=revision=canary", namespace="mesh")
    [data] = [
        part["data"]
        for part in objects
        if part["kind"] == "ConfigMap" and part["metadata"]["name"] == "istio-sidecar-injector-canary"
    ]
    values = read_settings(data["values"]).values
    assert (values.revision, values.global_.istio_namespace) == ("canary", "mesh")
    assert {part["metadata"].get("namespace", "mesh") for part in objects} == {"mesh"}


def _names(model: Any) -> set[str]:
    return {field.alias or name for name, field in model.model_fields.items()}


def test_kube_the_schema_has_every_field_that_is_read() -> None:
    properties = schema()["properties"]
    of_the_mesh = _names(MeshConfigFile) | _names(MeshConfig)
    assert set(properties["meshConfig"]["properties"]) == of_the_mesh
    # The first follows the release; the second is for the release's own Pods.
    assert set(properties["global"]["properties"]) == _names(Global) - {"istioNamespace"} | {"priorityClassName"}
    proxy = Global.model_fields["proxy"].annotation
    assert set(properties["global"]["properties"]["proxy"]["properties"]) == _names(proxy)


@pytest.mark.parametrize(
    ("revision", "by_default"), [("", False), ("", True), ("canary", False), ("canary", True)], ids=str
)
def test_kube_webhooks_are_those_of_the_injector(revision: str, by_default: bool) -> None:
    flags = (
        f"--set=revision={revision}",
        f"--set=sidecarInjectorWebhook.enableNamespacesByDefault={str(by_default).lower()}",
    )
    suffix = f"-{revision}" if revision else ""
    rendered = _one("MutatingWebhookConfiguration", f"istio-sidecar-injector{suffix}", *flags)["webhooks"]
    expected = [
        (hook.name, _conditions(hook.namespace.match_expressions), _conditions(hook.pod.match_expressions))
        for hook in webhooks(revision, namespaces_by_default=by_default)
    ]
    assert [
        (hook["name"], *(hook[part]["matchExpressions"] for part in ("namespaceSelector", "objectSelector")))
        for hook in rendered
    ] == expected


def _conditions(requirements: Any) -> list[Object]:
    dumped = [requirement.model_dump(mode="json") for requirement in requirements]
    return [{name: value for name, value in part.items() if value} for part in dumped]


def test_kube_the_webhooks_certificate_is_for_its_service() -> None:
    [hook, *_] = _one("MutatingWebhookConfiguration", "istio-sidecar-injector")["webhooks"]
    service = hook["clientConfig"]["service"]
    assert "caBundle" not in hook["clientConfig"]
    settings = _variables("mizzen-injector")
    host = f"{service['name']}.{service['namespace']}"
    assert settings["MIZZEN_INJECTOR_CERTIFICATE_HOSTS"] == f"{host}.svc,{host}"
    secret = _one("Secret", settings["MIZZEN_INJECTOR_CERTIFICATE_SECRET"].partition("/")[2])
    assert "data" not in secret, "an upgrade would put that in place of the injector's"


def test_kube_a_certificate_that_is_given_is_used() -> None:
    given = ("--set=injector.certificate.secretName=own", "--set=injector.certificate.caBundle=LS0t")
    [hook, *_] = _one("MutatingWebhookConfiguration", "istio-sidecar-injector", *given)["webhooks"]
    assert hook["clientConfig"]["caBundle"] == "LS0t"
    assert "MIZZEN_INJECTOR_CERTIFICATE_SECRET" not in _variables("mizzen-injector", *given)
    assert [part for part in _rendered(*given) if part["kind"] == "Secret"] == []


def _variables(deployment: str, *arguments: str) -> dict[str, str]:
    [container] = _one("Deployment", deployment, *arguments)["spec"]["template"]["spec"]["containers"]
    return {variable["name"]: variable.get("value", "") for variable in container["env"]}


def test_kube_versions_are_one() -> None:
    project = tomllib.loads((REPOSITORY / "services/proxy/pyproject.toml").read_text())["project"]["version"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert {chart["appVersion"], defaults()["global"]["tag"], Global().tag} == {project}


def test_kube_containers_are_locked_up() -> None:
    for deployment in _rendered():
        if deployment["kind"] != "Deployment":
            continue
        pod = deployment["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        for container in pod["containers"]:
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"] is True
            assert context["capabilities"] == {"drop": ["ALL"]}


def test_kube_dashboards_show_metrics_that_exist() -> None:
    metrics = _known_metrics()
    [boards] = [
        rendered["data"]
        for rendered in _rendered("--set=monitoring.dashboards.enabled=true")
        if rendered["metadata"]["name"] == "mizzen-dashboards"
    ]
    assert len(boards) == 2
    for name, text in boards.items():
        shown = {
            metric
            for panel in json.loads(text)["panels"]
            for target in panel["targets"]
            for metric in re.findall(r"\b(?:istio|pilot|mixer|mizzen|sidecar|process)_[a-z_]+", target["expr"])
        }
        assert shown, name
        assert {
            metric for metric in shown if metric.removesuffix("_bucket").removesuffix("_total") not in metrics
        } == set()


def test_kube_chart_has_the_telemetry_of_the_other_runtimes() -> None:
    assert TELEMETRY.read_text() == (REPOSITORY / "cli/src/mizzen/cli/local/telemetry.yaml").read_text()


def _known_metrics() -> set[str]:
    """Metrics of our programs, and those of the mesh that the default rules make."""
    texts = [file.read_text() for file in REPOSITORY.glob("services/*/src/**/*metrics.py")]
    texts += [(REPOSITORY / "services/injector/src/mizzen/injector/webhook/server.py").read_text()]
    ours = {name for text in texts for name in re.findall(r'"((?:pilot|mixer|mizzen|sidecar)_[a-z_]+)"', text)}
    rules = TELEMETRY.read_text()
    mesh = {
        f"istio_{name.removesuffix('_total')}" for name in re.findall(r"^  - name: ([a-z_]+)$", rules, re.MULTILINE)
    }
    return ours | mesh | {"process_resident_memory_bytes", "process_cpu_seconds"}
