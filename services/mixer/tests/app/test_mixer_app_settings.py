"""Flags and environment of Mixer."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from mizzen.identity.keeping.settings import IdentitySettings
from mizzen.identity.spiffe import SpiffeId
from mizzen.mixer.app.settings import SecureSettings, Settings, TokenSettings, read_settings
from mizzen.mixer.server.overload import Limits, Mode
from mizzen.runtime.address import Address

DEFAULT = Settings(Address("127.0.1.2", 9091), Address("127.0.1.2", 15014), Path(".mizzen/config"))


def test_defaults_are_those_of_the_local_mesh_and_of_istio() -> None:
    assert read_settings([], {}) == DEFAULT
    assert DEFAULT.limits == Limits(Mode.DISABLED, 0, math.inf, 1, 0, 0)


@pytest.mark.parametrize(
    ("arguments", "changed"),
    [
        (["--address", "[::1]:1"], {"address": Address("::1", 1)}),
        (["--monitoring-address=0.0.0.0:2"], {"monitoring_address": Address("0.0.0.0", 2)}),
        (["--config-dir", "/etc/mizzen"], {"config_dir": Path("/etc/mizzen")}),
        (["--kubeconfig", "in-cluster"], {"config_dir": None, "kubeconfig": "in-cluster"}),
        (["--kubeconfig", "k", "--config-dir", "/c"], {"config_dir": Path("/c"), "kubeconfig": "k"}),
        (["--registry-dir", "/pods"], {"registry_dir": Path("/pods")}),
        (
            ["--token-keys", "/keys", "--trust-domain", "mesh", "--namespace", "control"],
            {"tokens": TokenSettings(Path("/keys"), "mesh", "control")},
        ),
        (["--max-valid-duration", "1.5"], {"longest_validity": timedelta(seconds=1.5)}),
        (["--prometheus-address", "127.0.0.1:3"], {"prometheus_address": Address("127.0.0.1", 3)}),
        (["--default-namespace", "mesh"], {"default_namespace": "mesh"}),
        (["--max-message-size", "5"], {"max_message_bytes": 5}),
        (["--max-concurrent-streams", "6"], {"max_streams": 6}),
        (["--max-concurrent-requests", "7"], {"max_requests": 7}),
        (["--log-level", "debug", "--log-format", "json"], {"log_level": "debug", "log_format": "json"}),
        (
            ["--load-shedding", "enforce", "--average-latency-threshold", "0.1", "--latency-samples-per-second", "10"],
            {"limits": Limits(Mode.ENFORCE, average_latency=0.1, latency_samples_per_second=10)},
        ),
        (
            ["--max-requests-per-second", "100", "--burst-size", "20", "--latency-sample-half-life", "2"],
            {"limits": Limits(requests_per_second=100, burst=20, latency_half_life=2)},
        ),
    ],
)
def test_flags(arguments: list[str], changed: dict[str, object]) -> None:
    assert read_settings(arguments, {}) == replace(DEFAULT, **changed)


def test_a_port_of_mutual_tls_needs_an_authority() -> None:
    given = ["--address", "", "--secure-address", "127.0.1.2:15004", "--ca-address", "127.0.1.1:15012"]
    given += ["--token-file", "/token", "--trust-domain-aliases", "old.mesh, older.mesh", "--certificate-seconds", "60"]
    settings = read_settings(given, {"TRUST_DOMAIN": "mesh", "MIZZEN_MIXER_NAMESPACE": "control"})
    assert settings.address is None
    assert settings.secure == SecureSettings(
        Address("127.0.1.2", 15004),
        IdentitySettings(
            SpiffeId("mesh", "control", "mizzen-mixer"),
            Address("127.0.1.1", 15012),
            Path("/var/run/secrets/istio/root-cert.pem"),
            Path("/token"),
            60,
        ),
        frozenset({"mesh", "old.mesh", "older.mesh"}),
    )


def test_flags_win_over_the_environment() -> None:
    environment = {"MIZZEN_MIXER_CONFIG_DIR": "/of-environment", "MIZZEN_MIXER_DEFAULT_NAMESPACE": "mesh"}
    settings = read_settings(["--config-dir", "/of-flag"], environment)
    assert settings == replace(DEFAULT, config_dir=Path("/of-flag"), default_namespace="mesh")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--address", "here"], "an address is <host>:<port>, for instance 127.0.0.1:15010, not 'here'"),
        (["--max-message-size", "0"], "--max-message-size is a number of at least 1, not '0'"),
        (["--max-concurrent-requests", "many"], "--max-concurrent-requests is a number of at least 1, not 'many'"),
        (["--average-latency-threshold", "-1"], "--average-latency-threshold is a number of at least 0, not '-1'"),
        (["--max-requests-per-second", "inf"], "--max-requests-per-second is a number of at least 0, not 'inf'"),
        (["--load-shedding", "on"], "--load-shedding is one of disabled, logonly, enforce, not 'on'"),
        (["--log-level", "loud"], "--log-level is one of debug, info, warning, error, not 'loud'"),
        (["--max-requests-per-second", "5"], "--max-requests-per-second needs a --burst-size above 0"),
        (["--default-namespace", ""], "the default namespace must have a name"),
        (["--secure-address", "127.0.1.2:15004"], "--secure-address goes together with --ca-address"),
        (["--ca-address", "127.0.1.1:15012"], "--secure-address goes together with --ca-address"),
        (["--address", ""], "without --address, proxies need --secure-address"),
        (
            ["--secure-address", "a:1", "--ca-address", "a:2", "--trust-domain", "A"],
            "'A' is no trust domain",
        ),
    ],
)
def test_what_is_wrong_is_said(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        read_settings(arguments, {})
    assert exit_.value.code == 2
    assert message in capsys.readouterr().err
