"""The wheels of our own packages, built on this machine."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from images.docker import ImageError, Platform, version_numbers

PACKAGES = {
    "mizzen_proto": "proto",
    "mizzen_api": "libs/api",
    "mizzen_runtime": "libs/runtime",
    "mizzen_attributes": "libs/attributes",
    "mizzen_identity": "libs/identity",
    "mizzen_kubernetes": "libs/kubernetes",
    "mizzen_pilot": "services/pilot",
    "mizzen_proxy": "services/proxy",
    "mizzen_mixer": "services/mixer",
    "mizzen_injector": "services/injector",
    "mizzen_gateway": "services/gateway",
    "mizzen_bookinfo": "demo/bookinfo",
}
"""Wheels by the name in their file name, and the folders that they are built from."""

COMPILED = "mizzen_proxy"
SECONDS = 1200
_PLAIN = {"SOURCE_DATE_EPOCH": "315532800"}  # 1980-01-01, the first moment that a wheel, a ZIP file, can tell
_COMPILED = {
    **_PLAIN,
    "HATCH_BUILD_HOOK_ENABLE_CUSTOM": "1",
    # Debug information and build ids tell of the temporary folders that it was compiled in.
    "LDFLAGS": "-Wl,--strip-all -Wl,--build-id=none",
}
"""Variables of a build; docs/adr/0005-compiled-wheel.md."""
_NOT_PACKED = {"tests", "__pycache__"}


def this_machine() -> Platform:
    libc, version = platform.libc_ver()
    return Platform(platform.python_version(), libc, version_numbers(version), platform.machine())


def not_compiled(host: Platform, image: Platform, compiler: bool) -> str:
    """Why extensions that are compiled here would not run in the image, or cannot be; "" when all is well."""
    if not compiler:
        return "there is no C compiler (cc)"
    if host.python_version != image.python_version:
        return f"this is Python {host.python_version}, the image has {image.python_version}"
    if host.machine != image.machine:
        return f"this is {host.machine}, the image is for {image.machine}"
    if host.libc != image.libc or host.libc_version > image.libc_version:
        ours, theirs = (".".join(map(str, which.libc_version)) for which in (host, image))
        return f"this machine's {host.libc or 'libc'} {ours} is newer than the image's {image.libc or 'libc'} {theirs}"
    return ""


def build_ours(repository: Path, folder: Path, image: Platform, compiled: bool) -> None:
    """Bring our wheels in `folder` up to date with the sources; raises ImageError."""
    folder.mkdir(parents=True, exist_ok=True)
    record = folder / "built.json"
    built: dict[str, str] = json.loads(record.read_text()) if record.exists() else {}
    environment = _COMPILED if compiled else _PLAIN
    forms = {COMPILED: f"{image.python_version} {environment}"}
    wanted = {name: digest(repository / source, forms.get(name, str(_PLAIN))) for name, source in PACKAGES.items()}
    stale = [name for name in PACKAGES if built.get(name) != wanted[name] or not list(folder.glob(f"{name}-*.whl"))]
    if not stale:
        return
    how = " (compiled: that takes a minute)" if compiled and COMPILED in stale else ""
    print(f"Building wheels: {', '.join(stale)}{how} ...", flush=True)
    for name in stale:
        for wheel in folder.glob(f"{name}-*.whl"):
            wheel.unlink()
    sources = [str(repository / PACKAGES[name]) for name in stale]
    pip("wheel", "--no-deps", "--wheel-dir", str(folder), *sources, env=environment)
    record.write_text(json.dumps(wanted, indent=2, sort_keys=True))


def digest(folder: Path, form: str) -> str:
    """Of what goes into the wheel of a package, and of the form that it is built in."""
    files = sorted(
        path
        for path in folder.rglob("*")
        if path.is_file()
        and not _NOT_PACKED.intersection(path.relative_to(folder).parts)
        and "_pb2.py" not in path.name
    )
    parts = [f"{path.relative_to(folder)} {sha256(path.read_bytes())}" for path in files]
    return sha256("\n".join([form, *parts]).encode())


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def pip(*arguments: str, env: Mapping[str, str] | None = None) -> None:
    command = (sys.executable, "-m", "pip", arguments[0], "--quiet", "--disable-pip-version-check", *arguments[1:])
    environment = {**os.environ, **(env or {})}
    try:
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise ImageError(f"`pip {arguments[0]}` took more than {SECONDS} s") from None
    if ran.returncode != 0:
        raise ImageError(f"`pip {arguments[0]}` failed:\n{ran.stdout}{ran.stderr}")
