"""Mixer in a local mesh: when it runs, and what comes with it."""

import json
import subprocess
from pathlib import Path
from typing import Literal, cast

import aiohttp
import pytest

from mizzen.api.parse import parse
from mizzen.cli import prepare
from mizzen.cli.errors import UserError
from mizzen.cli.local import up
from mizzen.cli.local.commands import mixer_command, sidecar_command
from mizzen.cli.local.desired import PodTemplateSpec
from mizzen.cli.local.fleet import Fleet
from mizzen.cli.local.home import Home
from mizzen.cli.local.mixer import (
    EMBEDDED_CONFIG,
    MIXER_CONFIG,
    embeds_mixer,
    mixer_environment,
    mixer_services,
    telemetry_file,
    wants_mixer,
)
from mizzen.cli.local.reconcile import PodKey
from mizzen.cli.store import ConfigStore
from mizzen.mixer.adapters.prometheus.definition import Definition
from mizzen.mixer.adapters.registry import find
from mizzen.mixer.config.config import load
from mizzen.pilot.app.meshconfig import parse_mesh_config
from mizzen.proxy.app.settings import EmbeddedMixer, read_settings


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    home.config.mkdir()
    return home


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (MIXER_CONFIG, True),
        ("mixerReportServer: istio-telemetry.istio-system.svc.cluster.local:9091", True),
        ("accessLogFile: /dev/stdout", False),
        ("mixerCheckServer: ''", False),
        ("[", False),
        ("", False),
        ("1", False),
    ],
)
def test_mixer_runs_where_the_mesh_config_names_it(home: Home, text: str, wanted: bool) -> None:
    assert not wants_mixer(home)
    home.mesh_config.write_text(text)
    assert wants_mixer(home) is wanted


def test_the_mesh_config_says_that_mixer_is_in_the_proxies(home: Home) -> None:
    home.mesh_config.write_text(MIXER_CONFIG)
    assert not embeds_mixer(home)
    assert mixer_environment(home) == {}
    home.mesh_config.write_text(EMBEDDED_CONFIG)
    assert parse_mesh_config(EMBEDDED_CONFIG).mixer_hosts == {"mixer.embedded"}
    assert wants_mixer(home)
    settings = read_settings([], mixer_environment(home))
    assert settings.embedded_mixer == EmbeddedMixer(home.config, home.registry)


def test_a_mixer_in_the_proxies_is_not_started(home: Home) -> None:
    for text, started in ((MIXER_CONFIG, True), (EMBEDDED_CONFIG, False)):
        home.mesh_config.write_text(text)
        fleet = Fleet(home, "python", cast("aiohttp.ClientSession", None), {}, lambda: None)
        assert ("mixer" in [process.name for process in fleet.processes]) is started


def test_a_new_meshs_settings_are_pilots_and_name_mixers_services() -> None:
    settings = parse_mesh_config(prepare.MESH_CONFIG + MIXER_CONFIG)
    names = {f"{item.metadata.name}.{item.metadata.namespace}.svc.cluster.local" for item in mixer_services()}
    assert settings.mixer_hosts == names
    assert settings.disable_policy_checks is None
    assert settings.reason_header, "a mesh of this machine is for development"


def test_mixer_can_use_all_of_the_default_telemetry() -> None:
    parsed = parse(telemetry_file().read_text())
    assert not parsed.problems
    config = load(parsed.resources, find)
    assert not config.problems
    assert len(config.rules) == 6
    metrics = config.handlers["handler.prometheus.istio-system"].params["metrics"]
    for metric in metrics:
        assert Definition.model_validate(metric).exported_name.startswith("istio_")
        fields = config.instances[metric["instanceName"]].expressions
        assert {f"dimensions.{label}" for label in metric["labelNames"]} == fields.keys() - {"value"}


def test_pods_are_found_by_uid_or_by_the_address_that_reports_of_the_source_have() -> None:
    instance = load(parse(telemetry_file().read_text()).resources, find).instances["attributes.kubernetes.istio-system"]
    asked = instance.expressions
    assert {"source_uid", "source_ip", "destination_uid", "destination_ip"} <= asked.keys()


def test_mixer_is_told_its_folder_and_addresses(home: Home) -> None:
    command = mixer_command(home, {})
    assert "127.0.1.2:9091" in command.argv
    assert {str(home.config), str(home.registry), "127.0.1.2:42422"} <= set(command.argv)
    ready = command.probes.readiness
    assert ready is not None
    assert (ready.host, ready.port) == ("127.0.1.2", 15014)


def test_annotations_of_the_pod_reach_pilot(home: Home) -> None:
    annotations = {"policy.istio.io/check": "disable"}
    template = PodTemplateSpec("default", "web", 1, "r", annotations=annotations)
    command = sidecar_command(home, {}, "python", PodKey("default", "web", 1), template, 1)
    assert json.loads(command.environ["ISTIO_METAJSON_ANNOTATIONS"]) == {"ANNOTATIONS": annotations}


APPLIED = "apiVersion: config.istio.io/v1alpha2\nkind: prometheus\nmetadata: {name: handler, namespace: istio-system}\n"


@pytest.mark.parametrize(("asked", "mixer"), [(None, True), (True, True), ("embedded", True), (False, False)])
def test_a_first_start_brings_telemetry_and_leaves_what_is_applied(
    home: Home, monkeypatch: pytest.MonkeyPatch, asked: bool | Literal["embedded"] | None, mixer: bool
) -> None:
    file = home.path / "mine.yaml"
    file.write_text(APPLIED + "spec: {metrics: []}")

    def end(*_: object) -> subprocess.Popen[bytes]:
        raise UserError("far enough")

    monkeypatch.setattr(up, "fixed_addresses", lambda: ())
    monkeypatch.setattr(up, "start_supervisor", end)
    with pytest.raises(UserError, match="far enough"):
        up.bring_up(home, "python", [str(file)], mixer=asked)
    names = {f"{key.kind}/{key.name}" for key in ConfigStore(home.config).read()}
    assert ("rule/promhttp" in names) is mixer
    assert wants_mixer(home) is mixer
    assert embeds_mixer(home) is (asked == "embedded")
    [mine] = [r for key, r in ConfigStore(home.config).read().items() if key.kind == "prometheus"]
    assert not mine.spec.model_dump().get("metrics")


def test_a_flag_cannot_contradict_the_mesh_config(home: Home) -> None:
    home.mesh_config.write_text(prepare.MESH_CONFIG)
    with pytest.raises(UserError, match=r"add these lines:\n(.*\n)*mixerCheckServer: "):
        up.bring_up(home, "python", [], mixer=True)
    home.mesh_config.write_text(MIXER_CONFIG)
    with pytest.raises(UserError, match=r"take mixerCheckServer and mixerReportServer out"):
        up.bring_up(home, "python", [], mixer=False)
    with pytest.raises(UserError, match=r"(.*\n)*mixerCheckServer: mixer.embedded:9091"):
        up.bring_up(home, "python", [], mixer="embedded")
    home.mesh_config.write_text(EMBEDDED_CONFIG)
    with pytest.raises(UserError, match="Only the engine python"):
        up.bring_up(home, "envoy", [])
