"""The environment and the files of an injected container, read without any flag."""

from __future__ import annotations

from pathlib import Path

import pytest

from mizzen.proxy.app.injected import PodInfo, read_pod_info, variables
from mizzen.proxy.app.settings import Settings, read_settings
from mizzen.runtime.address import Address

POD = {"POD_NAME": "web-7", "POD_NAMESPACE": "shop", "INSTANCE_IP": "10.0.0.7", "PROXY_CONFIG": "{}"}


def read(*arguments: str, **environment: str) -> Settings:
    return read_settings(arguments, environment, None, lambda: ("10.0.0.7",))


def pod_info(folder: Path, labels: str = "", annotations: str = "") -> dict[str, str]:
    """The variables of a Pod with these files."""
    (folder / "labels").write_text(labels)
    (folder / "annotations").write_text(annotations)
    return POD | {"MIZZEN_PROXY_POD_INFO_DIR": str(folder)}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ("", {}),
        ("{}", {}),
        ('{"concurrency":3,"statusPort":15021}', {"CONCURRENCY": "3", "AGENT_PORT": "15021"}),
        (
            "discoveryAddress: pilot.mesh:15010\nconcurrency: 0\n",
            {"DISCOVERY_ADDRESS": "pilot.mesh:15010", "CONCURRENCY": "0"},
        ),
        ("terminationDrainDuration: 90s", {"DRAIN_SECONDS": "90"}),
        ("terminationDrainDuration: 1h2m3s", {"DRAIN_SECONDS": "3723"}),
        ("terminationDrainDuration: 500ms", {"DRAIN_SECONDS": "0.5"}),
        ("proxyAdminPort: 15900", {"ADMIN_ADDRESS": "127.0.0.1:15900"}),
        ("tracing: {sampling: 10}\nholdApplicationUntilProxyStarts: true", {}),
    ],
)
def test_a_proxy_config_presets_flags(config: str, expected: dict[str, str]) -> None:
    prefixed = {f"MIZZEN_PROXY_{name}": value for name, value in expected.items()}
    assert variables({"PROXY_CONFIG": config}, PodInfo()) == prefixed


def test_proxy_metadata_are_variables() -> None:
    config = "proxyMetadata: {ISTIO_META_DNS_CAPTURE: true, ISTIO_META_NETWORK: one}"
    metadata = read(**POD | {"PROXY_CONFIG": config, "ISTIO_META_NETWORK": "two"}).node.metadata
    assert (metadata["DNS_CAPTURE"], metadata["NETWORK"]) == ("true", "two")


def test_a_variable_wins_over_the_proxy_config_and_a_flag_over_that() -> None:
    environment = POD | {"PROXY_CONFIG": "concurrency: 3"}
    assert read(**environment).concurrency == 3
    assert read(**environment, MIZZEN_PROXY_CONCURRENCY="4").concurrency == 4
    assert read("--concurrency", "5", **environment, MIZZEN_PROXY_CONCURRENCY="4").concurrency == 5


def test_an_identity_is_asked_for_where_the_injector_says() -> None:
    environment = POD | {"CA_ADDR": "istiod.istio-system.svc:15012", "TRUST_DOMAIN": "acme", "SERVICE_ACCOUNT": "web"}
    identity = read(**environment).identity
    assert identity is not None
    assert str(identity.identity) == "spiffe://acme/ns/shop/sa/web"
    assert identity.authority == Address("istiod.istio-system.svc", 15012)
    assert identity.roots == Path("/var/run/secrets/istio/root-cert.pem")
    assert identity.token == Path("/var/run/secrets/tokens/istio-token")


@pytest.mark.parametrize(
    ("discovery", "ca", "secure"),
    [
        ("istiod.istio-system.svc:15012", "istiod.istio-system.svc:15012", True),
        ("istiod.istio-system.svc:15010", "istiod.istio-system.svc:15012", False),
        ("istiod.istio-system.svc:15010", "", False),
    ],
)
def test_pilot_is_followed_over_tls_but_on_its_plaintext_port(discovery: str, ca: str, secure: bool) -> None:
    assert read("--discovery-address", discovery, **POD, CA_ADDR=ca).has_secure_xds is secure


def test_the_pod_knows_its_labels_best(tmp_path: Path) -> None:
    environment = pod_info(tmp_path, 'app="web"\npod-template-hash="5f"\n')
    stated = {"ISTIO_METAJSON_LABELS": '{"LABELS": {"app": "old", "x": "y"}}', "SERVICE_ACCOUNT": "web-account"}
    node = read(**environment, **stated).node
    assert node.metadata["LABELS"] == {"app": "web", "x": "y", "pod-template-hash": "5f"}
    assert node.metadata["SERVICE_ACCOUNT"] == "web-account"
    assert node.cluster == "web.shop"


def test_values_are_escaped_as_in_go(tmp_path: Path) -> None:
    environment = pod_info(tmp_path, annotations='a="say \\"x=y\\"\\n\\u00fc"\nb=""\n')
    assert read_pod_info(environment).annotations == {"a": 'say "x=y"\nü', "b": ""}


@pytest.mark.parametrize("line", ["app", "app=web", 'app="web', "app=1"])
def test_a_line_that_is_no_pair_is_named(tmp_path: Path, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        read(**pod_info(tmp_path, f'ok="1"\n{line}\n'))
    assert "labels, line 2: must be <name>=" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "environment", "address"),
    [
        ((), POD, Address("127.0.0.1", 15020)),
        ((), POD | {"MIZZEN_PROXY_MONITORING_HOST": "0.0.0.0"}, Address("0.0.0.0", 15020)),
        ((), {}, Address("127.0.0.1", 15020)),
        ((), POD | {"ISTIO_META_INTERCEPTION_MODE": "NONE"}, Address("127.0.0.1", 15020)),
        ((), POD | {"PROXY_CONFIG": "statusPort: 15920"}, Address("127.0.0.1", 15920)),
        ((), POD | {"PROXY_CONFIG": "statusPort: 0"}, None),
        (("--agent-port", "0"), POD, None),
        (("--bind-address", "127.1.0.3"), {}, None),
        (("--bind-address", "127.1.0.3", "--agent-port", "99"), {}, Address("127.1.0.3", 99)),
        (("--role", "router"), {}, None),
        (("--role", "router"), POD, Address("127.0.0.1", 15020)),
    ],
)
def test_where_the_agent_listens(
    arguments: tuple[str, ...], environment: dict[str, str], address: Address | None
) -> None:
    pod = read(*arguments, **environment).pod
    assert (pod.address if pod else None) == address


def test_the_annotation_wins_over_the_mesh(tmp_path: Path) -> None:
    environment = pod_info(tmp_path, annotations='status.sidecar.istio.io/port="15921"\n')
    settings = read(**environment | {"PROXY_CONFIG": "statusPort: 15920"})
    assert settings.pod is not None
    assert settings.pod.address.port == 15921


@pytest.mark.parametrize(
    ("ip", "legacy", "addresses"),
    [
        ("10.0.0.7", "", ("10.0.0.7", "127.0.0.6", "127.0.0.1")),
        ("10.0.0.7,fd00::7", "", ("10.0.0.7", "127.0.0.6", "127.0.0.1")),
        ("fd00::7", "", ("fd00::7", "::6", "::1")),
        ("10.0.0.7", "true", ("127.0.0.1", "127.0.0.6", "127.0.0.1")),
        ("fd00::7", "true", ("::1", "::6", "::1")),
    ],
)
def test_how_the_application_is_reached(ip: str, legacy: str, addresses: tuple[str, str, str]) -> None:
    pod = read(**POD | {"INSTANCE_IP": ip, "REWRITE_PROBE_LEGACY_LOCALHOST_DESTINATION": legacy}).pod
    assert pod is not None
    assert (pod.application, pod.source, pod.localhost) == addresses


def test_a_gateway_scrapes_no_application() -> None:
    environment = POD | {"ISTIO_PROMETHEUS_ANNOTATIONS": '{"port": "9090"}'}
    sidecar, gateway = read(**environment).pod, read("--role", "router", **environment).pod
    assert sidecar is not None
    assert gateway is not None
    assert (len(sidecar.targets), len(gateway.targets)) == (1, 0)


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({}, 5),
        ({"TERMINATION_DRAIN_DURATION_SECONDS": "7"}, 7),
        ({"TERMINATION_DRAIN_DURATION_SECONDS": "7", "PROXY_CONFIG": "terminationDrainDuration: 9s"}, 9),
        ({"EXIT_ON_ZERO_ACTIVE_CONNECTIONS": "true"}, 3600),
        ({"PROXY_CONFIG": "proxyMetadata: {EXIT_ON_ZERO_ACTIVE_CONNECTIONS: true}"}, 3600),
        ({"EXIT_ON_ZERO_ACTIVE_CONNECTIONS": "false"}, 5),
    ],
)
def test_how_long_it_drains(environment: dict[str, str], seconds: float) -> None:
    assert read(**environment).drain_seconds == seconds


@pytest.mark.parametrize(
    ("environment", "complaint"),
    [
        ({"PROXY_CONFIG": "a: b: c"}, "PROXY_CONFIG is not YAML"),
        ({"PROXY_CONFIG": "[]"}, "PROXY_CONFIG must be a mapping"),
        ({"PROXY_CONFIG": "proxyMetadata: [a]"}, "PROXY_CONFIG must be a mapping, and proxyMetadata in it too"),
        ({"PROXY_CONFIG": "terminationDrainDuration: soon"}, "must be a duration like 5s or 1m30s, not 'soon'"),
        ({"PROXY_CONFIG": "terminationDrainDuration: ''"}, "must be a duration"),
        ({"PROXY_CONFIG": "statusPort: web"}, "agent port must be a number from 0 to 65535, not 'web'"),
        ({"ISTIO_KUBE_APP_PROBERS": "{"}, "ISTIO_KUBE_APP_PROBERS is not JSON"),
        ({"ISTIO_PROMETHEUS_ANNOTATIONS": '{"port": "15090"}'}, "port 15090 belongs to the proxy"),
    ],
)
def test_mistakes_are_named(environment: dict[str, str], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        read(**POD | environment)
    assert ended.value.code == 2
    assert complaint in capsys.readouterr().err
