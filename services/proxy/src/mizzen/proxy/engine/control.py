"""What an agent and its workers say to each other over their Unix socket.

A frame is a 4-byte big-endian length and a pickled message; an `Update` carries the sockets of its new listeners as
file descriptors (SCM_RIGHTS), in the order of `sockets`. Both ends are one trust domain: the agent starts the worker
and hands it its end of a socket pair.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from mizzen.proxy.engine.plan import Plan, PlanKind

# -- agent to worker ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Update:
    """Replace, add and remove plans, all at once; answered by `Applied` or `Refused`."""

    serial: int
    plans: tuple[Plan, ...] = ()
    removed: tuple[tuple[PlanKind, str], ...] = ()
    sockets: tuple[str, ...] = ()
    """Names of the listeners whose listening sockets travel with this frame."""


@dataclass(frozen=True, slots=True)
class Drain:
    """Finish what is under way: close idle connections, answer with `Connection: close`.

    `stop` also ends the listeners and, after `grace` seconds or when nothing is left, the worker.
    """

    grace: float
    stop: bool


@dataclass(frozen=True, slots=True)
class AskStats:
    """Answered by `Stats`."""

    serial: int


@dataclass(frozen=True, slots=True)
class SetLogLevel:
    """A level of the logging module, by name."""

    level: str


ToWorker: TypeAlias = Update | Drain | AskStats | SetLogLevel

# -- worker to agent ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker runs and waits for its first update."""

    pid: int


@dataclass(frozen=True, slots=True)
class Applied:
    """The update is what new requests see now."""

    serial: int


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing of the update was applied."""

    serial: int
    reason: str


StatKey: TypeAlias = tuple[str, str, str]
"""(scope, name, metric): ("cluster", "outbound|9080||reviews.default.svc.cluster.local", "upstream_rq_total")."""


@dataclass(frozen=True, slots=True)
class EndpointStats:
    """One row of `/clusters`."""

    cluster: str
    address: str
    healthy: bool
    weight: int
    active_connections: int
    active_requests: int
    total_connections: int
    connect_failures: int
    total_requests: int
    failed_requests: int


@dataclass(frozen=True, slots=True)
class Stats:
    """Everything the worker counted since it started; histograms are bucket counts, then sum in milliseconds."""

    serial: int
    counters: dict[StatKey, int] = field(default_factory=dict)
    gauges: dict[StatKey, int] = field(default_factory=dict)
    histograms: dict[StatKey, tuple[float, ...]] = field(default_factory=dict)
    endpoints: tuple[EndpointStats, ...] = ()


FromWorker: TypeAlias = Ready | Applied | Refused | Stats
