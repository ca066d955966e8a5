"""The wheels of other people's packages that ours need in an image, from the package index."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import cast

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from images.docker import ImageError, Platform
from images.wheels import pip, sha256

MOST_ROUNDS = 5


def download(folder: Path, ours: Path, names: Sequence[str], image: Platform) -> None:
    """Fill `folder` with wheels for the image of all that `names` need beside our own packages; raises ImageError.

    Versions are those installed beside the running Python: images hold what was tested.
    """
    pins = sorted(constraints())
    key = sha256(json.dumps([pins, names, repr(image), *requirements(_wheels(ours))]).encode())
    record = folder / "key"
    if record.exists() and record.read_text() == key:
        return
    print("Downloading the wheels of other packages ...", flush=True)
    with tempfile.TemporaryDirectory(prefix="mizzen-wheels-") as scratch:
        pinned, fetched = Path(scratch, "constraints.txt"), Path(scratch, "wheels")
        pinned.write_text("\n".join(pins))
        _fetch(fetched, ours, pinned, list(names), image)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(fetched, folder, ignore=shutil.ignore_patterns("mizzen_*"))
    others = sorted(wheel.name.split("-")[:2] for wheel in _wheels(folder))
    (folder / "requirements.txt").write_text("".join(f"{n}=={v}\n" for n, v in others if n != "pip"))
    record.write_text(key)


def _fetch(folder: Path, ours: Path, constraints: Path, names: list[str], image: Platform) -> None:
    """Download in rounds: pip asks the running Python which requirements hold; those of the image alone are added."""
    for _ in range(MOST_ROUNDS):
        pip(
            *("download", "--dest", str(folder), "--find-links", str(ours), "--constraint", str(constraints)),
            *("--only-binary", ":all:", "--implementation", "cp", "--python-version", image.python),
            *(flag for tag in platform_tags(image) for flag in ("--platform", tag)),
            *names,
        )
        lacking = missing(requirements(_wheels(folder)), [wheel.name.split("-")[0] for wheel in _wheels(folder)], image)
        if not lacking:
            return
        names += lacking
    raise ImageError(f"these packages still lack others after {MOST_ROUNDS} rounds of downloads: {', '.join(names)}")


def missing(requirements: Iterable[str], present: Iterable[str], image: Platform) -> list[str]:
    """Requirements that hold in the image, without their conditions, of which no wheel is present."""
    here = {canonicalize_name(name) for name in present}
    environment: dict[str, str] = {
        **cast("dict[str, str]", default_environment()),
        "python_version": image.python_version,
        "python_full_version": image.python,
        "implementation_version": image.python,
        "platform_machine": image.machine,
        "extra": "",
    }
    found: dict[str, None] = {}
    for text in requirements:
        requirement = Requirement(text)
        holds = requirement.marker is None or requirement.marker.evaluate(environment)
        if holds and canonicalize_name(requirement.name) not in here:
            found[f"{requirement.name}{requirement.specifier}"] = None
    return list(found)


def platform_tags(image: Platform) -> list[str]:
    """Tags of wheels that run in the image; raises ImageError."""
    if image.libc != "glibc" or len(image.libc_version) < 2:
        raise ImageError(f"BASE_IMAGE must have glibc, as Debian has; this one says {image.libc or 'nothing'}")
    newest = image.libc_version[1]
    modern = [f"manylinux_2_{minor}_{image.machine}" for minor in range(newest, 4, -1)]
    return [*modern, f"manylinux2014_{image.machine}", f"manylinux2010_{image.machine}", f"linux_{image.machine}"]


def constraints() -> Iterator[str]:
    """`name==version` of what is installed here, without our own packages."""
    for distribution in metadata.distributions():
        name = distribution.metadata["Name"]
        if name and not name.startswith("mizzen"):
            yield f"{name}=={distribution.version}"


def requirements(wheels: Iterable[Path]) -> list[str]:
    """What the metadata of the wheels asks for, extras apart."""
    found: list[str] = []
    for distribution in metadata.distributions(path=[str(wheel) for wheel in wheels]):
        found += sorted(distribution.requires or [])
    return found


def _wheels(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.whl"))
