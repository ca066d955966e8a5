from pathlib import Path

import pytest

from mizzen.pilot.app.meshconfig import MeshConfigSource, parse_mesh_config
from mizzen.pilot.app.settings import read_settings
from mizzen.pilot.base.meshconfig import MeshConfig
from mizzen.runtime.address import Address
from mizzen.runtime.errors import StartError


def test_defaults() -> None:
    settings = read_settings([], {})
    assert settings.xds_address == Address("127.0.1.1", 15010)
    assert settings.monitoring_address == Address("127.0.1.1", 15014)
    assert (settings.mesh_config, settings.log_level, settings.log_format) == (None, "info", "text")


@pytest.mark.parametrize(
    ("arguments", "config", "registry", "kubeconfig"),
    [
        ([], Path(".mizzen/config"), Path(".mizzen/registry"), ""),
        (["--kubeconfig", "in-cluster"], None, None, "in-cluster"),
        (["--kubeconfig", "/k", "--config-dir", "/mesh"], Path("/mesh"), None, "/k"),
    ],
)
def test_with_kubernetes_only_folders_that_are_named_are_read(
    arguments: list[str], config: Path | None, registry: Path | None, kubeconfig: str
) -> None:
    settings = read_settings(arguments, {})
    assert (settings.config_dir, settings.registry_dir, settings.kubeconfig) == (config, registry, kubeconfig)


def test_a_lease_has_a_namespace_and_a_name() -> None:
    given = {"MIZZEN_PILOT_STATUS_LEASE": "istio-system/mizzen-pilot", "MIZZEN_PILOT_KUBECONFIG": "in-cluster"}
    assert read_settings([], given).status_lease == ("istio-system", "mizzen-pilot")
    assert read_settings([], {}).status_lease is None


def test_namespaces_of_credentials_are_divided_by_commas() -> None:
    given = ["--kubeconfig", "in-cluster", "--credential-namespaces", "istio-system, edge,,edge"]
    assert read_settings(given, {}).credential_namespaces == ("istio-system", "edge")
    assert read_settings([], {"MIZZEN_PILOT_CREDENTIAL_NAMESPACES": ""}).credential_namespaces == ()


def test_an_account_may_have_several_dns_names() -> None:
    names = "mixer.istio-system:policy.mesh, mixer.istio-system:telemetry.mesh,a.b.edge:door.mesh"
    given = ["--secure-address", "127.0.0.1:0", "--ca-dir", "/ca", "--custom-dns-names", names]
    authority = read_settings(given, {}).authority
    assert authority is not None
    assert authority.account_hosts == {
        ("istio-system", "mixer"): ("policy.mesh", "telemetry.mesh"),
        ("edge", "a.b"): ("door.mesh",),
    }


def test_a_flag_wins_over_its_variable() -> None:
    environment = {"MIZZEN_PILOT_XDS_ADDRESS": "[::1]:1", "MIZZEN_PILOT_CONFIG_DIR": "/etc/mesh"}
    settings = read_settings(["--xds-address", "10.0.0.1:2"], environment)
    assert (settings.xds_address, settings.config_dir) == (Address("10.0.0.1", 2), Path("/etc/mesh"))


@pytest.mark.parametrize(
    ("arguments", "environment", "words"),
    [
        (["--xds-address", "15010"], {}, "an address is <host>:<port>"),
        (["--log-level", "loud"], {}, "invalid choice: 'loud'"),
        ([], {"MIZZEN_PILOT_LOG_LEVEL": "loud"}, "'loud'"),
        (["--colour", "red"], {}, "unrecognized arguments"),
        (["--kubeconfig", "in-cluster", "--status-lease", "pilot"], {}, "--status-lease is <namespace>/<name>"),
        (["--status-lease", "istio-system/pilot"], {}, "--status-lease needs --kubeconfig"),
        (["--credential-namespaces", "edge"], {}, "--credential-namespaces needs --kubeconfig"),
        (
            ["--secure-address", ":::1", "--ca-dir", "/ca", "--custom-dns-names", "mixer:policy.mesh"],
            {},
            "--custom-dns-names has items ACCOUNT.NAMESPACE:NAME, not 'mixer:policy.mesh'",
        ),
    ],
)
def test_what_is_not_understood_ends_with_status_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str], environment: dict[str, str], words: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        read_settings(arguments, environment)
    assert caught.value.code == 2
    assert words in capsys.readouterr().err


def test_mesh_config_has_istios_names_and_units() -> None:
    text = """
    accessLogFile: /dev/stdout
    accessLogEncoding: JSON
    outboundTrafficPolicy: {mode: REGISTRY_ONLY}
    connectTimeout: 2.5s
    proxyHttpPort: 15007
    mixerCheckServer: istio-policy.istio-system.svc.cluster.local:9091
    disablePolicyChecks: false
    policyCheckFailOpen: true
    """
    assert parse_mesh_config(text) == MeshConfig(
        access_log_file="/dev/stdout",
        access_log_encoding="JSON",
        outbound_traffic_policy="REGISTRY_ONLY",
        connect_timeout=2.5,
        proxy_http_port=15007,
        mixer_check_server="istio-policy.istio-system.svc.cluster.local:9091",
        disable_policy_checks=False,
        policy_check_fail_open=True,
    )
    assert parse_mesh_config("") == MeshConfig()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [", "not YAML"),
        ("[1]", "must be a mapping"),
        ("acessLogFile: x", "acessLogFile"),
        ("connectTimeout: 10", "connectTimeout: .*duration"),
        ("outboundTrafficPolicy: {mode: DENY}", "outboundTrafficPolicy.mode"),
        ("mixerCheckServer: istio-policy", "mixerCheckServer: .*<host>:<port>"),
    ],
)
def test_bad_mesh_config_names_the_field(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_mesh_config(text)


def test_a_bad_mesh_config_stops_the_start_and_not_the_mesh(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "mesh.yaml"
    source = MeshConfigSource(path)
    with pytest.raises(StartError, match=r"mesh\.yaml"):
        source.load()
    path.write_text("connectTimeout: 1s")
    source.load()
    for bad in ("connectTimeout: soon", "["):
        path.write_text(bad)
        assert source._reload(path) is False
        assert source.settings.connect_timeout == 1
    path.unlink()
    assert [source._reload(path), source._reload(path)] == [False, False]
    assert len(caplog.messages) == 3  # once each
    path.write_text("connectTimeout: 2s")
    assert source._reload(path) is True
    assert source.settings.connect_timeout == 2
    assert source._reload(path) is False
