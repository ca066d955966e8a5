from __future__ import annotations

import io
import tarfile

import pytest
from images.compare import contents, differences


def archive(content: bytes = b"x", **changes: object) -> io.BytesIO:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        file = tarfile.TarInfo("etc/file")
        file.size = len(content)
        for name, value in changes.items():
            setattr(file, name, value)
        tar.addfile(file, io.BytesIO(content))
        link = tarfile.TarInfo("etc/link")
        link.type, link.linkname = tarfile.SYMTYPE, "file"
        tar.addfile(link)
    out.seek(0)
    return out


def test_time_stamps_are_no_difference() -> None:
    assert differences(contents(archive(mtime=1)), contents(archive(mtime=2))) == []


@pytest.mark.parametrize(
    ("other", "line"),
    [
        (archive(b"y"), "etc/file: content"),
        (archive(mode=0o4755), "etc/file: mode"),
        (archive(uid=1337), "etc/file: owner"),
        (archive(b"y", gid=1337), "etc/file: owner, content"),
    ],
)
def test_a_file_that_differs_is_named_with_what_differs(other: io.BytesIO, line: str) -> None:
    assert differences(contents(archive()), contents(other)) == [line]


def test_a_file_that_one_build_lacks_is_named() -> None:
    moved = archive(name="etc/other")
    assert differences(contents(archive()), contents(moved)) == [
        "etc/file: only in the first",
        "etc/other: only in the second",
    ]
