"""`python -m bench`: run cases, print and write the results."""

from __future__ import annotations

import argparse
import sys
import traceback
from pathlib import Path

from bench import machine, report, tools
from bench.cases import CASES
from bench.measure import Result

REPOSITORY = Path(__file__).parents[1]


def main() -> int:
    """Exit status 0 when every case ran; a failed case does not keep the others from running."""
    options = _options()
    for line in tools.missing():
        print(f"note: {line}", file=sys.stderr)
    described = machine.describe()
    results: list[Result] = []
    failed: list[str] = []
    for name in options.cases:
        print(f"{name} ...", file=sys.stderr)
        try:
            results += CASES[name](options.quick)
        except Exception:  # noqa: BLE001 - whatever it was is printed, and the exit status tells
            traceback.print_exc()
            failed.append(name)
    options.out.mkdir(parents=True, exist_ok=True)
    if results:
        report.write_json(options.out / "latest.json", described, machine.commit(REPOSITORY), results)
        report.print_table(results, described)
        report.plot(options.out / "latest.png", results)
        print(f"Written to {options.out}/latest.json and {options.out}/latest.png")
    if failed:
        print(f"Failed to run: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--cases", type=_cases, default=list(CASES), help=f"comma list of {', '.join(CASES)}; all")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter runs: a case within a minute")
    parser.add_argument("--out", type=Path, default=Path("bench/results"), help="folder of the results")
    return parser.parse_args()


def _cases(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in CASES]
    if unknown:
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; there are {', '.join(CASES)}")
    return names


if __name__ == "__main__":
    sys.exit(main())
