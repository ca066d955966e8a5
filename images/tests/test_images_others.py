from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from images.docker import ImageError, Platform
from images.others import constraints, missing, platform_tags, requirements

IMAGE = Platform("3.11.2", "glibc", (2, 36), "x86_64")


@pytest.mark.parametrize(
    ("requirement", "lacking"),
    [
        ("async-timeout>=4.0.3; python_full_version < '3.11.3'", ["async-timeout>=4.0.3"]),
        ("async-timeout>=4.0.3; python_full_version >= '3.11.3'", []),
        ("tomli; python_version < '3.11'", []),
        ("colorama; sys_platform == 'win32'", []),
        ("hiredis>=3; extra == 'hiredis'", []),
        ("typing-extensions>=4.12", []),
        ("PyYAML", ["PyYAML"]),
    ],
)
def test_what_holds_in_the_image_must_be_there(requirement: str, lacking: list[str]) -> None:
    assert missing([requirement, requirement], ["typing_extensions"], IMAGE) == lacking


def test_tags_reach_from_the_images_glibc_to_the_oldest() -> None:
    tags = platform_tags(IMAGE)
    assert tags[0] == "manylinux_2_36_x86_64"
    assert "manylinux_2_37_x86_64" not in tags
    assert {"manylinux_2_17_x86_64", "manylinux_2_5_x86_64", "manylinux2014_x86_64", "linux_x86_64"} <= set(tags)


def test_an_image_without_glibc_is_refused() -> None:
    with pytest.raises(ImageError, match="BASE_IMAGE must have glibc"):
        platform_tags(Platform("3.11.2", "", (), "x86_64"))


def test_requirements_are_read_from_the_metadata_of_wheels(tmp_path: Path) -> None:
    wheel = tmp_path / "a-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("a-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: a\nVersion: 1\nRequires-Dist: b>=2\n")
    assert requirements([wheel]) == ["b>=2"]


def test_versions_are_those_installed_here_without_our_own() -> None:
    pins = list(constraints())
    assert f"pytest=={pytest.__version__}" in pins
    assert not [pin for pin in pins if pin.startswith("mizzen")]
