"""The watcher on a real folder."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from mizzen.api.resource import ResourceKey
from mizzen.api.store.watch import FolderStore


def write_atomic(path: Path, text: str | bytes) -> None:
    """As editors and `mizzen apply` do: a reader sees the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.tmp")
    beside.write_bytes(text.encode() if isinstance(text, str) else text)
    os.replace(beside, path)  # noqa: PTH105 - both are paths already


TEXT = """
apiVersion: v1
kind: Namespace
metadata: {{name: {name}, labels: {{version: "{version}"}}}}
"""


def key(name: str) -> ResourceKey:
    return ResourceKey("Namespace", "", name)


class Watched:
    """A folder with a store that follows it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.store = FolderStore(root)
        self._reports: asyncio.Queue[frozenset[ResourceKey]] = asyncio.Queue()

    async def follow(self) -> None:
        await self.store.watch(self._reports.put_nowait)

    def write(self, path: str, name: str, version: str) -> None:
        write_atomic(self.root / path, TEXT.format(name=name, version=version))

    async def until(self, condition: Callable[[dict[str, str]], bool]) -> None:
        """Wait for reports until the versions by name are as they should be."""
        async with asyncio.timeout(20):
            while not condition(self.versions()):
                await self._reports.get()

    def versions(self) -> dict[str, str]:
        return {k.name: r.metadata.labels["version"] for k, r in self.store.contents.resources.items()}


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncIterator[Watched]:
    watched = Watched(tmp_path / "config")
    watched.write("a.yaml", "a", "1")
    await watched.store.load()
    task = asyncio.ensure_future(watched.follow())
    yield watched
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_load_creates_the_folder(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "not" / "there")
    await store.load()
    assert store.root.is_dir()
    assert store.contents.resources == {}


async def test_files_come_change_and_go(watched: Watched) -> None:
    assert watched.versions() == {"a": "1"}
    watched.write("deep/er/b.yml", "b", "1")
    await watched.until(lambda now: now == {"a": "1", "b": "1"})
    watched.write("a.yaml", "a", "2")
    await watched.until(lambda now: now["a"] == "2")
    (watched.root / "a.yaml").unlink()
    await watched.until(lambda now: now == {"b": "1"})
    (watched.root / "deep").rename(watched.root / "moved")
    (watched.root / "moved" / "er" / "b.yml").write_text(TEXT.format(name="b", version="2"))
    await watched.until(lambda now: now == {"b": "2"})


async def test_hidden_and_foreign_files_are_left_out(watched: Watched) -> None:
    watched.write(".hidden.yaml", "hidden", "1")
    watched.write(".git/x.yaml", "git", "1")
    watched.write("notes.txt", "notes", "1")
    watched.write("z.yaml", "z", "1")
    await watched.until(lambda now: now == {"a": "1", "z": "1"})


async def test_bytes_that_are_no_text_keep_the_last_good_version(watched: Watched) -> None:
    write_atomic(watched.root / "a.yaml", b"\xff\xfe\x00")
    watched.write("b.yaml", "b", "1")
    await watched.until(lambda now: now == {"a": "1", "b": "1"})
    assert "cannot be read" in str(watched.store.contents.problems[0])


async def test_a_folder_that_is_gone_keeps_its_contents_and_is_found_again(watched: Watched) -> None:
    away = watched.root.with_name("away")
    watched.root.rename(away)
    await asyncio.to_thread(watched.store._changes, frozenset())
    assert watched.versions() == {"a": "1"}
    watched.write("c.yaml", "c", "1")
    await watched.until(lambda now: now == {"c": "1"})
    watched.write("c.yaml", "c", "2")
    await watched.until(lambda now: now == {"c": "2"})
