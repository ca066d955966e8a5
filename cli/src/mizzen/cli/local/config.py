"""The folder of applied configuration, as the supervisor reads it: a file that turns bad keeps what it said before."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from mizzen.api.parse import parse
from mizzen.api.problem import Problem
from mizzen.api.resource import Resource


@dataclass(slots=True)
class _File:
    stamp: tuple[int, int]
    """Modification time and size: equal ones mean an unread file."""
    resources: tuple[Resource, ...]
    problems: tuple[Problem, ...]


@dataclass(slots=True)
class ConfigFolder:
    """All resources below a folder. An editor's half-written file must not stop the workloads it describes."""

    path: Path
    _files: dict[Path, _File] = field(default_factory=dict)

    def load(self) -> None:
        """Read what is new or changed, forget what is gone."""
        seen: dict[Path, _File] = {}
        for path in sorted(self.path.rglob("*.y*ml")):
            if path.suffix not in (".yaml", ".yml") or path.name.startswith("."):
                continue
            file = self._read(path)
            if file is not None:
                seen[path] = file
        self._files = seen

    @property
    def resources(self) -> list[Resource]:
        """Every resource once; of two files that describe the same one the later name wins."""
        return list({resource.key: resource for file in self._files.values() for resource in file.resources}.values())

    @property
    def problems(self) -> list[Problem]:
        return [problem for file in self._files.values() for problem in file.problems]

    def _read(self, path: Path) -> _File | None:
        known = self._files.get(path)
        try:
            stat = path.stat()
            stamp = (stat.st_mtime_ns, stat.st_size)
            if known is not None and known.stamp == stamp:
                return known
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None  # removed between the listing and the reading
        except (OSError, UnicodeDecodeError) as error:
            problem = Problem(None, "", "", f"{path}: {error}")
            return _File((0, 0), known.resources if known else (), (problem,))
        parsed = parse(text, file=str(path.relative_to(self.path)))
        kept = known.resources if known is not None and parsed.errors else ()
        good = {resource.key: resource for resource in (*kept, *parsed.resources)}
        return _File(stamp, tuple(good.values()), parsed.problems)
