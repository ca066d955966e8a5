"""Identities on this machine: the issuer of tokens, and who is given them."""

from __future__ import annotations

import json
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mizzen.cli.local.commands import mixer_command, pilot_command, sidecar_command
from mizzen.cli.local.desired import PodTemplateSpec
from mizzen.cli.local.home import Home
from mizzen.cli.local.mixer import MIXER_CONFIG, mixer_pod
from mizzen.cli.local.reconcile import PodKey
from mizzen.cli.local.security import TokenIssuer, able, pilot_flags, wants_security
from mizzen.identity.callers.tokens import TokenVerifier
from mizzen.identity.spiffe import SpiffeId
from mizzen.mixer.app.settings import read_settings as read_mixer_settings
from mizzen.pilot.app.meshconfig import parse_mesh_config
from mizzen.pilot.app.settings import read_settings as read_pilot_settings
from mizzen.runtime.address import Address


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("enableAutoMtls: true", True),
        ("enableAutoMtls: false", False),
        ("enableAutoMtls: false\nmixerCheckServer: istio-policy:9091", False),
        ("enableAutoMtls: false\nmixerReportServer: istio-telemetry:15004", True),
        ("accessLogFile: /dev/stdout", True),
        ("", True),
        ("- a", True),
        (": :", True),
    ],
)
def test_the_mesh_config_may_be_against_it(home: Home, text: str, wanted: bool) -> None:
    home.mesh_config.write_text(text)
    assert wants_security(home) == wanted


def test_a_mesh_without_a_config_has_identities(home: Home) -> None:
    assert wants_security(home)


def token_of(flags: tuple[str, ...]) -> Path:
    return Path(flags[flags.index("--token-file") + 1])


async def test_pilot_believes_the_tokens_and_nobody_else_can_read_them(home: Home) -> None:
    path = token_of(TokenIssuer(home).flags("reviews-1", "default", "bookinfo-reviews"))
    verifier = TokenVerifier.read(home.token_keys, "cluster.local")
    assert await verifier.verify(path.read_text(), datetime.now(UTC)) == SpiffeId(
        "cluster.local", "default", "bookinfo-reviews"
    )
    for secret in (path, home.identity / "token-key.json"):
        assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert "d" not in json.loads(home.token_keys.read_text())["keys"][0]  # the private part


async def test_the_key_outlives_the_issuer(home: Home) -> None:
    path = token_of(TokenIssuer(home).flags("a", "default", "a"))
    TokenIssuer(home)
    await TokenVerifier.read(home.token_keys, "cluster.local").verify(path.read_text(), datetime.now(UTC))


def test_commands_say_where_the_authority_is(home: Home) -> None:
    flags = TokenIssuer(home).flags("a", "default", "a")
    template = able(PodTemplateSpec("default", "a", 1, "r"))
    argv = sidecar_command(home, {}, "python", PodKey("default", "a", 1), template, 1, flags).argv
    assert argv[argv.index("--ca-address") + 1] == "127.0.1.1:15012"
    assert "security.istio.io/tlsMode=istio" in argv[argv.index("--labels") + 1]
    assert str(home.authority) in pilot_command(home, {}, pilot_flags(home)).argv
    assert "--ca-dir" not in pilot_command(home, {}).argv


async def test_mixer_has_an_identity_that_proxies_know_by_its_services_names(home: Home) -> None:
    home.mesh_config.write_text("trustDomainAliases: [old.mesh]")
    command = mixer_command(home, {}, TokenIssuer(home).mixer_flags())
    settings = read_mixer_settings(command.argv[3:], {})
    assert settings.address == Address("127.0.1.2", 9091)
    assert settings.secure is not None
    assert settings.secure.address == Address("127.0.1.2", 15004)
    assert settings.secure.trust_domains == {"cluster.local", "old.mesh"}
    identity = settings.secure.identity.identity
    assert identity == SpiffeId("cluster.local", "istio-system", "mizzen-mixer")
    verifier = TokenVerifier.read(home.token_keys, "cluster.local")
    token = settings.secure.identity.token
    assert await verifier.verify(token.read_text(), datetime.now(UTC)) == identity
    authority = read_pilot_settings(pilot_flags(home), {}).authority
    assert authority is not None
    mesh = parse_mesh_config(MIXER_CONFIG)
    named = set(authority.account_hosts[identity.namespace, identity.service_account])
    assert named == mesh.mixer_hosts == mesh.secure_mixer_hosts
    pod = mixer_pod(ready=True)
    assert (pod.namespace, pod.service_account) == (identity.namespace, identity.service_account)


def test_proxies_are_told_of_the_trust_domain(home: Home) -> None:
    flags = TokenIssuer(home).flags("a", "default", "a")
    assert flags[flags.index("--trust-domain") + 1] == "cluster.local"
    home.mesh_config.write_text("trustDomain: acme.example")
    flags = TokenIssuer(home).flags("a", "default", "a")
    assert flags[flags.index("--trust-domain") + 1] == "acme.example"


def test_a_workload_may_say_that_it_cannot() -> None:
    template = PodTemplateSpec("default", "a", 1, "r", {"security.istio.io/tlsMode": "disabled"})
    assert able(template).labels == {"security.istio.io/tlsMode": "disabled"}
