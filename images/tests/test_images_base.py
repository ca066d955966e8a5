from __future__ import annotations

import os
from pathlib import Path

import pytest
from images import base, docker
from images.docker import ImageError

FAKE_DOCKER = """\
#!/bin/sh
# Knows the images in the file `images` beside it, and can pull those in `registry`.
folder=$(dirname "$0")
echo "$@" >> "$folder/calls"
for last; do :; done
case "$1 $2" in
"image inspect") grep -qx "$last" "$folder/images" ;;
"pull --quiet") grep -qx "$last" "$folder/registry" || { echo "no such host" >&2; exit 1; } ;;
"import --change") echo "$last" >> "$folder/images" ;;
*) echo "unexpected: $*" >&2; exit 3 ;;
esac
"""


class Engine:
    """A `docker` command that answers from files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        program = folder / "docker"
        program.write_text(FAKE_DOCKER)
        program.chmod(0o755)
        self.has()
        self.registry_has()

    def has(self, *images: str) -> None:
        (self.folder / "images").write_text("".join(f"{image}\n" for image in images))

    def registry_has(self, *images: str) -> None:
        (self.folder / "registry").write_text("".join(f"{image}\n" for image in images))

    def calls(self) -> str:
        return (self.folder / "calls").read_text()


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return Engine(folder)


def test_an_image_that_is_here_is_used_without_asking_a_registry(engine: Engine, tmp_path: Path) -> None:
    engine.has(base.DEFAULT)
    assert base.find(base.DEFAULT, tmp_path) == base.DEFAULT
    assert "pull" not in engine.calls()


def test_an_image_that_can_be_pulled_is_pulled(engine: Engine, tmp_path: Path) -> None:
    engine.registry_has("registry.example/python:3.11")
    assert base.find("registry.example/python:3.11", tmp_path) == "registry.example/python:3.11"


def test_in_place_of_the_default_comes_our_own_and_it_is_said(
    engine: Engine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.has(base.OWN)
    assert base.find(base.DEFAULT, tmp_path) == base.OWN
    said = capsys.readouterr().out
    assert f"{base.DEFAULT} is not on this machine and cannot be pulled (no such host)" in said
    assert f"Building on {base.OWN} instead" in said


def test_our_own_is_imported_from_the_cache_when_the_engine_lost_it(engine: Engine, tmp_path: Path) -> None:
    tar = tmp_path / f"{base.SUITE}-{os.uname().machine}.tar"
    tar.touch()
    assert base.find(base.DEFAULT, tmp_path) == base.OWN
    assert f"{tar} {base.OWN}" in engine.calls()


def test_nothing_takes_the_place_of_an_image_that_was_asked_for(engine: Engine, tmp_path: Path) -> None:
    engine.has(base.OWN)
    with pytest.raises(
        ImageError, match=r"BASE_IMAGE python:3\.12 is not on this machine and cannot be pulled: no such"
    ):
        base.find("python:3.12", tmp_path)


def test_without_a_docker_command_the_error_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ImageError, match="there is no command `docker`"):
        docker.require_engine()
