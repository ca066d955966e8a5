"""An ADS client without I/O: delta xDS, as Envoy's documentation "xDS REST and gRPC protocol" describes it.

One object lives as long as the agent; each stream begins with `open`. A resource that cannot be compiled keeps its
last good version and is named in the NACK; the others of the same response are applied all the same, so that one bad
resource never takes another with it. An ACK is sent when the workers run what it stands for. When they run later what
they refused at first, the last response of its type is answered once more, with what is still wrong or with an ACK.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from envoy.service.discovery.v3 import discovery_pb2
from google.rpc import code_pb2, status_pb2

from mizzen.proxy.engine.plan import Plan, PlanKind
from mizzen.proxy.snapshot.result import Rejected, title
from mizzen.proxy.snapshot.store import KIND_OF, KINDS, TYPE_URLS, Held, Store

_MAX_REASONS = 10
"""How many rejected resources one NACK names."""

_REFUSED_SECONDS, _REFUSED_MAX_SECONDS = 10.0, 3600.0
"""Until a plan that the workers refused is given to them again: at first, and after many times."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What the workers shall run from now on."""

    held: tuple[Held, ...]
    removed: tuple[tuple[PlanKind, str], ...]
    """Nothing that is in `held`."""

    @property
    def plans(self) -> tuple[Plan, ...]:
        return tuple(held.plan for held in self.held)


@dataclass(slots=True)
class _Answer:
    """A response that is not answered yet."""

    kind: PlanKind
    nonce: str
    waiting: list[Held]
    errors: list[str]


class AdsSession:
    """Subscriptions, versions, and what has to be answered."""

    def __init__(self, node: Any) -> None:
        self.store = Store()
        self._node = node
        self._subscribed: dict[PlanKind, set[str]] = {}
        self._answers: list[_Answer] = []
        self._nonces: dict[PlanKind, str] = {}
        """Those of the last responses."""
        self._recovered: set[PlanKind] = set()
        """Types of which something runs that Pilot was told of as refused."""
        self._removed: list[tuple[PlanKind, str]] = []
        self._received: set[PlanKind] = set()

    @property
    def ready(self) -> bool:
        """Clusters and listeners were received, and everything that they refer to runs."""
        return {"cluster", "listener"} <= self._received and all(
            held.state in ("live", "refused") for kind in KINDS for held in self.store.kinds[kind].values()
        )

    def open(self) -> list[Any]:
        """The first requests of a new stream: what is wanted, and what is already here."""
        self._answers.clear()
        self._nonces.clear()
        self._recovered.clear()
        self._subscribed = self._wanted()
        requests = []
        for kind in KINDS:
            names = self._subscribed.get(kind)
            if names is None or names:
                requests.append(
                    discovery_pb2.DeltaDiscoveryRequest(
                        type_url=TYPE_URLS[kind],
                        resource_names_subscribe=sorted(names or ()),
                        initial_resource_versions=self.store.versions(kind),
                    )
                )
        requests[0].node.CopyFrom(self._node)
        return requests

    def receive(self, response: Any) -> None:
        """Take a DeltaDiscoveryResponse in; then see `take` and `requests`."""
        kind = KIND_OF.get(response.type_url)
        if kind is None:
            return
        self._received.add(kind)
        waiting, errors = [], []
        for resource in response.resources:
            rejected = self._put(kind, resource)
            if rejected is not None:
                errors.append(str(rejected))
            else:
                waiting.append(self.store.kinds[kind][resource.name])
        self._removed += self.store.lacks(kind, response.removed_resources)
        self._drop_unreferenced()
        self.store.release()
        self._nonces[kind] = response.nonce
        self._answers.append(_Answer(kind, response.nonce, waiting, errors))

    def take(self) -> Delivery | None:
        """What the workers should be given now, until `delivered` is told how it went."""
        due = tuple(self.store.due())
        # What came back before its removal was delivered is replaced when its turn comes.
        self._removed = [(kind, name) for kind, name in self._removed if name not in self.store.kinds[kind]]
        if not due and not self._removed:
            return None
        return Delivery(due, tuple(self._removed))

    def delivered(self, delivery: Delivery, refused: tuple[Rejected, ...], now: float) -> None:
        """The workers run the delivery, except for what they refused, which `retry` brings up again.

        `now` is in seconds of any one clock.
        """
        self._removed = [key for key in self._removed if key not in delivery.removed]
        reasons = {item.resource: item for item in refused}
        for held in delivery.held:
            reason = reasons.get(title(held.plan))
            if reason is not None:
                _refuse(held, reason, now)
                continue
            if held.error:
                self._recovered.update(kind for kind in KINDS if self.store.holds(kind, held))
            held.state, held.error = "live", ""

    def retry(self, now: float) -> bool:
        """Make due what was refused long enough ago or has waited too long; whether there is anything to deliver."""
        self.store.wait_no_longer(now)
        for held in self.store.refused():
            if held.due_at <= now:
                held.state = "due"
        return bool(self._removed or self.store.due())

    def requests(self) -> list[Any]:
        """ACKs and NACKs that are due, then changed subscriptions."""
        requests = []
        for answer in [answer for answer in self._answers if self._is_settled(answer)]:
            self._answers.remove(answer)
            refused = [held.error for held in answer.waiting if held.state == "refused"]
            requests.append(_answer(answer.kind, answer.nonce, answer.errors + refused))
        for kind in self._recovered & self._nonces.keys() - {answer.kind for answer in self._answers}:
            requests.append(_answer(kind, self._nonces[kind], list(self.store.errors(kind).values())))
            self._recovered.remove(kind)
        for kind, wanted in self._wanted().items():
            requests += self._resubscribe(kind, wanted)
        return requests

    def _wanted(self) -> dict[PlanKind, set[str]]:
        """What is subscribed to by name, because something held refers to it."""
        store = self.store
        return {
            "endpoint_set": store.endpoint_set_names(),
            "route_table": store.route_table_names(),
            "secret": store.asked_secret_names(),
        }

    def _put(self, kind: PlanKind, resource: Any) -> Rejected | None:
        if resource.resource.type_url != TYPE_URLS[kind]:
            return Rejected(resource.name, "", f"a {resource.resource.type_url} in an answer about {TYPE_URLS[kind]}")
        try:
            return self.store.put(kind, resource.name, resource.version, resource.resource.value)
        except ValueError as error:  # google.protobuf.message.DecodeError
            return Rejected(resource.name, "", f"cannot be decoded: {error}")

    def _drop_unreferenced(self) -> None:
        """Endpoint sets, route tables and secrets live as long as something refers to them."""
        kinds = self.store.kinds
        for kind, wanted in self._wanted().items():
            self._removed += self.store.forget(kind, kinds[kind].keys() - wanted)

    def _is_settled(self, answer: _Answer) -> bool:
        """Everything in it runs, was refused, or is not what counts any more."""
        return all(
            held.state in ("live", "refused") or not self.store.holds(answer.kind, held) for held in answer.waiting
        )

    def _resubscribe(self, kind: PlanKind, wanted: set[str]) -> list[Any]:
        known = self._subscribed.get(kind, set())
        if wanted == known:
            return []
        self._subscribed[kind] = wanted
        return [
            discovery_pb2.DeltaDiscoveryRequest(
                type_url=TYPE_URLS[kind],
                resource_names_subscribe=sorted(wanted - known),
                resource_names_unsubscribe=sorted(known - wanted),
            )
        ]


def _refuse(held: Held, reason: Rejected, now: float) -> None:
    held.state, held.error = "refused", str(reason)
    if reason.passing:
        held.due_at = now
    else:  # what workers stumble over, or hang on, costs connections each time
        held.due_at = now + min(_REFUSED_SECONDS * 2**held.refusals, _REFUSED_MAX_SECONDS)
        held.refusals += 1


def _answer(kind: PlanKind, nonce: str, errors: list[str]) -> Any:
    """An ACK, or a NACK that names the errors."""
    request = discovery_pb2.DeltaDiscoveryRequest(type_url=TYPE_URLS[kind], response_nonce=nonce)
    if errors:
        shown = errors[:_MAX_REASONS]
        if len(errors) > len(shown):
            shown.append(f"and {len(errors) - len(shown)} more")
        request.error_detail.CopyFrom(status_pb2.Status(code=code_pb2.INVALID_ARGUMENT, message="; ".join(shown)))
    return request
