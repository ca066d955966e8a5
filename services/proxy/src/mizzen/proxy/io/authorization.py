"""Who may come in: the guards of a listener, asked before anything is done for a request or connection. ★ hot."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from mizzen.proxy.base.flags import LocalReply
from mizzen.proxy.engine.ext_authz_plan import ExtAuthzPlan
from mizzen.proxy.engine.jwt.plan import JwtPlan
from mizzen.proxy.engine.match import bind_metadata
from mizzen.proxy.engine.plan import GuardPlan
from mizzen.proxy.engine.rbac import Guard
from mizzen.proxy.engine.rbac_plan import RbacPlan
from mizzen.proxy.engine.request import NOTHING_FOUND
from mizzen.proxy.engine.stats import AuthorizationStats
from mizzen.proxy.io.forward import begin, turn_away
from mizzen.proxy.io.inquiry import ConnectionInquiry, RequestInquiry

if TYPE_CHECKING:
    from mizzen.proxy.engine.arrival import Arrival
    from mizzen.proxy.io.exchange import Exchange
    from mizzen.proxy.io.tokens import Tokens
    from mizzen.proxy.io.tunnel import Tunnel

log = logging.getLogger(__name__)

_BODY: Final = b"RBAC: access denied"
WARN_SECONDS: Final = 30.0
"""The log says at most so often what one policy on trial would have done; the counters know all."""
ASKING_PREFIX: Final = "istio_ext_authz_"
"""Of rules that are not on trial: they say whether an authorizer is asked."""
_Asking: TypeAlias = tuple[ExtAuthzPlan, Callable[[Mapping[str, object]], bool] | None]
"""An authorizer, and whether it is asked, by what the filter found that its condition names."""


class Entrant:
    """A request or connection that asks for entry; what a rule does not read is not made."""

    __slots__ = ("_found", "_local", "_peer", "arrival", "request")

    def __init__(self, request: Exchange | None, arrival: Arrival | None, peer: str, local: str) -> None:
        """Addresses are `ip:port`; without an arrival there was no TLS."""
        self.request = request
        self.arrival = arrival
        self._peer, self._local = peer, local
        self._found: dict[str, dict[str, object]] | None = None

    @property
    def peer_names(self) -> Sequence[bytes]:
        arrival = self.arrival
        return arrival.peer.principals if arrival is not None and arrival.peer is not None else ()

    @property
    def addresses(self) -> Mapping[str, str]:
        client = self._peer if self.request is None else self.request.downstream_remote_address
        return {"peer": _host(self._peer), "client": _host(client), "local": _host(self._local)}

    @property
    def local_port(self) -> int:
        return int(self._local.rpartition(":")[2] or 0)

    @property
    def server_name(self) -> str:
        return self.arrival.server_name if self.arrival is not None else ""

    def metadata(self, namespace: str, /) -> Mapping[str, object]:
        if self._found is not None and namespace in self._found:
            return self._found[namespace]
        return NOTHING_FOUND if self.request is None else self.request.metadata(namespace)

    @property
    def who(self) -> str:
        """For reasons."""
        proved = self.arrival.principal if self.arrival is not None else ""
        return proved or "a client without an identity"

    def note(self, namespace: str, key: str, value: object) -> None:
        """What a guard found out, for those that come after it."""
        if self._found is None:
            self._found = {}
        self._found.setdefault(namespace, {})[key] = value


class Question(NamedTuple):
    """An authorizer is to be asked: the outcome so far."""

    plan: ExtAuthzPlan
    then: int
    """The place of the guard that comes after the answer."""


class Denied(NamedTuple):
    """It may not come in."""

    local: LocalReply
    why: str


Outcome: TypeAlias = Question | Denied | None
"""None lets it in."""


class Rbac:
    """Rules at run time: enforced, on trial, or only noted for the guards that come after."""

    __slots__ = ("_effective", "_guard", "_namespace", "_prefix", "_warned", "is_shadow", "only_logs")

    def __init__(self, plan: RbacPlan, namespace: str) -> None:
        """`namespace` is the filter's, under which others look for what it noted."""
        self.is_shadow = plan.is_shadow
        self.only_logs = plan.action == "LOG"
        self._guard = Guard(plan)
        self._namespace = namespace
        self._prefix = plan.stat_prefix
        self._effective = f"{plan.stat_prefix}shadow_effective_policy_id"
        self._warned: dict[str, float] = {}

    def refusing(self, entrant: Entrant) -> str | None:
        """The policy that keeps it out, "" where it is that none lets it in; None lets it in."""
        allowed, policy = self._guard.decide(entrant)
        return None if allowed else policy

    def trial(self, entrant: Entrant, stats: AuthorizationStats, now: float) -> None:
        """Note and count what the rules would have done."""
        allowed, policy = self._guard.decide(entrant)
        if policy:
            entrant.note(self._namespace, self._effective, policy)
        stats.count_trial(self._prefix, allowed=allowed)
        if not allowed and self._prefix != ASKING_PREFIX and self._warned.get(policy, 0.0) <= now:
            self._warned[policy] = now + WARN_SECONDS
            log.warning("dry run, without which it is refused: %s %s", entrant.who, in_words(policy))


class Authorization:
    """The guards of one listener, in their order."""

    __slots__ = ("_decides", "_guards", "plans", "stats")

    def __init__(
        self,
        plans: Sequence[GuardPlan],
        stats: AuthorizationStats,
        namespace: str,
        tokens: Callable[[JwtPlan], Tokens],
    ) -> None:
        """`namespace` is where RBAC filters of this kind of listener note what they found."""
        self.plans = tuple(plans)
        self.stats = stats
        self._decides = any(isinstance(plan, RbacPlan) for plan in plans)
        self._guards: list[Rbac | Tokens | _Asking] = [_bind(plan, namespace, tokens) for plan in plans]

    @property
    def asks(self) -> bool:
        """Some authorizer may be asked."""
        return any(isinstance(plan, ExtAuthzPlan) for plan in self.plans)

    @property
    def reads_tokens(self) -> bool:
        """Tokens of users are looked at."""
        return any(isinstance(plan, JwtPlan) for plan in self.plans)

    def judge(self, entrant: Entrant, now: float, start: int = 0) -> Outcome:
        """What the guards from `start` on say."""
        stats = self.stats
        guards = self._guards
        for place in range(start, len(guards)):
            guard = guards[place]
            if isinstance(guard, Rbac):
                if guard.is_shadow:
                    guard.trial(entrant, stats, now)
                elif not guard.only_logs:
                    policy = guard.refusing(entrant)
                    if policy is not None:
                        stats.count_denial(policy)
                        return Denied(LocalReply("", 403, denial(policy), _BODY), f"{entrant.who} {in_words(policy)}")
            elif isinstance(guard, tuple):
                plan, holds = guard
                if holds is None or holds(entrant.metadata(plan.condition.namespace if plan.condition else "")):
                    return Question(plan, place + 1)
                stats.ext_authz_disabled += 1
            elif entrant.request is not None:
                refusal = guard.refuse(entrant.request)
                if refusal is not None:
                    return Denied(*refusal)
        return None

    def admits(self, x: Exchange) -> bool:
        """Whether the request may go on now; else it is answered, or waits for an authorizer."""
        downstream = x.downstream
        entrant = Entrant(x, downstream.arrival, downstream.peer_address, downstream.local_address)
        return self._admits(x, entrant, 0)

    def _admits(self, x: Exchange, entrant: Entrant, start: int) -> bool:
        outcome = self.judge(entrant, x.downstream.active_at, start)
        if outcome is None:
            self.stats.rbac_allowed += self._decides
            return True
        if isinstance(outcome, Question):
            proceed = partial(self._go_on, x, entrant, outcome.then)
            RequestInquiry(x, x.downstream.runtime.inquiries, outcome.plan, self.stats, proceed).begin()
            return False
        turn_away(x, outcome.local, outcome.why)
        return False

    def _go_on(self, x: Exchange, entrant: Entrant, start: int) -> None:
        if self._admits(x, entrant, start):
            begin(x)
            x.downstream.watch_route(x)

    def admits_connection(self, tunnel: Tunnel, proceed: partial[None], start: int = 0) -> bool:
        """Whether the connection may go on now; else it is closed, or waits for an authorizer before `proceed`.

        One that was admitted before stays open while it waits.
        """
        peer, local = tunnel.downstream_remote_address, tunnel.downstream_local_address
        outcome = self.judge(Entrant(None, tunnel.arrival, peer, local), tunnel.runtime.now(), start)
        if outcome is None:
            self.stats.rbac_allowed += self._decides and not tunnel.admitted
            return True
        if isinstance(outcome, Question):
            again = partial(self._let_go_on, tunnel, proceed, outcome.then)
            tunnel.inquiry = ConnectionInquiry(tunnel, outcome.plan, self.stats, again)
            tunnel.inquiry.begin()
        else:
            tunnel.turn_away("", outcome.local.details)
        return False

    def _let_go_on(self, tunnel: Tunnel, proceed: partial[None], start: int) -> None:
        if self.admits_connection(tunnel, proceed, start):
            proceed()


def _bind(plan: GuardPlan, namespace: str, tokens: Callable[[JwtPlan], Tokens]) -> Rbac | Tokens | _Asking:
    if isinstance(plan, RbacPlan):
        return Rbac(plan, namespace)
    if isinstance(plan, ExtAuthzPlan):
        return plan, None if plan.condition is None else bind_metadata(plan.condition)
    return tokens(plan)


def denial(policy: str) -> str:
    """Envoy's details of a refusal."""
    return f"rbac_access_denied_matched_policy[{policy.replace(' ', '_') or 'none'}]"


def in_words(policy: str) -> str:
    """Who refuses."""
    return f"may not do this: policy {policy} denies it" if policy else "may not do this: no policy allows it"


def _host(address: str) -> str:
    return address.rpartition(":")[0].strip("[]")
