"""`python -m images build [TARGET ...]` builds container images; `python -m images base` makes an image to stand on."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from images import base, docker
from images.build import Names, build, fill_context
from images.compare import contents, differences
from images.docker import ImageError
from images.targets import OPTIONAL, TITLES, origin_of

REPOSITORY = Path(__file__).parents[1]
CACHE = REPOSITORY / "build"


def main() -> int:
    options = _options()
    try:
        docker.require_engine()
        if options.command == "base":
            print(f"Made {base.make(CACHE / 'base')}")
            return 0
        names = Names(options.hub, options.tag)
        if options.command == "reproduce":
            return _reproduce(options.base, options.targets or ["proxy", "demo"], names)
        _build(options.base, options.targets or _usual(), names, CACHE / "images")
    except ImageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _build(asked: str, targets: list[str], names: Names, context: Path, fresh: bool = False) -> None:
    base_image = base.find(asked, CACHE / "base")
    fill_context(context, REPOSITORY, docker.platform_of(base_image), targets)
    build(context, base_image, targets, names, origin_of(REPOSITORY), fresh)
    for target in targets:
        print(f"{docker.size(names.image(target)) / 1e6:7.0f} MB  {names.image(target)}")


def _reproduce(asked: str, targets: list[str], names: Names) -> int:
    """Build twice, the second time from the sources alone, and print what differs in more than its time stamps."""
    _build(asked, targets, names, CACHE / "images")
    again = Names(names.hub, f"{names.tag}-again")
    status = 0
    with tempfile.TemporaryDirectory(prefix="mizzen-images-") as context:
        _build(asked, targets, again, Path(context), fresh=True)
    for target in targets:
        one, other = names.image(target), again.image(target)
        with docker.exported(one) as here, docker.exported(other) as there:
            found = differences(contents(here), contents(there))
        if docker.settings(one) != docker.settings(other):
            found.append("the settings differ: see `docker image inspect`")
        print("\n".join([f"{one} and {other} differ:" if found else f"{one} and {other} are the same.", *found]))
        status = 1 if found else status
        docker.remove(other)
    return status


def _usual() -> list[str]:
    return [target for target in TITLES if target not in OPTIONAL]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m images", description="Build Mizzen's container images.")
    commands = parser.add_subparsers(dest="command", required=True)
    for command, text in (
        ("build", f"build images; all but {', '.join(OPTIONAL)} when none is named"),
        ("reproduce", "build images twice, and compare"),
    ):
        making = commands.add_parser(command, help=text)
        making.add_argument("targets", nargs="*", metavar="TARGET", type=_target, help=", ".join(TITLES))
        making.add_argument("--base", default=base.DEFAULT, help="the image to stand on (%(default)s)")
        making.add_argument("--hub", default="mizzen", help="what stands before the slash: HUB/pilot (%(default)s)")
        making.add_argument("--tag", default="dev", help="what stands behind the colon (%(default)s)")
    commands.add_parser("base", help=f"make {base.OWN} with debootstrap, to build on where no registry answers")
    return parser.parse_args()


def _target(name: str) -> str:
    if name not in TITLES:
        raise argparse.ArgumentTypeError(f"there is no image {name}; there are {', '.join(TITLES)}")
    return name


if __name__ == "__main__":
    sys.exit(main())
