"""Writes who called what into a file, a line of JSON each."""

import json
from collections.abc import Sequence
from pathlib import Path

from mizzen.mixer.adapters.python import adapter
from mizzen.mixer.templates import LogEntry


@adapter(template="logentry")
class Audit:
    def __init__(self, params: dict) -> None:
        self.file = Path(params["path"]).open("a")

    def report(self, entries: Sequence[LogEntry]) -> None:
        for entry in entries:
            line = {"time": entry.timestamp.isoformat(), **entry.variables}
            self.file.write(json.dumps(line, default=str) + "\n")
        self.file.flush()

    def close(self) -> None:
        self.file.close()
