"""`python -m images build [TARGET ...]` builds container images; `python -m images base` makes an image to stand on."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from images import base, docker
from images.build import Names, build, fill_context
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
        else:
            _build(options.base, options.targets or _usual(), Names(options.hub, options.tag))
    except ImageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _build(asked: str, targets: list[str], names: Names) -> None:
    base_image = base.find(asked, CACHE / "base")
    context = CACHE / "images"
    fill_context(context, REPOSITORY, docker.platform_of(base_image), targets)
    build(context, base_image, targets, names, origin_of(REPOSITORY))
    for target in targets:
        print(f"{docker.size(names.image(target)) / 1e6:7.0f} MB  {names.image(target)}")


def _usual() -> list[str]:
    return [target for target in TITLES if target not in OPTIONAL]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m images", description="Build Mizzen's container images.")
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("build", help="build images; all but the optional ones when none is named")
    making.add_argument("targets", nargs="*", metavar="TARGET", type=_target, help=", ".join(TITLES))
    making.add_argument("--base", default=base.DEFAULT, help="the image to stand on (%(default)s)")
    making.add_argument("--hub", default="mizzen", help="what stands before the slash: HUB/pilot (%(default)s)")
    making.add_argument("--tag", default="dev", help="(%(default)s)")
    commands.add_parser("base", help=f"make {base.OWN} with debootstrap, to build on where no registry answers")
    return parser.parse_args()


def _target(name: str) -> str:
    if name not in TITLES:
        raise argparse.ArgumentTypeError(f"there is no image {name}; there are {', '.join(TITLES)}")
    return name


if __name__ == "__main__":
    sys.exit(main())
