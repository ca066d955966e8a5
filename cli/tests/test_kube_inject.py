"""`mizzen kube-inject`: what it changes in a text, and above all what it leaves."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from mizzen.api.document import read
from mizzen.cli.__main__ import app
from mizzen.cli.kubeinject.files import inject_text
from mizzen.cli.kubeinject.splice import CannotSplice, applied, spliced
from mizzen.injector.injection.settings import Settings, read_settings

POD = """\
metadata:
  labels: {app: web}   # in flow
spec:
  # the application
  containers:
  # is this
  - name: app
    image: "web:1"      # pinned
    args: ["-v",
           '--on']
    livenessProbe:
      # whether it lives
      httpGet:
        path:   /ok
        port: http   # by name
    ports:
      - name: http

        containerPort: 8080
  volumes:
    - {name: data, emptyDir: {}}
  serviceAccountName: web
"""

# kind, apiVersion, path of the Pod
KINDS = [
    ("Deployment", "apps/v1", ("spec", "template")),
    ("StatefulSet", "apps/v1", ("spec", "template")),
    ("DaemonSet", "apps/v1", ("spec", "template")),
    ("ReplicaSet", "apps/v1", ("spec", "template")),
    ("ReplicationController", "v1", ("spec", "template")),
    ("Job", "batch/v1", ("spec", "template")),
    ("CronJob", "batch/v1", ("spec", "jobTemplate", "spec", "template")),
    ("DeploymentConfig", "apps.openshift.io/v1", ("spec", "template")),
]


def indented(text: str, column: int) -> str:
    return "".join(" " * column + line if line.strip() else line for line in text.splitlines(keepends=True))


def workload(kind: str = "Deployment", version: str = "apps/v1", path: tuple[str, ...] = ("spec", "template")) -> str:
    text = f"apiVersion: {version}\nkind: {kind}\nmetadata:\n  name: web\n  namespace: shop\n"
    for depth, part in enumerate(path):
        text += "  " * depth + part + ":\n"
    return text + indented(POD, 2 * len(path))


def at(value: Any, path: tuple[str | int, ...]) -> Any:
    for part in path:
        value = value[part]
    return value


def names(pod: Any) -> list[str]:
    return [container["name"] for container in pod["spec"]["containers"]]


def variables(pod: Any) -> dict[str, str]:
    return {item["name"]: item.get("value", "") for item in pod["spec"]["containers"][-1]["env"]}


def changed(before: str, after: str) -> tuple[list[str], list[str]]:
    """Lines that went and lines that came."""
    lines = list(difflib.ndiff(before.splitlines(), after.splitlines()))
    return [line[2:] for line in lines if line.startswith("- ")], [line[2:] for line in lines if line.startswith("+ ")]


def run(*arguments: str, stdin: str | bytes | None = None) -> Result:
    return CliRunner().invoke(app, ["kube-inject", *arguments], input=stdin)


@pytest.mark.parametrize(("kind", "version", "path"), KINDS)
def test_every_kind_of_workload(kind: str, version: str, path: tuple[str, ...]) -> None:
    before = workload(kind, version, path)
    result = inject_text(before, "web.yaml", Settings())
    assert result.errors == []
    assert ["a Job ends when its last" in line for line in result.warnings] == [True] * kind.endswith("Job")
    pod = at(yaml.safe_load(result.text), path)
    assert names(pod) == ["app", "istio-proxy"]
    owner = f"kubernetes://apis/{version}/namespaces/shop/{kind.lower()}s/web"
    assert variables(pod)["ISTIO_META_OWNER"] == owner
    went, _ = changed(before, result.text)
    assert [line.strip() for line in went] == [
        "labels: {app: web}   # in flow",
        "path:   /ok",
        "port: http   # by name",
    ]
    assert inject_text(result.text, "web.yaml", Settings()).text == result.text


def test_lines_that_change_keep_their_comments() -> None:
    text = inject_text(workload(), "web.yaml", Settings()).text
    assert "          path:   /app-health/app/livez\n          port: 15020   # by name\n" not in text
    lines = {line.strip() for line in text.splitlines()}
    assert "path:   /app-health/app/livez" in lines
    assert "port: 15020   # by name" in lines
    assert any(line.startswith("labels: {app: web, ") and line.endswith("}   # in flow") for line in lines)


def test_a_pod_and_a_list_and_several_documents() -> None:
    pod = f"apiVersion: v1\nkind: Pod\n{POD.replace('metadata:', 'metadata:' + chr(10) + '  name: one', 1)}"
    item = indented(workload(), 2)[2:]
    other = "- apiVersion: v1\n  kind: Service\n  metadata: {name: web}\n"
    text = f"# head\n---\n{pod}---\napiVersion: v1\nkind: List\nitems:\n- {item}{other}"
    text += "---\n# nothing here\n---\nkind: Other\n"
    result = inject_text(text, "all.yaml", Settings())
    assert (result.warnings, result.errors) == ([], [])
    documents = list(yaml.safe_load_all(result.text))
    assert names(documents[0]) == ["app", "istio-proxy"]
    assert variables(documents[0])["ISTIO_META_WORKLOAD_NAME"] == "one"
    assert names(documents[1]["items"][0]["spec"]["template"]) == ["app", "istio-proxy"]
    assert result.text.endswith(f"{other}---\n# nothing here\n---\nkind: Other\n")
    assert result.text.startswith("# head\n---\napiVersion: v1\nkind: Pod\n")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", ""),
        ("# only a comment\n", ""),
        ("kind: ConfigMap\napiVersion: v1\ndata: {a:   'b'}  # c\n", ""),
        ("- 1\n-   2\n", ""),
        ("apiVersion: example.com/v1\nkind: Deployment\nspec: {template: {spec: {}}}\n", ""),
        (workload().replace("serviceAccountName: web", "hostNetwork: true"), "uses the network of its node"),
        (workload().replace("{app: web}", '{sidecar.istio.io/inject: "false"}'), "label sidecar.istio.io/inject=false"),
        (workload().replace("namespace: shop", "namespace: kube-system"), "kube-system are never injected"),
    ],
)
def test_what_gets_no_sidecar_stays_byte_for_byte(text: str, reason: str) -> None:
    for form in (text, text.replace("\n", "\r\n"), text.removesuffix("\n")):
        result = inject_text(form, "f.yaml", Settings())
        assert result.text == form
        assert result.errors == []
        assert len(result.warnings) == bool(reason)
        assert reason in "".join(result.warnings)


def test_line_breaks_of_windows_stay() -> None:
    text = inject_text(workload().replace("\n", "\r\n"), "f.yaml", Settings()).text
    assert text.count("\n") == text.count("\r\n")
    assert names(yaml.safe_load(text)["spec"]["template"]) == ["app", "istio-proxy"]


def test_no_newline_at_the_end() -> None:
    text = inject_text(workload().removesuffix("\n"), "f.yaml", Settings()).text
    assert names(yaml.safe_load(text)["spec"]["template"]) == ["app", "istio-proxy"]


def test_json_comes_out_as_json() -> None:
    text = '{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [{"name": "app"}]}}'
    result = inject_text(text, "f.json", Settings())
    assert names(yaml.safe_load(result.text)) == ["app", "istio-proxy"]
    assert result.text.startswith('{\n  "apiVersion": "v1"')


def test_a_native_sidecar_and_a_held_application_go_first_and_comments_stay_with_their_items() -> None:
    before = workload().replace(
        "      # the application\n", "      initContainers:\n        # migrates\n        - name: migrate\n"
    )
    native = inject_text(before, "f.yaml", Settings(native_sidecars=True)).text
    starting = yaml.safe_load(native)["spec"]["template"]["spec"]["initContainers"]
    assert [container["name"] for container in starting] == ["istio-init", "istio-proxy", "migrate"]
    assert "        # migrates\n        - name: migrate\n" in native
    held = read_settings(mesh="defaultConfig: {holdApplicationUntilProxyStarts: true}")
    text = inject_text(before, "f.yaml", held).text
    assert names(yaml.safe_load(text)["spec"]["template"]) == ["istio-proxy", "app"]
    assert "      # is this\n      - name: app\n" in text


def test_empty_values_and_the_authors_own_proxy() -> None:
    own = "  - name: istio-proxy\n    image: auto\n    env:\n    # how loud\n    - {name: A, value: '1'}\n"
    before = workload().replace("labels: {app: web}   # in flow", "labels:\n      annotations: {}")
    before = before.replace("      volumes:", indented(own, 4) + "      volumes:")
    result = inject_text(before, "f.yaml", Settings())
    assert (result.warnings, result.errors) == ([], [])
    pod = yaml.safe_load(result.text)["spec"]["template"]
    assert pod["metadata"]["labels"]["service.istio.io/canonical-name"] == "web"
    assert variables(pod)["A"] == "1"
    assert "# how loud\n" in result.text
    assert inject_text(result.text, "f.yaml", Settings()).text == result.text


def test_a_change_in_a_shared_value_writes_the_document_anew_and_says_so() -> None:
    text = workload().replace("      - name: app\n", "      - &app\n        name: app\n", 1)
    text += "  other: [*app]\n"
    before = "kind: Other  # kept\n---\n"
    result = inject_text(before + text, "f.yaml", Settings())
    assert "f.yaml:3: the document is written anew, without comments: the value is used in several places" in str(
        result.warnings
    )
    documents = list(yaml.safe_load_all(result.text))
    assert names(documents[1]["spec"]["template"]) == ["app", "istio-proxy"]
    assert documents[1]["spec"]["other"][0]["livenessProbe"]["httpGet"]["port"] == "http"
    assert result.text.startswith(before)


def test_every_mistake_is_told_with_its_place() -> None:
    bad = workload().replace(
        "{app: web}   # in flow", '{app: web}\n      annotations: {sidecar.istio.io/proxyCPU: "x"}'
    )
    result = inject_text(f"{bad}---\n{bad.replace('name: web', 'name: api', 1)}", "f.yaml", Settings())
    assert [error.split(": annotation")[0] for error in result.errors] == [
        "f.yaml:7: Deployment shop/web",
        "f.yaml:38: Deployment shop/api",
    ]
    assert "f.yaml:3: this is not YAML" in inject_text("a: 1\nb: [\n", "f.yaml", Settings()).errors[0]


def test_the_command(tmp_path: Path) -> None:
    file, output = tmp_path / "web.yaml", tmp_path / "out.yaml"
    file.write_bytes(workload().encode())
    expected = inject_text(workload(), "web.yaml", Settings()).text
    assert (run("-f", str(file)).exit_code, run("-f", str(file)).stdout) == (0, expected)
    assert run("-f", "-", stdin=workload()).stdout == expected
    assert run("-f", str(file), "-o", str(output)).stdout == ""
    assert output.read_text() == expected
    both = run("-f", str(file), "-f", str(file)).stdout
    assert both == f"{expected}---\n{expected}"


def test_options(tmp_path: Path) -> None:
    values, mesh, inject = (tmp_path / name for name in ("values.yaml", "mesh.yaml", "inject.yaml"))
    values.write_text("global: {hub: registry.example, tag: v9}")
    mesh.write_text("defaultConfig: {discoveryAddress: 'pilot.mesh:15010'}")
    inject.write_text("policy: disabled\ndefaultTemplates: [sidecar, more]\n"
                      "templates: {more: 'metadata: {annotations: {more: \"{{ revision }}\"}}'}\n")  # fmt: skip
    arguments = ["--values", str(values), "--mesh-config", str(mesh), "--inject-config", str(inject), "-r", "canary"]
    pod = yaml.safe_load(run("-f", "-", *arguments, stdin=workload()).stdout)["spec"]["template"]
    assert pod["spec"]["containers"][-1]["image"] == "registry.example/proxy:v9"
    assert variables(pod)["MIZZEN_PROXY_DISCOVERY_ADDRESS"] == "pilot.mesh:15010"
    assert pod["metadata"]["annotations"]["more"] == "canary"


def test_failures_of_the_command_print_no_yaml(tmp_path: Path) -> None:
    for arguments, message in (
        (("-f", str(tmp_path / "none.yaml")), "Cannot read"),
        (("-f", "-", "--values", str(tmp_path / "none.yaml")), "Cannot read"),
        (("-f", "-"), "stdin"),
    ):
        result = run(*arguments, stdin="a: [")
        assert (result.exit_code, result.stdout, message in str(result.exception)) == (1, "", True)
    (tmp_path / "values.yaml").write_text("global: {tag: [1]}")
    result = run("-f", "-", "--values", str(tmp_path / "values.yaml"), stdin="")
    assert "values: global.tag: must be text, got a list" in str(result.exception)
    assert run("--no-such-option").exit_code == 2


KEYS = st.sampled_from(["a", "b", "name", "c d", "on", "1"])
SCALARS = (
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(["", "x", "a: b", "- x", "# no", "a\nb\n", "é"])
)
VALUES = st.recursive(
    SCALARS, lambda some: st.lists(some, max_size=3) | st.dictionaries(KEYS, some, max_size=3), max_leaves=12
)
STYLES = st.fixed_dictionaries(
    {"default_flow_style": st.sampled_from([None, False]), "indent": st.sampled_from([2, 4])}
)


@settings(max_examples=300, deadline=None)
@given(
    st.dictionaries(KEYS, VALUES, min_size=1, max_size=3), st.dictionaries(KEYS, VALUES, max_size=3), STYLES, st.data()
)
def test_a_spliced_text_reads_as_the_new_value(old: Any, new: Any, style: Any, data: st.DataObject) -> None:
    new = {key: data.draw(st.sampled_from([value, old.get(key)])) for key, value in new.items()}
    text = yaml.safe_dump(old, allow_unicode=True, sort_keys=False, **style)
    lines = text.splitlines(keepends=True)
    if data.draw(st.booleans()) and "|" not in text and "'" not in text and '"' not in text:
        text = "".join(f"{'# note' + chr(10) if n % 2 else ''}{line}" for n, line in enumerate(lines))
    documents = list(read(text))
    assume(len(documents) == 1 and documents[0].error is None)
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    try:
        edits = spliced(text, node, documents[0].value, new)
    except CannotSplice:
        return
    result = list(read(applied(text, edits)))
    assert [document.value for document in result] == [new], applied(text, edits)
    if documents[0].value == new:
        assert edits == []
