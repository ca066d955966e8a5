from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from images.docker import Platform, version_numbers
from images.wheels import PACKAGES, digest, not_compiled, this_machine

REPOSITORY = Path(__file__).parents[2]
IMAGE = Platform("3.11.2", "glibc", (2, 36), "x86_64")


@pytest.mark.parametrize(
    ("host", "compiler", "reason"),
    [
        (IMAGE, True, ""),
        (replace(IMAGE, python="3.11.14"), True, ""),
        (replace(IMAGE, libc_version=(2, 31)), True, ""),
        (IMAGE, False, "there is no C compiler (cc)"),
        (replace(IMAGE, python="3.12.1"), True, "this is Python 3.12, the image has 3.11"),
        (replace(IMAGE, machine="aarch64"), True, "this is aarch64, the image is for x86_64"),
        (replace(IMAGE, libc_version=(2, 39)), True, "this machine's glibc 2.39 is newer than the image's glibc 2.36"),
        (replace(IMAGE, libc="", libc_version=()), True, "this machine's libc  is newer than the image's glibc 2.36"),
    ],
)
def test_the_proxy_is_compiled_only_where_the_result_runs_in_the_image(
    host: Platform, compiler: bool, reason: str
) -> None:
    assert not_compiled(host, IMAGE, compiler) == reason


def test_this_machine_is_described_as_an_image_is() -> None:
    here = this_machine()
    assert here.python.startswith(f"{here.python_version}.")
    assert here.machine


def test_version_numbers_leave_out_what_is_no_number() -> None:
    assert version_numbers("2.36") == (2, 36)
    assert version_numbers("") == ()


def test_every_package_is_where_it_is_said_to_be() -> None:
    for name, folder in PACKAGES.items():
        project = (REPOSITORY / folder / "pyproject.toml").read_text()
        assert f'name = "{name.replace("_", "-")}"' in project


class TestDigest:
    @pytest.fixture
    def package(self, tmp_path: Path) -> Path:
        for name in (
            "src/mizzen/a.py",
            "pyproject.toml",
            "tests/test_a.py",
            "src/mizzen/__pycache__/a.pyc",
            "src/a_pb2.py",
        ):
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("one")
        return tmp_path

    @pytest.mark.parametrize("name", ["src/mizzen/a.py", "pyproject.toml", "src/mizzen/new.py"])
    def test_changes_with_what_is_packed(self, package: Path, name: str) -> None:
        before = digest(package, "")
        (package / name).write_text("two")
        assert digest(package, "") != before

    @pytest.mark.parametrize("name", ["tests/test_a.py", "src/mizzen/__pycache__/a.pyc", "src/a_pb2.py"])
    def test_stays_with_what_is_not(self, package: Path, name: str) -> None:
        before = digest(package, "")
        (package / name).write_text("two")
        assert digest(package, "") == before

    def test_tells_compiled_from_plain(self, package: Path) -> None:
        assert digest(package, "3.11 True") != digest(package, "3.11 False")
