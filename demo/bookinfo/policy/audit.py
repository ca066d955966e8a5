"""Writes who called what into a file, a line of JSON each."""

import json
from collections.abc import Sequence
from pathlib import Path

from mizzen.mixer.adapters.python import adapter
from mizzen.mixer.templates import LogEntry


@adapter(template="logentry")
class Audit:
    def __init__(self, params: dict) -> None:
        self.path = Path(params["path"])

    def report(self, entries: Sequence[LogEntry]) -> None:
        with self.path.open("a") as file:
            for entry in entries:
                line = {"time": entry.timestamp.isoformat(), **entry.variables}
                file.write(json.dumps(line, default=str) + "\n")
