"""Certificates of a mesh's workloads, got as their agents get them."""

from __future__ import annotations

from pathlib import Path

from mizzen.identity.credentials import Credentials
from mizzen.identity.keeping.own import Proof
from mizzen.identity.keeping.service import CertificateService
from mizzen.identity.keys import new_key
from mizzen.identity.request import make_request
from mizzen.identity.spiffe import SpiffeId


async def certified(home: Path, pod: str) -> Proof:
    """What a workload of this mesh gets by its token."""
    roots, key = home / "ca/root-cert.pem", new_key()
    pilot = CertificateService("127.0.1.1:15012", roots, home / "identity/tokens" / pod)
    claimed = SpiffeId("cluster.local", "istio-system", "mizzen-mixer")  # which is of no interest to Pilot
    credentials = Credentials.received(key, await pilot.sign(make_request(key, claimed), None))
    return Proof(credentials, credentials.roots_pem)
