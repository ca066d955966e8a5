"""A mesh of containers as the command line sees it, with a Docker of our own."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mizzen.cli.__main__ import app
from mizzen.cli.compose import project as projects
from mizzen.cli.compose.command import compose_command
from mizzen.cli.compose.containers import Container, processes, proxy_of
from mizzen.cli.compose.mesh import ComposeMesh
from mizzen.cli.compose.project import Project, compose_file, read_project
from mizzen.cli.compose.up import services_of, stated_services, take_down
from mizzen.cli.errors import UserError
from mizzen.cli.local.home import Home
from mizzen.cli.mesh import is_up, kind_of

PROJECT = Project(("docker-compose",), "/mesh/docker-compose.yaml", "python")


def inspected(service: str, **more: Any) -> dict[str, Any]:
    """An element of `docker inspect`."""
    state = {"Status": "running", "Running": True, "Pid": 4711, "ExitCode": 0}
    return {
        "Id": f"id-{service}",
        "Name": f"/mizzen_{service}_1",
        "State": state | more.get("state", {}),
        "RestartCount": 0,
        "Config": {"Labels": {"com.docker.compose.service": service} | more.get("labels", {})},
        "HostConfig": {"NetworkMode": more.get("mode", "mizzen_default")},
        "NetworkSettings": {"Networks": more.get("networks", {})},
        "Mounts": more.get("mounts", []),
    }


def mesh() -> list[Container]:
    joined = "container:id-reviews-v1"
    return [
        Container.from_inspect(item)
        for item in (
            inspected("reviews-v1", networks={"mizzen_default": {"IPAddress": "172.18.0.7"}}),
            inspected("reviews-v1-proxy", mode=joined, labels={"mizzen.role": "proxy"}),
            inspected("reviews-v1-app", mode=joined, labels={"mizzen.workload": "reviews-v1"}),
            inspected(
                "istio-ingressgateway",
                networks={"mizzen_default": {"IPAddress": "172.18.0.4"}},
                labels={
                    "mizzen.role": "proxy",
                    "mizzen.workload": "istio-ingressgateway",
                    "mizzen.namespace": "istio-system",
                },
            ),
            inspected("mixer", labels={"mizzen.workload": "istio-mixer"}),
        )
    ]


@pytest.mark.parametrize(
    ("name", "proxy"),
    [
        ("reviews-v1", "reviews-v1-proxy"),
        ("reviews-v1-1", "reviews-v1-proxy"),
        ("reviews-v1.default", "reviews-v1-proxy"),
        ("istio-ingressgateway", "istio-ingressgateway"),
        ("istio-ingressgateway.istio-system", "istio-ingressgateway"),
    ],
)
def test_a_workload_is_known_by_its_name_or_its_pods(name: str, proxy: str) -> None:
    found = proxy_of(mesh(), name)
    assert found is not None
    assert found.service == proxy


@pytest.mark.parametrize("name", ["reviews", "reviews-v1-2", "reviews-v1.shop", "istio-mixer", ""])
def test_other_names_have_no_proxy(name: str) -> None:
    assert proxy_of(mesh(), name) is None


def test_an_unknown_workload_is_told_with_those_that_there_are() -> None:
    with pytest.raises(UserError, match=r"no workload 'nobody'.* are istio-ingressgateway, istio-mixer, reviews-v1"):
        ComposeMesh(PROJECT, tuple(mesh())).ask("nobody", "GET", "/config_dump")


def test_containers_that_share_a_network_show_its_address() -> None:
    addresses = {process.name: process.address for process in processes(mesh())}
    assert addresses["reviews-v1-app"] == addresses["reviews-v1-proxy"] == addresses["reviews-v1"] == "172.18.0.7"


@pytest.mark.parametrize(
    ("state", "shown"),
    [
        ({}, "running"),
        ({"Health": {"Status": "healthy"}}, "running"),
        ({"Health": {"Status": "starting"}}, "starting"),
        ({"Health": {"Status": "unhealthy"}}, "unhealthy"),
        ({"Paused": True}, "stopped"),
        ({"Restarting": True}, "restarting"),
        ({"Running": False, "Status": "exited", "ExitCode": 137, "Pid": 0}, "stopped"),
    ],
)
def test_the_state_of_a_container_in_the_words_of_processes(state: dict[str, Any], shown: str) -> None:
    assert Container.from_inspect(inspected("pilot", state=state)).state == shown


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder in PATH beside that of the shell."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/bin")
    monkeypatch.setattr("shutil.which", lambda name: str(folder / name) if (folder / name).exists() else None)
    return folder


def tool(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def test_the_plugin_is_preferred_and_the_old_command_taken_without_it(tools: Path) -> None:
    tool(tools, "docker", "exit 0")
    tool(tools, "docker-compose", "exit 0")
    assert compose_command() == ("docker", "compose")
    tool(tools, "docker", '[ "$1" != compose ]')
    assert compose_command() == ("docker-compose",)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (None, "no command docker"),
        ("echo Cannot connect to the Docker daemon >&2; exit 1", "Cannot connect to the Docker daemon"),
        ('[ "$1" != compose ]', "neither `docker compose` nor `docker-compose`"),
    ],
)
def test_what_is_missing_for_containers_is_told(tools: Path, script: str | None, words: str) -> None:
    if script is not None:
        tool(tools, "docker", script)
    with pytest.raises(UserError, match=words):
        compose_command()


def test_the_compose_file_gets_the_home_and_who_may_write_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projects, "_group_of", lambda socket: 999 if socket == "/run/user/1/docker.sock" else 1)
    home = Home(tmp_path)
    environ = PROJECT.environ(home, {"DOCKER_HOST": "unix:///run/user/1/docker.sock", "MIZZEN_HOME": "elsewhere"})
    assert environ["MIZZEN_HOME"] == str(tmp_path)
    assert environ["DOCKER_SOCKET"] == "/run/user/1/docker.sock"
    assert environ["MIZZEN_OWNER"] == f"{os.getuid()}:999"
    assert "MIZZEN_PROXY" not in environ
    envoy = Project(("docker-compose",), PROJECT.file, "envoy")
    assert envoy.environ(home, {})["MIZZEN_PROXY"] == "proxy-envoy"


SERVICES = """
services:
  pilot: {image: "mizzen/pilot:dev"}
  redis: {image: "redis:7", build: ., profiles: [observability]}
  jaeger: {image: "far/jaeger:1", profiles: [observability]}
"""


@pytest.mark.parametrize(
    ("profiles", "pulls", "expected"),
    [
        ((), "exit 1", ["pilot"]),
        (("observability",), "exit 0", ["pilot", "redis", "jaeger"]),
        (("observability",), "echo no such host >&2; exit 1", ["pilot", "redis"]),
    ],
)
def test_what_a_profile_adds_is_left_out_where_nobody_has_its_image(
    tmp_path: Path,
    tools: Path,
    capsys: pytest.CaptureFixture[str],
    profiles: tuple[str, ...],
    pulls: str,
    expected: Any,
) -> None:
    (tmp_path / "services.yaml").write_text(SERVICES)
    tool(tools, "docker-compose", f"cat {tmp_path / 'services.yaml'}")
    tool(tools, "docker", f'if [ "$1" = pull ]; then {pulls}; else echo mizzen/pilot:dev; fi')
    project = Project((str(tools / "docker-compose"),), PROJECT.file, "python", profiles=profiles)
    assert services_of(stated_services(Home(tmp_path), project), project) == expected
    said = "Without jaeger: its image far/jaeger:1 cannot be pulled (no such host)."
    output = capsys.readouterr()
    assert (said in output.out + output.err) == ("jaeger" not in expected and bool(profiles))


def test_an_image_of_ours_that_is_missing_is_named(tmp_path: Path, tools: Path) -> None:
    (tmp_path / "services.yaml").write_text(SERVICES)
    tool(tools, "docker-compose", f"cat {tmp_path / 'services.yaml'}")
    tool(tools, "docker", "exit 0")
    project = Project((str(tools / "docker-compose"),), PROJECT.file, "python")
    with pytest.raises(UserError, match=r"`make images` builds them: mizzen/pilot:dev\."):
        services_of(stated_services(Home(tmp_path), project), project)


def test_a_mesh_of_containers_is_up_from_its_start_to_its_end(tmp_path: Path, tools: Path) -> None:
    home = Home(tmp_path / "home")
    assert not is_up(home)
    project = Project((str(tools / "docker-compose"),), PROJECT.file, "envoy", profiles=("observability",))
    project.save(home)
    assert read_project(home) == project
    assert kind_of(home) == ("compose", "envoy")
    (home.registry / "default").mkdir(parents=True)
    (home.registry / "default" / "Pod-a.yaml").write_text("{}")
    asked = tmp_path / "asked"
    tool(
        tools,
        "docker",
        'case "$1" in ps) echo one;; inspect) cat <<X\n' + json.dumps([inspected("pilot")]) + "\nX\nesac",
    )
    tool(tools, "docker-compose", f'echo "$@" > {asked}')
    assert take_down(home, project) == 1
    assert not is_up(home)
    assert list(home.registry.rglob("*.yaml")) == []
    given = asked.read_text()
    assert "--profile observability down --volumes --remove-orphans" in given


def docker_with(tools: Path, *items: dict[str, Any]) -> None:
    """A Docker with these containers, and its compose plugin."""
    (tools / "inspected.json").write_text(json.dumps(items))
    ids = " ".join(item["Id"] for item in items)
    answers = f'ps) echo {ids};; inspect) cat {tools / "inspected.json"};; compose) echo "$@" >> {tools / "composed"}'
    tool(tools, "docker", f'case "$1" in {answers};; esac')


def pilot_of(home: Path) -> dict[str, Any]:
    return inspected("pilot", mounts=[{"Type": "bind", "Source": str(home), "Destination": "/etc/mizzen"}])


def test_a_mesh_of_another_home_is_in_the_way_and_named(tmp_path: Path, tools: Path) -> None:
    docker_with(tools, pilot_of(tmp_path / "other home"))
    status, _, err = run(tmp_path / "home", "up", "--runtime", "compose")
    assert status == 1
    assert (
        f"there is a mesh of containers already; stop it with: MIZZEN_HOME='{tmp_path}/other home' mizzen down" in err
    )
    assert run(tmp_path / "home", "down")[1] == "Nothing is up.\n"


def test_a_mesh_whose_home_was_deleted_can_be_stopped(tmp_path: Path, tools: Path) -> None:
    docker_with(tools, pilot_of(tmp_path / "home"))
    status, out, _ = run(tmp_path / "home", "down")
    assert (status, out) == (0, "Removed 1 containers and their network.\n")
    assert "down --volumes --remove-orphans" in (tools / "composed").read_text()


def test_a_start_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.compose.write_text("{}")
    with pytest.raises(UserError, match=r"compose\.json cannot be read"):
        read_project(home)


def test_the_compose_file_is_found_in_the_checkout_and_missed_elsewhere(tmp_path: Path) -> None:
    assert compose_file().endswith("compose/docker-compose.yaml")
    with pytest.raises(UserError, match="checkout of Mizzen"):
        compose_file((tmp_path,))


def run(home: Path, *args: str) -> tuple[int, str, str]:
    """Status, output and messages of `mizzen ARGS`."""
    result = CliRunner().invoke(app, args, env={"MIZZEN_HOME": str(home)})
    message = str(result.exception) if isinstance(result.exception, UserError) else ""
    return 1 if message else result.exit_code, result.stdout, result.stderr + message


def test_auto_is_compose_with_docker_and_local_without(tools: Path, tmp_path: Path) -> None:
    status, out, err = run(tmp_path, "runtime")
    assert (status, out) == (0, "local\n")
    assert "no command docker" in err
    tool(tools, "docker", "exit 0")
    assert run(tmp_path, "runtime", "auto")[1] == "compose\n"
    assert run(tmp_path, "runtime", "local")[1] == "local\n"


def test_compose_without_docker_and_unknown_runtimes_are_refused(tools: Path, tmp_path: Path) -> None:
    assert run(tmp_path, "runtime", "compose")[0] == 1
    status, _, err = run(tmp_path, "runtime", "kube")
    assert status == 1
    assert "RUNTIME=kube is unknown; use auto, local or compose" in err


def test_a_mesh_that_is_up_is_not_mixed_with_another_runtime(tmp_path: Path) -> None:
    PROJECT.save(Home(tmp_path))
    assert run(tmp_path, "runtime", "auto")[1] == "compose\n"
    status, _, err = run(tmp_path, "up", "--runtime", "local")
    assert status == 1
    assert "is up with runtime compose and engine python" in err
    (tmp_path / "config").mkdir()
    status, _, err = run(tmp_path, "scale", "deployment/reviews-v1", "--replicas", "2")
    assert status == 1
    assert "its compose file names" in err


def test_flags_that_a_mesh_that_is_up_cannot_follow_are_refused(tmp_path: Path) -> None:
    home = Home(tmp_path)
    PROJECT.save(home)
    status, _, err = run(tmp_path, "up", "--runtime", "compose", "--observability")
    assert status == 1
    assert "is up without --observability; `mizzen down` first" in err
    home.mesh_config.write_text("mixerCheckServer: mixer:9091\n")
    status, _, err = run(tmp_path, "up", "--runtime", "compose", "--no-mixer")
    assert status == 1
    assert "take mixerCheckServer and mixerReportServer out of it first" in err
    Project(PROJECT.command, PROJECT.file, "python", profiles=("observability",)).save(home)
    assert run(tmp_path, "up", "--runtime", "compose", "--observability")[0] == 0


@pytest.mark.parametrize(("found", "named"), [("/x/bin/mizzen", "mizzen"), (None, ".venv/bin/mizzen")])
def test_the_command_line_is_named_as_it_can_be_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: str | None, named: str
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: found)
    monkeypatch.setattr("sys.argv", [".venv/bin/mizzen", "up"])
    PROJECT.save(Home(tmp_path))
    assert f"Look around with `{named} status`" in run(tmp_path, "up", "--runtime", "compose")[1]
