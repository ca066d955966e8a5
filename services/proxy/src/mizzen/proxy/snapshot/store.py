"""The resources that a proxy holds: what it was sent, what came of it, and what waits for something else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.config.route.v3 import route_pb2
from envoy.extensions.transport_sockets.tls.v3 import secret_pb2

from mizzen.proxy.engine.plan import (
    ClusterPlan,
    EndpointSetPlan,
    Forward,
    HttpPlan,
    ListenerPlan,
    Plan,
    PlanKind,
    RouteTablePlan,
    TcpPlan,
)
from mizzen.proxy.engine.tls_plan import SecretPlan, is_from_pilot
from mizzen.proxy.snapshot.compiler import compile_resource
from mizzen.proxy.snapshot.result import Rejected, Unsupported

KINDS: Final[tuple[PlanKind, ...]] = ("cluster", "endpoint_set", "listener", "route_table", "secret")
"""In the order in which a client asks for them."""
_RELEASE_ORDER: Final[tuple[PlanKind, ...]] = ("secret", "cluster", "endpoint_set", "route_table", "listener")
"""What is referred to comes before what refers to it."""
MESSAGES: Final[dict[PlanKind, Any]] = {
    "cluster": cluster_pb2.Cluster,
    "endpoint_set": endpoint_pb2.ClusterLoadAssignment,
    "listener": listener_pb2.Listener,
    "route_table": route_pb2.RouteConfiguration,
    "secret": secret_pb2.Secret,
}
SECRET_SECONDS: Final = 15.0
"""How long secrets are waited for; a listener goes on without one that nobody knows, for others may be in use (Envoy's
initial_fetch_timeout)."""
TYPE_URLS: Final[dict[PlanKind, str]] = {
    kind: f"type.googleapis.com/{message.DESCRIPTOR.full_name}" for kind, message in MESSAGES.items()
}
KIND_OF: Final[dict[str, PlanKind]] = {url: kind for kind, url in TYPE_URLS.items()}
State = Literal["waiting", "due", "live", "refused"]


@dataclass(slots=True)
class Held:
    """One resource in its last version that compiled."""

    name: str
    version: str
    body: bytes
    """The serialized message."""
    plan: Plan
    unsupported: tuple[Unsupported, ...]
    state: State = "waiting"
    """`due`: may go to the workers; `refused`: they could not take it (a port is in use)."""
    error: str = ""
    """Why it was refused."""
    refusals: int = 0
    """How often the workers did not take it, for a reason that will not pass by itself."""
    due_at: float = 0.0
    """When what was refused is tried again, in seconds of the session's clock."""


@dataclass(slots=True)
class Store:
    """All held resources by kind and name."""

    kinds: dict[PlanKind, dict[str, Held]] = field(default_factory=lambda: {kind: {} for kind in KINDS})
    answered: set[tuple[PlanKind, str]] = field(default_factory=set)
    """What the server has spoken of, be it with a resource that was rejected or to say that there is none: nothing
    waits for that any more."""
    rejected: dict[tuple[PlanKind, str], str] = field(default_factory=dict)
    """Why the newest version of a resource did not compile."""
    _awaited: dict[str, float] = field(default_factory=dict)
    """Until when secrets that nobody has spoken of are waited for, in seconds of the session's clock."""

    def put(self, kind: PlanKind, name: str, version: str, body: bytes) -> Rejected | None:
        """Take a new version in; when it does not compile, the last one that did stays."""
        message = MESSAGES[kind].FromString(body)
        outcome = compile_resource(message)
        self.answered.add((kind, name))
        known = self.kinds[kind].get(name)
        if isinstance(outcome, Rejected):
            self.rejected[kind, name] = str(outcome)
            return outcome
        self.rejected.pop((kind, name), None)
        held = Held(name, version, body, outcome.plan, outcome.unsupported)
        if known is not None and known.plan == held.plan and known.state in ("live", "due"):
            held.state = known.state  # a new version of the same thing
        self.kinds[kind][name] = held
        return None

    def lacks(self, kind: PlanKind, names: Iterable[str]) -> tuple[tuple[PlanKind, str], ...]:
        """The server has none of these (any more); returns those that were known and shall go.

        A secret that something refers to stays in use, as in Envoy: connections would fail without it.
        """
        names = tuple(names)
        self.answered.update((kind, name) for name in names)
        return () if kind == "secret" else self._remove(kind, names)

    def forget(self, kind: PlanKind, names: Iterable[str]) -> tuple[tuple[PlanKind, str], ...]:
        """Nothing refers to these any more; returns those that were known."""
        names = tuple(names)
        self.answered.difference_update((kind, name) for name in names)
        return self._remove(kind, names)

    def holds(self, kind: PlanKind, held: Held) -> bool:
        """Whether this is still the version that counts."""
        return self.kinds[kind].get(held.name) is held

    def _remove(self, kind: PlanKind, names: tuple[str, ...]) -> tuple[tuple[PlanKind, str], ...]:
        for name in names:
            self.rejected.pop((kind, name), None)
        return tuple((kind, name) for name in names if self.kinds[kind].pop(name, None) is not None)

    def release(self) -> None:
        """Make due what waits for nothing any more.

        Route tables and TCP listeners wait for the endpoints of the clusters they name, and listeners for their
        routes, and whatever speaks TLS for its secrets, as Envoy warms clusters and listeners: what is a moment old
        must not answer 503 or 404.
        """
        for kind in _RELEASE_ORDER:
            for held in self.kinds[kind].values():
                if held.state == "waiting" and not self._is_waiting(held.plan):
                    held.state = "due"

    def due(self) -> list[Held]:
        """What may go to the workers, clusters first."""
        return [held for kind in _RELEASE_ORDER for held in self.kinds[kind].values() if held.state == "due"]

    def refused(self) -> list[Held]:
        """What the workers did not take."""
        return [held for kind in KINDS for held in self.kinds[kind].values() if held.state == "refused"]

    def errors(self, kind: PlanKind) -> dict[str, str]:
        """What is wrong now, by name: newest versions that did not compile, and what the workers refused."""
        refused = {name: held.error for name, held in self.kinds[kind].items() if held.state == "refused"}
        return refused | {name: reason for (of, name), reason in self.rejected.items() if of == kind}

    def versions(self, kind: PlanKind) -> dict[str, str]:
        """For a new stream: what this client has and need not hear of again."""
        return {name: held.version for name, held in self.kinds[kind].items() if held.state != "refused"}

    def endpoint_set_names(self) -> set[str]:
        """EDS names that clusters refer to."""
        return {
            held.plan.endpoint_set
            for held in self.kinds["cluster"].values()
            if isinstance(held.plan, ClusterPlan) and isinstance(held.plan.endpoint_set, str) and held.plan.endpoint_set
        }

    def route_table_names(self) -> set[str]:
        """RDS names that listeners refer to."""
        return {name for held in self.kinds["listener"].values() for name in _tables_of(held.plan)}

    def secret_names(self) -> set[str]:
        """All secrets that listeners and clusters refer to."""
        held = (*self.kinds["listener"].values(), *self.kinds["cluster"].values())
        return {name for each in held for name in _secrets_of(each.plan)}

    def asked_secret_names(self) -> set[str]:
        """Those among them that Pilot has."""
        return {name for name in self.secret_names() if is_from_pilot(name)}

    def wait_no_longer(self, now: float) -> None:
        """Give up on secrets that have been waited for too long."""
        missing = {name for name in self.asked_secret_names() if ("secret", name) not in self.answered}
        self._awaited = {name: self._awaited.get(name, now + SECRET_SECONDS) for name in missing}
        late = {name for name, until in self._awaited.items() if until <= now}
        if late:
            self.answered.update(("secret", name) for name in late)
            self.release()

    def unsupported(self) -> dict[Unsupported, int]:
        """What has no effect, and in how many resources."""
        counts: dict[Unsupported, int] = {}
        for kind in KINDS:
            for held in self.kinds[kind].values():
                for item in set(held.unsupported):
                    counts[item] = counts.get(item, 0) + 1
        return counts

    def _is_waiting(self, plan: Plan) -> bool:
        if isinstance(plan, EndpointSetPlan | SecretPlan):
            return False
        if any(is_from_pilot(name) and ("secret", name) not in self.answered for name in _secrets_of(plan)):
            return True
        if isinstance(plan, ClusterPlan):
            return False
        if any(self._is_unknown(name) for name in _tables_of(plan)):
            return True
        return any(self._is_cold(name) for name in _clusters_of(plan))

    def _is_unknown(self, name: str) -> bool:
        """Whether a route table is awaited."""
        table = self.kinds["route_table"].get(name)
        return ("route_table", name) not in self.answered if table is None else table.state == "waiting"

    def _is_cold(self, name: str) -> bool:
        """Whether a cluster is here and its secrets or endpoints are not; one that nobody sends answers 503 NC."""
        cluster = self.kinds["cluster"].get(name)
        if cluster is None or not isinstance(cluster.plan, ClusterPlan):
            return False
        if cluster.state == "waiting":
            return True
        eds = cluster.plan.endpoint_set
        return isinstance(eds, str) and bool(eds) and ("endpoint_set", eds) not in self.answered


def _clusters_of(plan: ListenerPlan | RouteTablePlan) -> Iterator[str]:
    """The clusters that a listener's own routes, or a route table, name."""
    if isinstance(plan, RouteTablePlan):
        for host in plan.hosts:
            for route in host.routes:
                if isinstance(route.action, Forward):
                    yield from (weighted.cluster for weighted in route.action.clusters)
        return
    for handler in plan.handlers:
        if isinstance(handler, TcpPlan):
            yield from (weighted.cluster for weighted in handler.clusters)
        elif isinstance(handler, HttpPlan) and isinstance(handler.route_table, RouteTablePlan):
            yield from _clusters_of(handler.route_table)


def _tables_of(plan: Plan) -> Iterator[str]:
    """The route tables that a listener names."""
    for handler in plan.handlers if isinstance(plan, ListenerPlan) else ():
        if isinstance(handler, HttpPlan) and isinstance(handler.route_table, str):
            yield handler.route_table


def _secrets_of(plan: Plan) -> tuple[str, ...]:
    """The names of the secrets that a listener or a cluster needs."""
    if isinstance(plan, ListenerPlan):
        return plan.secrets
    return plan.sockets.secrets if isinstance(plan, ClusterPlan) else ()


# A kind without a place here would be lost in silence.
assert set(KINDS) == set(get_args(PlanKind))  # noqa: S101
