"""`python -m mizzen.api.crd FOLDER` writes one file a group: charts/mizzen/crds."""

from __future__ import annotations

import sys
from itertools import groupby
from pathlib import Path
from typing import Any

import yaml

from mizzen.api.crd.definition import definitions

_HEAD = "# Made from the models: `python -m mizzen.api.crd {folder}`. Not to be edited.\n"


class _Plain(yaml.SafeDumper):
    """Repeats what is the same, where YAML would refer to it."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def files(folder: str) -> dict[str, str]:
    """Contents by file name."""
    return {
        f"{group}.yaml": _HEAD.format(folder=folder)
        + yaml.dump_all(list(crds), Dumper=_Plain, sort_keys=False, width=120, allow_unicode=True)
        for group, crds in groupby(definitions(), key=lambda crd: crd["spec"]["group"])
    }


def main() -> int:
    if len(sys.argv) != 2:
        sys.stderr.write("usage: python -m mizzen.api.crd FOLDER\n")
        return 2
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files(sys.argv[1]).items():
        (folder / name).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
