"""Flags, variables, and the node that comes of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mizzen.proxy.app.envoy_bootstrap import bootstrap
from mizzen.proxy.app.settings import Defaults, EmbeddedMixer, Settings, read_settings
from mizzen.runtime.address import Address

OWN = ("172.18.0.5", "fd00::5")
"""The machine's addresses."""


def read(*arguments: str, defaults: Defaults | None = None, **environment: str) -> Settings:
    return read_settings(arguments, environment, defaults, lambda: OWN)


def test_a_sidecar_of_the_local_runtime() -> None:
    settings = read(
        *("--name", "reviews-v1-1", "--labels", "app=reviews,version=v1"),
        *("--bind-address", "127.1.0.3", "--app-address", "127.2.0.3"),
    )
    assert settings.node.id == "sidecar~127.1.0.3~reviews-v1-1.default~default.svc.cluster.local"
    assert settings.node.cluster == "reviews.default"
    assert settings.node.metadata == {
        "NAMESPACE": "default",
        "LABELS": {"app": "reviews", "version": "v1"},
        "BIND_ADDRESS": "127.1.0.3",
        "APP_ADDRESS": "127.2.0.3",
        "INTERCEPTION_MODE": "NONE",
        "HTTP_PROXY_PORT": "15007",
        "MIZZEN_PROXY": "1",
    }
    assert settings.admin_address == Address("127.1.0.3", 15000)
    assert settings.status_address == Address("127.1.0.3", 15021)
    assert settings.prometheus_address == Address("127.1.0.3", 15090)
    assert settings.mixer_check_seconds == 5.0
    assert read("--mixer-check-timeout", "0.5").mixer_check_seconds == 0.5


def test_istios_variables_make_an_injected_sidecar() -> None:
    settings = read(
        POD_NAME="web-7",
        POD_NAMESPACE="shop",
        INSTANCE_IP="10.0.0.7",
        ISTIO_META_INTERCEPTION_MODE="REDIRECT",
        ISTIO_META_WORKLOAD_NAME="web",
        ISTIO_METAJSON_POD=json.dumps({"LABELS": {"app": "web"}, "OWNER": "x"}),
    )
    assert settings.node.id == "sidecar~10.0.0.7~web-7.shop~shop.svc.cluster.local"
    assert settings.node.metadata == {
        "NAMESPACE": "shop",
        "INTERCEPTION_MODE": "REDIRECT",
        "WORKLOAD_NAME": "web",
        "LABELS": {"app": "web"},
        "OWNER": "x",
        "INSTANCE_IPS": "10.0.0.7",
        "MIZZEN_PROXY": "1",
    }
    assert settings.admin_address == Address("127.0.0.1", 15000)


def test_a_flag_wins_over_our_variable_and_that_over_istios() -> None:
    both = {"POD_NAME": "istio", "MIZZEN_PROXY_NAME": "ours"}
    assert "~ours.default~" in read(**both).node.id
    assert "~flag.default~" in read("--name", "flag", **both).node.id


def test_a_stock_envoy_does_not_claim_to_be_ours() -> None:
    settings = read("--engine", "envoy")
    assert settings.engine == "envoy"
    assert "MIZZEN_PROXY" not in settings.node.metadata


def test_admin_and_monitoring_may_part() -> None:
    settings = read("--admin-address", "127.0.0.1:15000", "--monitoring-host", "10.0.0.1", "--status-port", "99")
    assert settings.admin_address == Address("127.0.0.1", 15000)
    assert settings.status_address == Address("10.0.0.1", 99)
    assert settings.prometheus_address == Address("10.0.0.1", 15090)


def test_no_worker_number_is_one_a_core() -> None:
    assert read("--concurrency", "0").concurrency >= 1
    assert read("--concurrency", "3").concurrency == 3


EMBEDDED = ("--mixer", "embedded", "--mixer-config-dir", "rules")


def test_mixer_in_the_agent() -> None:
    assert read("--mixer-config-dir", "rules").embedded_mixer is None
    assert read(*EMBEDDED).embedded_mixer == EmbeddedMixer(Path("rules"))
    settings = read(*EMBEDDED, MIZZEN_PROXY_MIXER_REGISTRY_DIR="pods")
    assert settings.embedded_mixer == EmbeddedMixer(Path("rules"), Path("pods"))


@pytest.mark.parametrize(
    ("arguments", "environment", "message"),
    [
        (["--role", "ztunnel"], {}, "role must be one of sidecar, router, not 'ztunnel'"),
        (["--engine", "nginx"], {}, "engine must be one of python, envoy, not 'nginx'"),
        (["--discovery-address", "pilot"], {}, "an address is <host>:<port>"),
        (["--status-port", "x"], {}, "an address is <host>:<port>"),
        (["--ip", "web"], {}, "'web' does not appear to be an IPv4 or IPv6 address"),
        (["--labels", "app"], {}, "labels are app=reviews,version=v1, not 'app'"),
        (["--name", "a~b"], {}, "may not contain '~'"),
        (["--concurrency", "-1"], {}, "concurrency must be a number from 0 to 64, not '-1'"),
        (["--mixer-check-timeout", "0"], {}, "time-out must be more than 0 and at most 5, not '0'"),
        ([], {"MIZZEN_PROXY_MIXER_CHECK_TIMEOUT": "6"}, "time-out must be more than 0 and at most 5, not '6'"),
        (["--mixer-check-timeout", "soon"], {}, "time-out must be more than 0 and at most 5, not 'soon'"),
        (["--drain-seconds", "soon"], {}, "drain seconds must be a number from 0 to 3600, not 'soon'"),
        ([], {"ISTIO_METAJSON_X": "{"}, "ISTIO_METAJSON_X is not JSON"),
        ([], {"ISTIO_METAJSON_X": "[]"}, "ISTIO_METAJSON_X must be a JSON object"),
        ([], {"ISTIO_META_LABELS": "app=web"}, "node metadata LABELS must be an object"),
        ([], {"MIZZEN_PROXY_LOG_LEVEL": "loud"}, "log level must be one of"),
        (["--mixer", "here"], {}, "mixer must be one of service, embedded, not 'here'"),
        ([], {"MIZZEN_PROXY_MIXER": "embedded"}, "--mixer embedded needs --mixer-config-dir"),
        ([*EMBEDDED, "--engine", "envoy"], {}, "--mixer embedded needs --engine python"),
        ([*EMBEDDED, "--mixer-address", "127.0.0.1:9091"], {}, "leave --mixer-address out"),
    ],
)
def test_mistakes_end_with_usage(
    arguments: list[str], environment: dict[str, str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        read(*arguments, **environment)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_an_entry_point_presets_and_flags_win() -> None:
    defaults = Defaults(program="x", role="router", name="gw", namespace="edge", labels={"istio": "gw", "app": "gw"})
    settings = read(defaults=defaults)
    assert settings.node.id.startswith("router~127.0.0.1~gw.edge~")
    labels: Any = read("--labels", "app=other", defaults=defaults).node.metadata["LABELS"]
    assert labels == {"istio": "gw", "app": "other"}


@pytest.mark.parametrize(
    ("arguments", "environment", "mode", "ip", "ips"),
    [
        ((), {}, "REDIRECT", "172.18.0.5", "172.18.0.5,fd00::5"),
        (("--ip", "10.0.0.7, fd00::7"), {}, "REDIRECT", "10.0.0.7", "10.0.0.7,fd00::7"),
        (("--interception-mode", "TPROXY"), {}, "TPROXY", "172.18.0.5", "172.18.0.5,fd00::5"),
        ((), {"ISTIO_META_INTERCEPTION_MODE": "TPROXY"}, "TPROXY", "172.18.0.5", "172.18.0.5,fd00::5"),
        ((), {"ISTIO_META_INSTANCE_IPS": "10.0.0.8"}, "REDIRECT", "10.0.0.8", "10.0.0.8"),
        (("--interception-mode", "NONE"), {"ISTIO_META_INTERCEPTION_MODE": "TPROXY"}, "NONE", "127.0.0.1", None),
        (("--bind-address", "127.1.0.3"), {}, "NONE", "127.1.0.3", None),
    ],
)
def test_how_traffic_comes_to_a_sidecar(
    arguments: tuple[str, ...], environment: dict[str, str], mode: str, ip: str, ips: str | None
) -> None:
    node = read(*arguments, **environment).node
    assert node.metadata["INTERCEPTION_MODE"] == mode
    assert node.id.split("~")[1] == ip
    assert node.metadata.get("INSTANCE_IPS") == ips


def test_a_machine_without_an_address_says_nothing_of_it() -> None:
    node = read_settings((), {}, None, tuple).node
    assert "INSTANCE_IPS" not in node.metadata
    assert node.id.split("~")[1] == "127.0.0.1"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--interception-mode", "redirect"), "interception mode must be one of REDIRECT, TPROXY, NONE"),
        (("--role", "router", "--interception-mode", "NONE"), "--interception-mode is for sidecars"),
        (("--ip", "10.0.0.7,reviews"), "'reviews' does not appear to be an IPv4 or IPv6 address"),
    ],
)
def test_interception_that_makes_no_sense(
    arguments: tuple[str, ...], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        read(*arguments)
    assert complaint in capsys.readouterr().err


def test_envoy_tells_pilot_the_same() -> None:
    metadata = bootstrap(read("--engine", "envoy"))["node"]["metadata"]
    assert (metadata["INTERCEPTION_MODE"], metadata["INSTANCE_IPS"]) == ("REDIRECT", "172.18.0.5,fd00::5")
