"""The header x-forwarded-client-cert: who called, as each hop's TLS proved it."""

from __future__ import annotations

from typing import Final

from mizzen.proxy.codec.headers import Head, line, value_of
from mizzen.proxy.engine.arrival import Arrival
from mizzen.proxy.engine.peer import Peer
from mizzen.proxy.engine.plan import ClientCertPlan

HEADER: Final = b"x-forwarded-client-cert"
_QUOTED: Final = frozenset(',;="')


def write_client_cert(head: Head, plan: ClientCertPlan, arrival: Arrival | None) -> None:
    """As the plan says. Without a proved client nothing is known of who wrote the header, and it goes."""
    if plan.mode == "always_forward_only":
        return
    peer = arrival.peer if arrival is not None else None
    if arrival is None or peer is None or plan.mode == "sanitize":
        head.pop(HEADER, None)
        return
    if plan.mode == "forward_only":
        return
    hop = _hop(plan, arrival, peer).encode()
    before = value_of(head, HEADER) if plan.mode == "append_forward" else None
    head[HEADER] = line(HEADER, before + b"," + hop if before else hop)


def _hop(plan: ClientCertPlan, arrival: Arrival, peer: Peer) -> str:
    said = [f"By={_value(arrival.own)}"] if arrival.own else []
    said.append(f"Hash={peer.digest}")
    if plan.cert:
        said.append(f'Cert="{peer.quoted_pem}"')
    if plan.subject:
        said.append(f'Subject="{_escaped(peer.subject)}"')
    if plan.uri:
        said += [f"URI={_value(uri)}" for uri in peer.uris] or ["URI="]
    if plan.dns:
        said += [f"DNS={_value(name)}" for name in peer.dns]
    return ";".join(said)


def _value(text: str) -> str:
    return f'"{_escaped(text)}"' if not _QUOTED.isdisjoint(text) else text


def _escaped(text: str) -> str:
    """What would end the value, or the line."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in text)
    return shown.replace("\\", "\\\\").replace('"', '\\"')
