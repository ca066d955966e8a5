"""The commands on a home of their own, with no mesh running."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from mizzen.cli.__main__ import app
from mizzen.cli.errors import UserError
from mizzen.cli.local.home import Home
from mizzen.cli.local.locking import Lock
from mizzen.cli.local.state import MeshState, PodState, ProcessState, SupervisorState, read_state, write_state

GOOD = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  http: [{route: [{destination: {host: reviews, subset: v1}}]}]
"""
BAD = GOOD.replace("subset", "subest").replace("name: reviews", "name: broken")
RULE = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews, namespace: shop}
spec:
  host: reviews
  subsets: [{name: v1, labels: {version: v1}}]
"""
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: nginx}]}
"""


class Result:
    """What a person sees of a command: status, output, messages."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status, self.out, self.err = status, out, err


class Mizzen:
    """Runs the command line on one home."""

    def __init__(self, home: Home) -> None:
        self.home = home

    def __call__(self, *args: str, stdin: str | None = None) -> Result:
        result = CliRunner().invoke(app, args, input=stdin, env={"MIZZEN_HOME": str(self.home.path)})
        if isinstance(result.exception, UserError):
            return Result(1, result.stdout, f"{result.stderr}{result.exception}\n")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Result(result.exit_code, result.stdout, result.stderr)

    @property
    def files(self) -> set[str]:
        return {str(path.relative_to(self.home.config)) for path in self.home.config.rglob("*.yaml")}


@pytest.fixture
def mizzen(tmp_path: Path) -> Mizzen:
    home = Home(tmp_path / "home")
    home.config.mkdir(parents=True)
    return Mizzen(home)


def test_apply_says_what_it_did(mizzen: Mizzen) -> None:
    assert mizzen("apply", "-f", "-", stdin=GOOD).out == "virtualservice/reviews created\n"
    assert mizzen("apply", "-f", "-", stdin=GOOD).out == "virtualservice/reviews unchanged\n"
    changed = mizzen("apply", "-f", "-", stdin=GOOD.replace("v1}", "v2}"))
    assert (changed.status, changed.out) == (0, "virtualservice/reviews configured\n")
    assert "`mizzen up`" in changed.err
    assert mizzen.files == {"default/VirtualService-reviews.yaml"}


def test_apply_takes_folders_and_several_files(mizzen: Mizzen, tmp_path: Path) -> None:
    folder = tmp_path / "yaml" / "deep"
    folder.mkdir(parents=True)
    (folder / "a.yaml").write_text(GOOD)
    (tmp_path / "b.yml").write_text(RULE)
    done = mizzen("apply", "-f", str(folder.parent), "-f", str(tmp_path / "b.yml"))
    assert done.out == "virtualservice/reviews created\ndestinationrule/reviews created\n"
    assert mizzen.files == {"default/VirtualService-reviews.yaml", "shop/DestinationRule-reviews.yaml"}


def test_one_error_refuses_the_whole_set_and_every_problem_is_listed(mizzen: Mizzen) -> None:
    refused = mizzen("apply", "-f", "-", stdin=f"{GOOD}---{BAD}---\nkind: [")
    assert refused.status == 1
    assert "VirtualService default/broken: spec.http[0].route[0].destination.subest" in refused.err
    assert "2 errors: nothing was changed." in refused.err
    assert mizzen.files == set()


def test_apply_into_a_namespace(mizzen: Mizzen) -> None:
    assert mizzen("apply", "-n", "shop", "-f", "-", stdin=GOOD).status == 0
    assert mizzen.files == {"shop/VirtualService-reviews.yaml"}


def test_a_resource_in_a_file_of_the_users_own_moves_without_harming_its_neighbours(mizzen: Mizzen) -> None:
    own = mizzen.home.config / "mine.yaml"
    own.write_text(f"{GOOD}---{RULE}")
    mizzen("apply", "-f", "-", stdin=GOOD.replace("v1}", "v2}"))
    assert [item["kind"] for item in yaml.safe_load_all(own.read_text())] == ["DestinationRule"]
    assert mizzen("get", "vs", "reviews").status == 0


def test_apply_warns_of_a_deployment_that_cannot_run_here(mizzen: Mizzen) -> None:
    done = mizzen("apply", "-f", "-", stdin=DEPLOYMENT)
    assert done.status == 0
    assert "container web has no command" in done.err


def test_get_by_any_name_of_the_kind(mizzen: Mizzen) -> None:
    mizzen("apply", "-f", "-", stdin=f"{GOOD}---{RULE}")
    for kind in ("vs", "virtualservice", "VirtualServices", "virtualservices.networking.istio.io"):
        assert "reviews" in mizzen("get", kind).out
    assert json.loads(mizzen("get", "vs", "reviews", "-o", "json").out)["metadata"]["name"] == "reviews"
    assert yaml.safe_load(mizzen("get", "dr", "reviews", "-n", "shop", "-o", "yaml").out)["spec"]["host"] == "reviews"
    table = mizzen("get", "dr", "-A").out.splitlines()
    assert table[0].split() == ["NAMESPACE", "NAME", "HOST", "SUBSETS"]
    assert table[1].split() == ["shop", "reviews", "reviews", "v1"]


@pytest.mark.parametrize("args", [("vs", "nobody"), ("dr",), ("nonsense",)])
def test_get_of_nothing_fails_with_a_sentence(mizzen: Mizzen, args: tuple[str, ...]) -> None:
    missing = mizzen("get", *args)
    assert missing.status == 1
    assert missing.err.startswith("There is no ")


def test_what_is_deleted_needs_no_warnings(mizzen: Mizzen) -> None:
    role = "{apiVersion: authentication.istio.io/v1alpha1, kind: MeshPolicy, metadata: {name: default}, spec: {}}"
    assert "deprecated" in mizzen("apply", "-f", "-", stdin=role).err
    assert mizzen("delete", "-f", "-", stdin=role).err == ""
    assert mizzen("delete", "-f", "-", stdin=role.replace("spec: {}", "spec: {peer: []}")).status == 1


def test_delete_by_name_and_by_file(mizzen: Mizzen) -> None:
    mizzen("apply", "-f", "-", stdin=f"{GOOD}---{RULE}")
    assert mizzen("delete", "vs", "reviews").out == "virtualservice/reviews deleted\n"
    gone = mizzen("delete", "-f", "-", stdin=f"{GOOD}---{RULE}")
    assert (gone.status, gone.out) == (1, "destinationrule/reviews deleted\n")
    assert gone.err == "VirtualService default/reviews is not there\n"
    assert mizzen.files == set()


@pytest.mark.parametrize("args", [("vs", "reviews"), ("-f", "-")])
def test_what_is_gone_already_may_be_as_it_should_be(mizzen: Mizzen, args: tuple[str, ...]) -> None:
    assert mizzen("delete", *args, stdin=GOOD).status == 1
    again = mizzen("delete", "--ignore-not-found", *args, stdin=GOOD)
    assert (again.status, again.out, again.err) == (0, "", "")


@pytest.mark.parametrize(
    "args", [("delete",), ("delete", "vs"), ("apply",), ("scale", "x"), ("up", "--engine", "steam")]
)
def test_usage_errors_have_status_2(mizzen: Mizzen, args: tuple[str, ...]) -> None:
    assert mizzen(*args).status == 2


def test_scale_changes_the_replicas_and_nothing_else(mizzen: Mizzen) -> None:
    mizzen("apply", "-f", "-", stdin=DEPLOYMENT)
    before = json.loads(mizzen("get", "deploy", "web", "-o", "json").out)
    assert mizzen("scale", "deployment/web", "--replicas", "3").out == "deployment/web scaled to 3\n"
    after = json.loads(mizzen("get", "deploy", "web", "-o", "json").out)
    assert after["spec"].pop("replicas") == 3
    assert after == before
    assert mizzen("scale", "vs/web", "--replicas", "3").status == 1
    assert mizzen("scale", "other", "--replicas", "3").err == "There is no Deployment default/other.\n"


def test_validate_needs_no_mesh(tmp_path: Path) -> None:
    mizzen = Mizzen(Home(tmp_path / "nowhere"))
    assert mizzen("validate", "-f", "-", stdin=GOOD).out == "1 resource is valid.\n"
    refused = mizzen("validate", "-f", "-", stdin=BAD)
    assert refused.status == 1
    assert "subest" in refused.err
    problems = json.loads(mizzen("validate", "-f", "-", "-o", "json", stdin=BAD).out)["problems"]
    assert problems[0]["path"] == "spec.http[0].route[0].destination.subest"
    assert not mizzen.home.path.exists()


POLICY = """
apiVersion: config.istio.io/v1alpha2
kind: rule
metadata: {name: deny}
spec:
  match: source.labels["app"] == "reviews"
  actions: [{handler: no.denier, instances: [all.checknothing]}]
---
apiVersion: config.istio.io/v1alpha2
kind: denier
metadata: {name: "no"}
spec: {status: {code: 7}}
"""
NOTHING = """---
apiVersion: config.istio.io/v1alpha2
kind: checknothing
metadata: {name: all}
"""


@pytest.mark.parametrize("command", ["validate", "apply"])
def test_rules_are_checked_as_mixer_loads_them(mizzen: Mizzen, command: str) -> None:
    wrong = POLICY.replace('== "reviews"', "== 7") + NOTHING
    refused = mizzen(command, "-f", "-", stdin=wrong)
    assert refused.status == 1
    assert refused.err.startswith("<stdin>:2 (document 1): error: rule default/deny: spec.match: column ")
    assert not any("deny" in str(file) for file in mizzen.files)


def test_what_a_rule_refers_to_may_come_later_or_be_in_the_mesh(mizzen: Mizzen) -> None:
    early = mizzen("validate", "-f", "-", stdin=POLICY)
    assert (early.status, early.out) == (0, "2 resources are valid.\n")
    assert "warning: rule default/deny: spec.actions[0].instances[0]: there is no instance all.checknoth" in early.err
    assert mizzen("apply", "-f", "-", stdin=NOTHING).status == 0
    late = mizzen("validate", "-f", "-", stdin=POLICY)
    assert (late.status, late.err) == (0, "")


def test_what_is_wrong_in_the_mesh_already_is_no_problem_of_new_files(mizzen: Mizzen) -> None:
    (mizzen.home.config / "old.yaml").write_text(POLICY.replace("source.labels", "source.lables"))
    assert mizzen("validate", "-f", "-", stdin=NOTHING).err == ""
    assert mizzen("delete", "rule", "deny").status == 0


@pytest.mark.parametrize(
    "args", [("status",), ("proxy-status",), ("proxy-config", "routes", "x"), ("apply", "-f", "-"), ("get", "vs")]
)
def test_without_a_mesh_commands_say_so(tmp_path: Path, args: tuple[str, ...]) -> None:
    answer = Mizzen(Home(tmp_path / "nowhere"))(*args, stdin=GOOD)
    assert answer.status == 1
    assert "`mizzen up`" in answer.err


def test_down_without_a_mesh_is_fine(mizzen: Mizzen) -> None:
    assert mizzen("down").out == "Nothing is up.\n"


def test_a_file_that_is_not_there_is_named(mizzen: Mizzen) -> None:
    assert mizzen("apply", "-f", "missing.yaml").err == "Cannot read missing.yaml: No such file or directory.\n"


STATE = MeshState(
    engine="python",
    phase="running",
    supervisor=SupervisorState(1, "2026-01-01T00:00:00+00:00"),
    processes=(
        ProcessState("pilot", "running", 11, 2, "127.0.1.1:15010", "logs/pilot.log"),
        ProcessState("web-1.app", "restarting", 0, 0, "127.2.0.1:80", "logs/web-1.app.log", "ended with status 1"),
    ),
    pods=(PodState("default", "web-1", "web", "127.1.0.1", "127.2.0.1", ready=False),),
    problems=("something is wrong",),
    numbers={"default/web-1": 1},
)


def test_status_shows_processes_and_restarts(mizzen: Mizzen) -> None:
    write_state(mizzen.home.state, STATE)
    lock = Lock(mizzen.home.lock)
    try:
        table = mizzen("status")
        data = json.loads(mizzen("status", "-o", "json").out)
    finally:
        lock.release()
    rows = [line.split() for line in table.out.splitlines()]
    assert rows[1] == ["pilot", "running", "127.0.1.1:15010", "11", "2"]
    assert rows[2] == ["web-1.app", "restarting", "127.2.0.1:80", "-", "0"]
    assert "something is wrong" in table.err
    assert data["processes"][1]["pid"] == 0
    assert data["ready"] is False


def test_state_survives_writing_and_an_unknown_format_is_no_state(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    assert read_state(path) is None
    write_state(path, STATE)
    assert read_state(path) == STATE
    path.write_text('{"engine": "python"}')
    assert read_state(path) is None
    path.write_text("{")
    assert read_state(path) is None


def test_up_beside_a_living_mesh_says_so(mizzen: Mizzen) -> None:
    write_state(mizzen.home.state, STATE)
    lock = Lock(mizzen.home.lock)
    try:
        again = mizzen("up")
    finally:
        lock.release()
    assert again.status == 0
    assert "is up already" in again.out


def test_version(mizzen: Mizzen) -> None:
    assert mizzen("version").out.startswith("mizzen 0.")
    assert set(json.loads(mizzen("version", "-o", "json").out)) == {"mizzen", "python"}


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys, mizzen.cli.__main__\n"
        "heavy = {'pydantic', 'aiohttp', 'grpc', 'yaml', 'watchfiles'} & set(sys.modules)\n"
        "sys.exit(', '.join(sorted(heavy)) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ), check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
