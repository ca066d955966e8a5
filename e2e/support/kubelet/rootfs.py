"""What a container sees of files: this machine's, under a layer of its own, and the Pod's volumes where it wants them.

Two scripts, as paths inside are not those outside: a symbolic link such as /var/run would lead out of the container.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
POD = "/.pod"
"""Where a Pod's folder is while the container is made."""
_DEFAULT_CAPABILITIES = (
    *("chown", "dac_override", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap"),
    *("net_bind_service", "net_raw", "sys_chroot", "mknod", "audit_write", "setfcap"),
)


@dataclass(frozen=True)
class Mount:
    """A volume, or a part of one, in a container."""

    source: str
    """Below the Pod's folder of volumes."""
    target: str
    read_only: bool


@dataclass(frozen=True)
class Rights:
    """Whom a container runs as."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    capabilities: tuple[str, ...] | None
    """Names in lower case without `cap_`; None: all."""
    no_new_privileges: bool

    def command(self) -> list[str]:
        """What goes before the command that is to have no more rights than these."""
        groups = [f"--groups={','.join(map(str, self.groups))}"] if self.groups else ["--clear-groups"]
        command = ["setpriv", f"--reuid={self.uid}", f"--regid={self.gid}", *groups, "--inh-caps=-all"]
        if self.capabilities is not None:
            command.append("--bounding-set=" + ",".join(["-all", *(f"+{name}" for name in self.capabilities)]))
        return [*command, "--no-new-privs"] if self.no_new_privileges else command


def capabilities(security: dict[str, list[str]]) -> tuple[str, ...]:
    """What `securityContext.capabilities` leaves."""
    added, dropped = (
        [name.lower().removeprefix("cap_") for name in security.get(key) or ()] for key in ("add", "drop")
    )
    kept = [] if "all" in dropped else [name for name in _DEFAULT_CAPABILITIES if name not in dropped]
    return tuple(dict.fromkeys(kept + added))


def outside(pod: Path, container: str, hostname: str) -> str:
    """A script that makes the container's root and goes on inside; `pod` is the Pod's folder."""
    layer = shlex.quote(str(pod / "layers" / container))
    root = f"{layer}/root"
    lines = [
        "set -eu",
        f"mkdir -p {layer}",
        f"mount -t tmpfs -o mode=755 layer {layer}",
        f"mkdir {layer}/upper {layer}/work {root}",
        f"mount -t overlay -o lowerdir=/,upperdir={layer}/upper,workdir={layer}/work overlay {root}",
        *(f"mount --bind {shlex.quote(path)} {root}{shlex.quote(path)}" for path in _elsewhere()),
        f"mount --rbind /dev {root}/dev",
        f"mount -t proc proc {root}/proc",
        f"mount -t sysfs -o ro sysfs {root}/sys",
        f"mkdir {root}{POD}",
        f"mount --rbind {shlex.quote(str(pod))} {root}{POD}",
        f"hostname {shlex.quote(hostname)}",
        f"exec chroot {root} sh {POD}/{container}.inside.sh",
    ]
    return "\n".join(lines) + "\n"


def inside(container: str, mounts: Sequence[Mount], read_only: bool, folder: str, command: Sequence[str]) -> str:
    """The script that goes on: programs at the images' places, names, volumes, then the command.

    Just before that, it writes into the Pod's file CONTAINER.up.
    """
    lines = [
        "set -eu",
        f"exec 9> {POD}/{container}.up",
        # Users of a container may read this checkout and its interpreter, also where only root may outside.
        f"chmod a+rx {shlex.join(_ancestors())}",
        f"ln -sfn {shlex.quote(sys.prefix)} /opt/mizzen",
        f"cp {shlex.quote(str(REPOSITORY / 'images/healthcheck.py'))} /opt/mizzen/",
        f"for file in hosts hostname resolv.conf; do rm -f /etc/$file; cp {POD}/etc/$file /etc/; done",
    ]
    for mount in sorted(mounts, key=lambda mount: mount.target):
        source, target = shlex.quote(f"{POD}/volumes/{mount.source}"), shlex.quote(mount.target)
        lines += [
            f"if [ -d {source} ]; then mkdir -p {target}; else mkdir -p $(dirname {target}); touch {target}; fi",
            f"mount --bind {source} {target}",
        ]
    lines += [f"mount -o remount,bind,ro {shlex.quote(mount.target)}" for mount in mounts if mount.read_only]
    lines += [f"umount -l {POD}", f"rmdir {POD}", f"mkdir -p {shlex.quote(folder)}", f"cd {shlex.quote(folder)}"]
    if read_only:
        lines.append("mount -o remount,ro /")
    return "\n".join([*lines, "echo up >&9", f"exec {shlex.join(command)} 9>&-"]) + "\n"


def _places() -> list[Path]:
    return [Path(path).resolve() for path in (sys.prefix, sys.base_prefix, REPOSITORY)]


def _elsewhere() -> list[str]:
    """What a container needs that lies on another file system than the root."""
    root = Path("/").stat().st_dev
    return sorted({str(place) for place in _places() if place.stat().st_dev != root})


def _ancestors() -> list[str]:
    return sorted({str(each) for place in _places() for each in (place, *place.parents) if each != Path("/")})
