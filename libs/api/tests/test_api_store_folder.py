"""Contents of files to resources, the last good version of what is broken, and the order of precedence."""

import pytest

from mizzen.api.resource import ResourceKey
from mizzen.api.store.contents import Contents, changed_keys, merge
from mizzen.api.store.folder import Folder, Unreadable
from mizzen.pilot.ingest.config.files import config_of
from mizzen.pilot.ingest.registry.files import registry_of


def gateway(name: str, port: int = 80, extra: str = "") -> str:
    return f"""
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: {name}}}
spec:
  selector: {{istio: ingressgateway}}
  servers:
  - port: {{number: {port}, name: http, protocol: HTTP}}
    hosts: ["*"]
    {extra}
"""


SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: reviews}
spec:
  ports: [{port: 9080, name: http}]
"""
BAD = "nonsense: true"


def key(name: str) -> ResourceKey:
    return ResourceKey("Gateway", "default", name)


def ports(contents: Contents) -> dict[str, int]:
    """Names of gateways with the port that is in use."""
    return {key.name: resource.spec.servers[0].port.number for key, resource in contents.resources.items()}


def test_a_broken_resource_keeps_its_last_good_version_and_harms_no_other() -> None:
    folder = Folder()
    folder.apply({"a.yaml": gateway("x") + "---" + gateway("y"), "b.yaml": gateway("z")})
    contents = folder.apply({"a.yaml": gateway("x", 81, BAD) + "---" + gateway("y", 82)})
    assert ports(contents) == {"x": 80, "y": 82, "z": 80}
    [problem] = contents.problems
    assert (problem.resource, problem.path) == ("Gateway default/x", "spec.servers[0].nonsense")
    contents = folder.apply({"a.yaml": gateway("x", 83) + "---" + gateway("y", 82)})
    assert ports(contents) == {"x": 83, "y": 82, "z": 80}
    assert contents.problems == ()


def test_the_last_good_version_survives_any_number_of_bad_ones() -> None:
    folder = Folder()
    folder.apply({"a.yaml": gateway("x")})
    for bad in (gateway("x", 81, BAD), "kind: [", Unreadable("Permission denied"), gateway("x", 82, BAD)):
        contents = folder.apply({"a.yaml": bad})
        assert ports(contents) == {"x": 80}
        assert len(contents.problems) == 1


def test_a_resource_that_is_bad_from_the_start_is_only_a_problem() -> None:
    contents = Folder().apply({"a.yaml": gateway("x", 80, BAD) + "---" + gateway("y")})
    assert ports(contents) == {"y": 80}
    assert [problem.resource for problem in contents.problems] == ["Gateway default/x"]


@pytest.mark.parametrize(
    ("state", "left"),
    [
        (None, {}),
        ("", {}),
        (gateway("y"), {"y": 80}),
        ("kind: [", {"x": 80, "y": 80}),
        (gateway("y", 81) + "---\nkind: [", {"x": 80, "y": 81}),
        ("apiVersion: networking.istio.io/v1\nkind: Gateway\nspec: {}", {"x": 80, "y": 80}),
    ],
    ids=["deleted", "emptied", "one-taken-out", "no-yaml", "half-yaml", "nameless"],
)
def test_what_remains_of_a_file_with_x_and_y(state: str | None, left: dict[str, int]) -> None:
    folder = Folder()
    folder.apply({"a.yaml": gateway("x") + "---" + gateway("y")})
    assert ports(folder.apply({"a.yaml": state})) == left


def test_the_first_path_wins_and_the_second_is_a_problem() -> None:
    folder = Folder()
    contents = folder.apply({"b.yaml": gateway("x", 82), "a.yaml": gateway("x", 81)})
    assert ports(contents) == {"x": 81}
    [problem] = contents.problems
    assert str(problem.source).startswith("b.yaml")
    assert "a.yaml" in problem.message
    assert ports(folder.apply({"a.yaml": None})) == {"x": 82}


def test_a_good_version_elsewhere_goes_before_a_last_good_one() -> None:
    folder = Folder()
    folder.apply({"a.yaml": gateway("x", 81)})
    contents = folder.apply({"a.yaml": gateway("x", 81, BAD), "b.yaml": gateway("x", 82)})
    assert ports(contents) == {"x": 82}


def test_the_first_store_wins() -> None:
    first, second = Folder().apply({"c/a.yaml": gateway("x", 81)}), Folder().apply({"r/a.yaml": gateway("x", 82)})
    merged = merge([first, second])
    assert ports(merged) == {"x": 81}
    assert [str(problem.source) for problem in merged.problems] == ["r/a.yaml:2"]


def test_changed_keys_are_those_whose_meaning_changed() -> None:
    folder = Folder()
    before = folder.apply({"a.yaml": gateway("x") + "---" + gateway("y")})
    after = folder.apply({"a.yaml": "# moved down\n" + gateway("x") + "---" + gateway("z")})
    assert changed_keys(before, after) == {key("y"), key("z")}


def test_config_and_registry_are_told_apart_by_kind() -> None:
    contents = Folder().apply({"a.yaml": gateway("x") + "---" + SERVICE})
    assert [resource.id for resource in config_of(contents)] == ["Gateway default/x"]
    assert [resource.id for resource in registry_of(contents).resources] == ["Service default/reviews"]
