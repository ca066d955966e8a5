"""Who may come in: the RBAC filters of a listener, asked before anything is done for a request or connection. ★ hot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from mizzen.proxy.base.flags import LocalReply
from mizzen.proxy.engine.rbac import Guard, Subject
from mizzen.proxy.engine.rbac_plan import RbacPlan
from mizzen.proxy.engine.request import NOTHING_FOUND, RequestView
from mizzen.proxy.engine.stats import RbacStats

if TYPE_CHECKING:
    from mizzen.proxy.engine.arrival import Arrival
    from mizzen.proxy.io.exchange import Exchange
    from mizzen.proxy.io.tokens import Tokens

_BODY: Final = b"RBAC: access denied"


class Entrant:
    """A request or connection that asks for entry; what a rule does not read is not made."""

    __slots__ = ("_client", "_local", "_peer", "arrival", "request")

    def __init__(
        self, request: RequestView | None, arrival: Arrival | None, peer: str, client: str, local: str
    ) -> None:
        """Addresses are `ip:port`; without an arrival there was no TLS."""
        self.request = request
        self.arrival = arrival
        self._peer, self._client, self._local = peer, client, local

    @property
    def peer_names(self) -> Sequence[bytes]:
        arrival = self.arrival
        return arrival.peer.principals if arrival is not None and arrival.peer is not None else ()

    @property
    def addresses(self) -> Mapping[str, str]:
        return {"peer": _host(self._peer), "client": _host(self._client), "local": _host(self._local)}

    @property
    def local_port(self) -> int:
        return int(self._local.rpartition(":")[2] or 0)

    @property
    def server_name(self) -> str:
        return self.arrival.server_name if self.arrival is not None else ""

    def metadata(self, namespace: str, /) -> Mapping[str, object]:
        return NOTHING_FOUND if self.request is None else self.request.metadata(namespace)


class Authorization:
    """The filters of one listener, in their order: tokens say who a request's user is, then policies decide."""

    __slots__ = ("_guards", "_stats", "_tokens")

    def __init__(self, plans: Sequence[RbacPlan], stats: RbacStats, tokens: Tokens | None = None) -> None:
        self._guards = [(plan.is_shadow, plan.action == "LOG", Guard(plan)) for plan in plans]
        self._stats = stats
        self._tokens = tokens

    def refusal(self, entrant: Subject) -> str | None:
        """None lets it in; else the policy that keeps it out, "" where it is that none lets it in."""
        stats = self._stats
        for is_shadow, only_logs, guard in self._guards:
            allowed, policy = guard.decide(entrant)
            if only_logs:
                continue
            if is_shadow:
                if allowed:
                    stats.rbac_shadow_allowed += 1
                else:
                    stats.rbac_shadow_denied += 1
            elif not allowed:
                stats.rbac_denied += 1
                return policy
        stats.rbac_allowed += 1
        return None

    def refuse(self, x: Exchange) -> tuple[LocalReply, str] | None:
        """What a request is answered that may not come in, and why; None lets it in."""
        if self._tokens is not None:
            refusal = self._tokens.refuse(x)
            if refusal is not None or not self._guards:
                return refusal
        downstream = x.downstream
        client = x.remote_address or downstream.peer_address
        policy = self.refusal(Entrant(x, downstream.arrival, downstream.peer_address, client, downstream.local_address))
        if policy is None:
            return None
        who = downstream.principal or "a client without an identity"
        why = f"policy {policy} denies it" if policy else "no policy allows it"
        return LocalReply("", 403, denial(policy), _BODY), f"{who} may not do this: {why}"


def denial(policy: str) -> str:
    """Envoy's details of a refusal."""
    return f"rbac_access_denied_matched_policy[{policy.replace(' ', '_') or 'none'}]"


def _host(address: str) -> str:
    return address.rpartition(":")[0].strip("[]")
