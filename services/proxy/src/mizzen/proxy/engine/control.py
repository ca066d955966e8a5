"""What an agent and its workers say to each other over their Unix socket.

A frame is a 4-byte big-endian length and a pickled message; an `Update` carries the sockets of its new listeners as
file descriptors (SCM_RIGHTS), in the order of `sockets`. Both ends are one trust domain: the agent starts the worker
and hands it its end of a socket pair.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from mizzen.proxy.engine.arrival import Identities
from mizzen.proxy.engine.ext_authz_plan import ExtAuthzPlan
from mizzen.proxy.engine.mixer_plan import MixerContext
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
    spares_open: bool = False
    """What is open of removed listeners may go on for as long as it likes: they only take nothing new."""


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


HeaderChange: TypeAlias = tuple[Literal["replace", "remove", "append"], str, str]
"""Operation, name and value."""


@dataclass(frozen=True, slots=True)
class CheckAnswer:
    """What Mixer decided; codes are google.rpc.Code."""

    serial: int
    """The question's."""
    code: int = 0
    message: str = ""
    references: frozenset[str | tuple[str, str]] | None = None
    """What of the request it depends on; None: it holds for nothing but this request."""
    shared: bool = False
    """Mixer could not be asked: whoever waits for an answer like this gets the same."""
    valid_for: float = 0.0
    """Seconds."""
    uses: int = 0
    """How often it may be used again; negative for any number."""
    request_changes: tuple[HeaderChange, ...] = ()
    response_changes: tuple[HeaderChange, ...] = ()
    direct_code: int = 0
    direct_body: str = ""
    cache_hit: bool = False
    """The agent did not have to ask."""
    quota_cache_hit: bool = False


@dataclass(frozen=True, slots=True)
class CheckAnswers:
    """Answers to `Checks`, of one question or several."""

    answers: tuple[CheckAnswer, ...]


@dataclass(frozen=True, slots=True)
class InquiryAnswer:
    """What an authorizer said of an `Inquiry`."""

    serial: int
    allowed: bool = False
    failure: str = ""
    """Why there is no verdict; empty when there is one."""
    status: int = 0
    """Of a denial."""
    body: bytes = b""
    request_changes: tuple[HeaderChange, ...] = ()
    response_changes: tuple[HeaderChange, ...] = ()
    """Of the endpoint's response, or of the denial."""


ToWorker: TypeAlias = Update | Drain | AskStats | SetLogLevel | CheckAnswers | InquiryAnswer

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


RequestFacts: TypeAlias = tuple[
    float, bytes, bytes, bytes, bytes, bytes, bytes, bytes, Identities, Mapping[str, object] | None
]
"""Unix time of the start, method, path as it came, authority, scheme, lines of the head, x-istio-attributes if it may
be believed, the client's IP address, what TLS tells, claims of the user's token. A plain tuple, like all that is sent
for each request: pickling those costs least, and so do lines in one piece."""

ResponseFacts: TypeAlias = tuple[int, bytes, bytes, int, int, float, float, str, str]
"""Status, lines of the head and of the trailers, bytes received and sent of the bodies, Unix time of the response
(0.0: none), duration in seconds, response flags, address of the endpoint."""

CheckFacts: TypeAlias = tuple[int, str, bool, bool] | None
"""Code and message of the check, whether it and its quotas came from a cache; None when nothing was checked."""

Ask: TypeAlias = tuple[int, int, RequestFacts]
"""Serial, place in `contexts`, request."""
ReportRecord: TypeAlias = tuple[int, RequestFacts, ResponseFacts, CheckFacts]
"""Place in `contexts`, then what happened."""


ConnectionFacts: TypeAlias = tuple[float, bytes, int, Identities]
"""Unix time of the start, the client's IP address, number of the connection, what TLS tells."""
ConnectionAsk: TypeAlias = tuple[int, int, ConnectionFacts]
"""Serial, place in `contexts`, connection."""
ConnectionRecord: TypeAlias = tuple[int, ConnectionFacts, str, tuple[int, int, int, int], float, str, str, CheckFacts]
"""Place in `contexts`, connection, event (open, continue, close), bytes received and sent since the last report and
altogether, duration in seconds, response flags, address of the endpoint, check."""


@dataclass(frozen=True, slots=True)
class Checks:
    """May these requests and connections go on? Each is answered, in any order."""

    contexts: tuple[MixerContext, ...]
    asks: tuple[Ask, ...]
    connections: tuple[ConnectionAsk, ...] = ()


@dataclass(frozen=True, slots=True)
class Reports:
    """These requests are over, and this became of connections."""

    contexts: tuple[MixerContext, ...]
    records: tuple[ReportRecord, ...]
    connections: tuple[ConnectionRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class InquiredRequest:
    """What an authorizer may learn of a request."""

    method: bytes
    path: bytes
    authority: bytes
    scheme: bytes
    protocol: str
    head: bytes
    """Its lines."""
    body: bytes = b""
    is_partial: bool = False
    """The body is longer."""


@dataclass(frozen=True, slots=True)
class Inquiry:
    """May this request or connection go on? Answered by `InquiryAnswer`."""

    serial: int
    plan: ExtAuthzPlan
    started: float
    """Unix time."""
    source: str
    """Addresses are `ip:port`."""
    destination: str
    principal: str = ""
    """The identity that the client has proved."""
    own: str = ""
    """The identity that this proxy showed."""
    server_name: str = ""
    request: InquiredRequest | None = None
    """None for a connection."""


FromWorker: TypeAlias = Ready | Applied | Refused | Stats | Checks | Reports | Inquiry
