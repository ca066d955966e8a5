"""May this peer speak for the proxy that a check or report is said to come from? No I/O.

A certificate names a trust domain, a namespace and a service account. A reporter names itself as a Pod of a namespace,
once as reporter and once as an end of the request: the source for what leaves, the destination for what comes in. So it
can be told whether both are in the certificate's namespace and one Pod, and whether the principal of a destination is
the certificate's. Not looked at: who is at the other end, for that is the reporter's to say, and the principal of a
source, which at a gateway is that of its client. Mixer does not know for certain which Pods of a namespace run as which
service account (a new Pod reports before anybody has told of it), so within a namespace the Pod's name is believed.
"""

from __future__ import annotations

from collections.abc import Mapping

from mizzen.attributes.reporter import KIND, SIDES, UID, namespace_of
from mizzen.attributes.values import Value
from mizzen.identity.spiffe import SpiffeId

_INBOUND, _OUTBOUND = SIDES["inbound"], SIDES["outbound"]


def objection(peer: SpiffeId, attributes: Mapping[str, Value]) -> str:
    """Why the peer may not say this; empty where it may. Called for each check and each entry of a report."""
    find = attributes.get
    kind, uid = find(KIND), find(UID)
    if kind == "inbound":
        own, principal = _INBOUND, find(_INBOUND.principal)
    elif kind == "outbound":
        own, principal = _OUTBOUND, None
    else:
        return f"{KIND} must say who reports (inbound or outbound), not {kind!r}"
    if not isinstance(uid, str) or namespace_of(uid) != peer.namespace:
        return f"{UID} must be a Pod of namespace {peer.namespace}, which the certificate is of, not {uid!r}"
    if find(own.uid, uid) != uid:
        return f"{own.uid} must be who reports, {uid}, not {find(own.uid)!r}"
    if find(own.namespace, peer.namespace) != peer.namespace:
        return f"{own.namespace} must be {peer.namespace}, which the certificate is of, not {find(own.namespace)!r}"
    if principal is not None and principal != peer.principal:
        return f"{own.principal} must be {peer.principal}, as the certificate says, not {principal!r}"
    return ""
