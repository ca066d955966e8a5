"""Files that are never seen half written."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write_atomic(path: Path, content: str | bytes, mode: int = 0o644) -> None:
    """Put `content` at `path`: a reader sees the old file or the new one, also when this process dies.

    The temporary file lies beside it under a name that begins with a dot, which folder watchers leave out.
    Creates missing parent folders. Raises OSError.
    """
    data = content.encode() if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            os.fchmod(file.fileno(), mode)
        os.replace(temporary, path)  # noqa: PTH105 - both are paths of one folder already
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
