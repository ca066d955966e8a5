"""Short-lived certificates under load: run by hand, `python e2e/soak/certificates.py`, where no other mesh is up.

The demo runs with certificates of a minute. Pilot is stopped for longer than certificates are renewed apart, and comes
back; then the root of the mesh is replaced. Not one request may fail. Prints what it saw, and ends with 1 if one did.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import sys
import tempfile
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.load import under_load
from support.local import LocalMesh
from support.mesh import eventually

from mizzen.identity.certificate import certificate_to_pem
from mizzen.identity.keys import key_to_pem, new_key
from mizzen.pilot.ca.authority import self_signed
from mizzen.runtime.files import write_atomic

EXPIRY = re.compile(r'istio_agent_cert_expiry_seconds\{resource_name="default"\} (-?\d+)')
ASKED = re.compile(r'istio_agent_num_outgoing_requests\{request_type="csr"\} (\d+)')
AWAY = 0.53
"""For how much of a life Pilot is away: more than the half after which certificates are renewed."""
ROOM = 0.65
"""So much of their lives all certificates have left when it goes."""
WORKLOADS = ("productpage-v1", "details-v1", "ratings-v1", "reviews-v1", "reviews-v2", "reviews-v3")


def numbers(mesh: LocalMesh, pattern: re.Pattern[str]) -> list[int]:
    """Of each sidecar."""
    texts = (mesh.ask(workload, 15090, "/stats/prometheus")[1] for workload in WORKLOADS)
    return [int(found[1]) for text in texts if (found := pattern.search(text))]


def replace_root(mesh: LocalMesh) -> None:
    """All at once, as somebody does who has read no procedure."""
    new = self_signed(new_key(), "soak", datetime.now(UTC))
    certificate = certificate_to_pem(new.certificate)
    for name, text in (
        ("ca-key.pem", key_to_pem(new.key)),
        ("cert-chain.pem", certificate),
        ("root-cert.pem", certificate),
        ("ca-cert.pem", certificate),
    ):
        write_atomic(mesh.home / "ca" / name, text, mode=0o600)


def signed_by_new(mesh: LocalMesh) -> bool:
    return any("O=soak signs now" in line for line in mesh.log("pilot"))


def say(text: str) -> None:
    sys.stdout.write(f"{datetime.now(UTC):%H:%M:%S} {text}\n")
    sys.stdout.flush()


def away(mesh: LocalMesh, life: int) -> None:
    """Pilot stops for longer than half a life, beginning when all certificates are new enough to bear that."""
    eventually(lambda: min(numbers(mesh, EXPIRY)) > life * ROOM, "certificates that are all new", 2 * life)
    pilot = mesh.process("pilot")
    os.kill(pilot, signal.SIGSTOP)
    try:
        time.sleep(life * AWAY)
        say(f"Pilot was away for {life * AWAY:.0f} s; seconds left: {numbers(mesh, EXPIRY)}")
    finally:
        os.kill(pilot, signal.SIGCONT)
    eventually(lambda: min(numbers(mesh, EXPIRY)) > life * 0.5, "renewal after that", life / 2)
    say(f"Caught up; seconds left: {numbers(mesh, EXPIRY)}")


def main(arguments: Iterable[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=300)
    parser.add_argument("--life", type=int, default=60)
    given = parser.parse_args(list(arguments))
    os.environ["MIZZEN_PROXY_CERTIFICATE_SECONDS"] = str(given.life)
    home = Path(tempfile.mkdtemp(prefix="soak"))
    mesh = LocalMesh(home, "python")
    mesh.ok("up", "--no-mixer")
    try:
        with under_load("/productpage", clients=2, seconds=given.seconds * 2) as load:
            began = time.monotonic()
            time.sleep(given.life)
            away(mesh, given.life)
            replace_root(mesh)
            eventually(lambda: signed_by_new(mesh), "the new root signs", 60)
            say("The new root signs")
            time.sleep(max(0.0, began + given.seconds - time.monotonic()))
            asked, left = numbers(mesh, ASKED), numbers(mesh, EXPIRY)
        pilot = [line for line in mesh.log("pilot") if "roots are trusted" in line]
        say(json.dumps({"answered": load.answered, "failed": len(load.failed), "asked": asked, "left": left}))
        say("\n".join([*pilot, *load.failed[:10]]))
        return 1 if load.failed or not load.answered else 0
    finally:
        mesh.ok("down")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
