"""Values of the chart: each is described, documented, valid, and changes something."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from kube.harness.values import UNSET, Value, defaults, described, merged, schema, table, tree, values
from support.kube.cluster import Refused, helm, template
from support.kube.programs import CHART, REPOSITORY

DOCUMENT = REPOSITORY / "docs/install/kubernetes.md"


def _everything(on: bool) -> dict[str, Any]:
    """All that can be enabled, or only autoscaling off: some values count in one case, some in the other."""
    switches = [value.path for value in values() if value.path.endswith(".enabled")]
    chosen = [path for path in switches if on or path.endswith("autoscale.enabled")]
    return merged(*(tree(path, on) for path in chosen))


def _render(folder: Path, *given: dict[str, Any]) -> str:
    file = folder / "values.json"
    file.write_text(json.dumps(merged(*given)))
    return helm("template", "mizzen", str(CHART), "--namespace=istio-system", f"--values={file}")


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[dict[str, Any], str]]:
    """Values to start from, and what they render to."""
    folder = tmp_path_factory.mktemp("bases")
    return [(given, _render(folder, given)) for given in (_everything(True), _everything(False))]


@pytest.mark.parametrize("value", values(), ids=lambda value: value.path)
def test_kube_each_value_changes_what_is_installed(
    value: Value, bases: list[tuple[dict[str, Any], str]], tmp_path: Path
) -> None:
    change = tree(value.path, value.example)
    assert any(_render(tmp_path, given, change) != before for given, before in bases), value.example


def test_kube_each_value_is_described_and_has_a_default() -> None:
    assert [path for path, text in described(schema()) if not text.endswith((".", ":"))] == []
    unset = [value.path for value in values() if value.default is UNSET]
    assert [path for path in unset if not path.startswith("meshConfig.")] == []


def test_kube_values_of_the_schema_are_all_there_are() -> None:
    known = {path for path, _ in described(schema())}

    def paths(node: dict[str, Any], prefix: str = "") -> set[str]:
        found = set()
        for name, part in node.items():
            if (path := f"{prefix}{name}") in known:
                found |= {path} | (paths(part, f"{path}.") if isinstance(part, dict) else set())
        return found

    assert paths(defaults()) <= known
    assert set(defaults()) == set(schema()["properties"])


def test_kube_the_documents_table_is_current() -> None:
    assert table() in DOCUMENT.read_text()


@pytest.mark.parametrize(
    ("flag", "complaint"),
    [
        ("--set=pilot.replica=3", "pilot"),
        ("--set=pilot.replicas=many", "pilot.replicas|/pilot/replicas"),
        ("--set=gateways.ingress.service.type=Open", "service.type|service/type"),
        ("--set=meshConfig.acessLogFile=/dev/stdout", "meshConfig"),
        ("--set=injector.certificate.days=0", "days"),
        ("--set=revision=Not_A_Name", "revision"),
    ],
)
def test_kube_a_wrong_value_is_named(flag: str, complaint: str) -> None:
    with pytest.raises(Refused, match=complaint):
        template(flag)


def test_kube_lint_is_content() -> None:
    assert "0 chart(s) failed" in helm("lint", "--strict", str(CHART))
