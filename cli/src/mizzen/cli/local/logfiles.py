"""Log files that stay small."""

from __future__ import annotations

import shutil
from pathlib import Path

MAX_BYTES = 8 * 1024 * 1024


def begin_logs(folder: Path) -> None:
    """Start with empty logs: they tell of this mesh, not of an earlier one."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in folder.glob("*.log*"):
        file.unlink(missing_ok=True)


def cap_logs(folder: Path, limit: int = MAX_BYTES) -> list[Path]:
    """Move what a log over the limit holds to `<name>.1`, replacing that; the files that were cut.

    Copied and truncated, because the process keeps its file open for appending: a line written in between is lost.
    """
    cut = []
    for file in folder.glob("*.log"):
        if file.stat().st_size > limit:
            shutil.copyfile(file, file.with_name(f"{file.name}.1"))
            with file.open("r+b") as log:
                log.truncate(0)
            cut.append(file)
    return cut
