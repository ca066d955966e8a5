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


HANDWRITTEN = """\
# Everything of the shop.

---
# The front.
{a}# after a
--- # the back
# Careful: {{odd}} comment.
apiVersion: v1
kind: Service
metadata: {{name: b}}   # the second

spec:
  ports: [{{port:   80}}]

---

# Settings that are no resource of ours yet.
---
{c}"""
PARTS = {name: service(name) for name in "ac"}


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("act", ["delete", "apply"])
def test_the_text_beside_a_resource_stays_as_it_is(tmp_path: Path, newline: str, act: str) -> None:
    file = tmp_path / "shop.yaml"
    text = HANDWRITTEN.format(**PARTS).replace("\n", newline)
    before, rest = text.split(f"---{newline}# The front.", 1)
    after = rest[rest.index("--- # the back") :]
    file.write_bytes(text.encode())
    if act == "delete":
        ConfigStore(tmp_path).delete([KEY])
    else:
        ConfigStore(tmp_path).write(resources(service("a", 8)))
    assert file.read_bytes().decode() == before + after
    names = {key.name for key in ConfigStore(tmp_path).read()}
    assert names == ({"b", "c"} if act == "delete" else {"a", "b", "c"})


def test_the_last_and_the_first_document_go_as_well(tmp_path: Path) -> None:
    file = tmp_path / "all.yaml"
    file.write_text(f"%YAML 1.1\n---\n{service('a')}---\n# two\n{service('b')}---\n{service('c')}")
    store = ConfigStore(tmp_path)
    store.delete([KEY])
    assert file.read_text() == f"%YAML 1.1\n---\n# two\n{service('b')}---\n{service('c')}"
    store.delete([ResourceKey("Service", "default", "c")])
    assert file.read_text() == f"%YAML 1.1\n---\n# two\n{service('b')}"
    store.delete([ResourceKey("Service", "default", "b")])
    assert not file.exists()


def test_of_a_list_the_other_items_stay(tmp_path: Path) -> None:
    items = "".join(
        f"- {{apiVersion: v1, kind: Service, metadata: {{name: {n}}}, spec: {{ports: [{{port: 80}}]}}}}\n" for n in "ab"
    )
    (tmp_path / "list.yaml").write_text(
        f"# top\n---\nkind: List\napiVersion: v1\nitems:\n{items}---\n# c\n{service('c')}"
    )
    ConfigStore(tmp_path).delete([KEY])
    assert {key.name for key in ConfigStore(tmp_path).read()} == {"b", "c"}
    text = (tmp_path / "list.yaml").read_text()
    assert text.startswith("# top\n---\n")
    assert text.endswith(f"---\n# c\n{service('c')}")


def test_what_stands_in_the_file_of_a_resource_is_not_lost(tmp_path: Path) -> None:
    file = tmp_path / "default" / "Service-a.yaml"
    file.parent.mkdir()
    file.write_text(f"# mine\n{service('b')}---\n{service('a')}")
    store = ConfigStore(tmp_path)
    store.write(resources(service("a", 8)))
    assert file.read_text().startswith(f"# mine\n{service('b')}---\n")
    assert {key.name: item.spec.ports[0].port for key, item in store.read().items()} == {"a": 8, "b": 80}
    store.write(resources(service("a", 9)))
    assert {key.name: item.spec.ports[0].port for key, item in store.read().items()} == {"a": 9, "b": 80}


def test_a_resource_that_a_file_has_twice_goes_as_a_whole(tmp_path: Path) -> None:
    (tmp_path / "twice.yaml").write_text(f"{service('a')}---\n{service('b')}---\n{service('a', 2)}")
    ConfigStore(tmp_path).delete([KEY])
    assert (tmp_path / "twice.yaml").read_text() == f"---\n{service('b')}"


def test_applying_mends_a_file_that_went_bad(tmp_path: Path) -> None:
    file = tmp_path / "default" / "Service-a.yaml"
    file.parent.mkdir()
    file.write_text("kind: [Serv")
    ConfigStore(tmp_path).write(resources(service("a", 8)))
    assert [item.spec.ports[0].port for item in ConfigStore(tmp_path).read().values()] == [8]


def secret(value: str) -> str:
    return f"apiVersion: v1\nkind: Secret\nmetadata: {{name: a}}\nstringData: {{tls.key: {value}}}\n"


def test_a_secret_is_for_its_owner_alone_and_a_changed_value_is_a_change(tmp_path: Path) -> None:
    store = ConfigStore(tmp_path)
    assert [outcome for _, outcome in store.write(resources(secret("one")))] == ["created"]
    file = tmp_path / "default" / "Secret-a.yaml"
    assert file.stat().st_mode & 0o777 == 0o600
    assert [outcome for _, outcome in store.write(resources(secret("two")))] == ["configured"]
    assert [outcome for _, outcome in store.write(resources(secret("two")))] == ["unchanged"]
    (found,) = store.read().values()
    assert found.spec.value("tls.key") == b"two"
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_private_file_stays_private_when_something_else_in_it_changes(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(f"{service('a')}---\n{secret('one')}")
    file.chmod(0o600)
    ConfigStore(tmp_path).delete([KEY])
    assert file.stat().st_mode & 0o777 == 0o600
    assert "one" in file.read_text()
