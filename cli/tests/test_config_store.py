"""The store of applied configuration, and what a person's hand may leave in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mizzen.api.parse import parse
from mizzen.api.resource import Resource, ResourceKey
from mizzen.cli.errors import UserError
from mizzen.cli.store import ConfigStore

KEY = ResourceKey("Service", "default", "a")


def service(name: str, port: int = 80) -> str:
    return f"apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{ports: [{{port: {port}}}]}}\n"


def resources(text: str) -> tuple[Resource, ...]:
    return parse(text).resources


def test_of_two_files_with_one_resource_the_first_by_path_counts(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(service("a", 1))
    (tmp_path / "b.yaml").write_text(service("a", 2))
    (found,) = ConfigStore(tmp_path).read().values()
    assert found.spec.ports[0].port == 1


def test_what_shares_a_file_with_a_broken_document_is_left_to_its_author(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(service("a") + "---\napiVersion: v1\nkind: Service\nmetadata: {}\n")
    for act in (lambda store: store.delete([KEY]), lambda store: store.write(resources(service("a", 9)))):
        with pytest.raises(UserError, match="beside documents that cannot be read"):
            act(ConfigStore(tmp_path))
    assert "metadata: {}" in file.read_text()


def test_a_file_that_is_no_text_hides_no_other(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "b.yaml").write_text(service("a"))
    assert list(ConfigStore(tmp_path).read()) == [KEY]


def test_a_resource_moves_from_a_shared_file_to_its_own(tmp_path: Path) -> None:
    (tmp_path / "all.yaml").write_text(service("a") + "---\n" + service("b"))
    ((_, outcome),) = ConfigStore(tmp_path).write(resources(service("a", 8)))
    assert outcome == "configured"
    assert {key.name for key in ConfigStore(tmp_path).read()} == {"a", "b"}
    assert "name: a" not in (tmp_path / "all.yaml").read_text()
