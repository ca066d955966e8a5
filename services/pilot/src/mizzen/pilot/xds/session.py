"""One ADS session without I/O: requests and pushes in, responses out, for state of the world and for delta.

Make before break, with the client's own pace as the clock. A push first sends clusters and their endpoints; listeners
and routes follow when the client has answered those; what nothing refers to any more is taken away when the listeners
and routes that replaced it were accepted. (Listeners themselves are replaced in one response: an old and a new one may
want the same port, and nothing refers to a listener.)

A client that reconnects may hold clusters that were removed meanwhile. In delta it names them. In the
state-of-the-world variant it does not, but right after its request for clusters it names the endpoint sets it wants. So
the answer waits for that, and has a stand-in for each cluster that is no more. It never gets ready: Envoy goes on with
what it has.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from mizzen.pilot.generate.encoded import Encoded
from mizzen.pilot.generate.harvest import Generated
from mizzen.pilot.generate.names import host_of
from mizzen.pilot.generate.typeurls import CLUSTER, ENDPOINT, LISTENER, ORDER, ROUTE, SECRET, WILDCARD
from mizzen.pilot.push.queue import Push
from mizzen.pilot.xds.messages import ALL, DeltaRequest, Response, SotwRequest
from mizzen.pilot.xds.pace import FOLLOWERS, LEADERS, Names, Pace, both
from mizzen.pilot.xds.rules import Reading, Verdict, read_delta, read_sotw
from mizzen.pilot.xds.subscription import MAX_CHARACTERS, Subscription

log = logging.getLogger(__name__)


class GenerationError(Exception):
    """No resource of a type can be generated now; the client keeps what it has, and is answered with a later push."""


class TooManyNames(Exception):
    """A client watches more than it can mean; the stream is to be ended."""


class Source(Protocol):
    """The resources of one client at one instant."""

    @property
    def version(self) -> str:
        """The version of the snapshot behind it."""
        ...

    def resources(self, type_url: str, names: frozenset[str] | None) -> Generated:
        """Those of a type, and what could not be made of them; `names` None asks for all. Raises GenerationError."""
        ...

    def stand_in(self, name: str) -> Encoded:
        """A cluster that never gets ready, so that a client goes on with the one it holds by this name."""
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a request was taken for, and the responses to send."""

    verdict: Verdict
    responses: tuple[Response, ...] = ()


class Session:
    """One stream of one client. Every method that takes `now` wants seconds of one monotonic clock."""

    def __init__(self, *, delta: bool, new_nonce: Callable[[str], str]) -> None:
        """`new_nonce` makes a unique text from a version."""
        self.delta = delta
        self.watches: dict[str, Subscription] = {}
        self._new_nonce = new_nonce
        self._pace = Pace(self.watches)
        self._unanswered: dict[str, Names] = {}
        """Requests whose answer could not be generated; every push tries again."""
        self._retired: set[str] = set()
        """Types of which the client holds resources that are no more."""
        self._leaving: frozenset[str] = frozenset()
        """Clusters that are no more and still in use: their endpoints must not change, least of all to none."""
        self._postponed = False
        """The answer for clusters waits for a request that tells which ones a reconnecting client holds."""

    # -- in ---------------------------------------------------------------------------------------------------------

    def receive(self, request: SotwRequest | DeltaRequest, source: Source, now: float) -> Outcome:
        """Take a request, give what follows from it; raises TooManyNames."""
        type_url = request.type_url
        if type_url not in ORDER:
            log.info("Ignored a request for type %s, which is not served", type_url)
            return Outcome(Verdict.IGNORED)
        before = self.watches.get(type_url)
        if isinstance(request, DeltaRequest):
            reading = read_delta(before, request, now)
        else:
            reading = read_sotw(before, request, now)
        if reading.subscription is None:
            self.watches.pop(type_url, None)
        else:
            self.watches[type_url] = reading.subscription
            if reading.names and reading.subscription.too_large:
                raise TooManyNames(
                    f"the names of {type_url} that are watched have more than {MAX_CHARACTERS} characters"
                )
        if self._to_postpone(request, reading):
            self._postponed = True
            self._pace.stay(now)
            return Outcome(reading.verdict)
        if type_url == ENDPOINT:
            self._pace.endpoints_asked()
        responses = self._answer_postponed(source, now)
        if reading.names is None or reading.names:
            if type_url in FOLLOWERS and not self._pace.leaders_settled:
                self._pace.hold_answer(type_url, reading.names, now)
            elif not (responses and type_url == CLUSTER):
                responses += self._answer(type_url, reading.names, source, now)
        return Outcome(reading.verdict, (*responses, *self.advance(source, now)))

    def push(self, push: Push, source: Source, now: float) -> tuple[Response, ...]:
        """Send what differs from what the client was sent, in order; some of it waits for the client."""
        responses = [*self._answer_postponed(source, now), *self._answer_again(source, now)]
        if CLUSTER in push.types:
            responses += self._update(CLUSTER, source, now)
        if ENDPOINT in push.types:
            responses += self._update(ENDPOINT, source, now)
        elif push.endpoints:
            responses += self._update_hosts(push.endpoints, source, now)
        if SECRET in push.types:  # they wait for nobody: what refers to them has them already, or waits for them
            responses += self._update(SECRET, source, now)
        responses += self._settle_owed(source, now)
        self._pace.hold_news(push.types.intersection(FOLLOWERS), now)
        return (*responses, *self.advance(source, now))

    def advance(self, source: Source, now: float) -> tuple[Response, ...]:
        """Send what no longer has to wait."""
        responses: list[Response] = []
        if self._postponed and self._pace.stayed(now):
            responses += self._answer_postponed(source, now)
        for type_url, names, news in self._pace.take(now):
            responses += self._answer_late(type_url, names, source, now)
            if news:
                responses += self._update(type_url, source, now)
        if self._retired and self._pace.may_remove(now):
            retired, self._retired = self._retired, set()
            for type_url in (ROUTE, SECRET, CLUSTER, ENDPOINT):
                if type_url in retired:
                    responses += self._remove(type_url, source, now)
        return tuple(responses)

    def due(self) -> float | None:
        """When `advance` must be called even if the client stays silent."""
        return self._pace.due(staying=self._postponed or bool(self._retired))

    @property
    def converged(self) -> bool:
        """Nothing waits, and the client has answered everything."""
        return not self._pace.waits and all(watch.settled for watch in self.watches.values())

    # -- out --------------------------------------------------------------------------------------------------------

    def _answer(self, type_url: str, names: Names, source: Source, now: float) -> list[Response]:
        """The answer to a request, empty of resources if need be: the client waits for it."""
        watch = self.watches[type_url]
        try:
            if self.delta:
                response = self._delta_answer(watch, names, source, now)
            elif names is None or type_url in WILDCARD:
                response = self._whole(watch, self._current(watch, source), source)
            else:
                response = self._response(watch, source, self._generated(watch, names, source).values())
        except GenerationError:
            self._unanswered[type_url] = both(self._unanswered.get(type_url, frozenset()), names)
            return []
        self._sent(watch, response, now)
        return [response, *self._settle_owed(source, now)]

    def _answer_again(self, source: Source, now: float) -> list[Response]:
        """Answer what could not be answered before; listeners and routes keep to their order."""
        unanswered, self._unanswered = self._unanswered, {}
        responses: list[Response] = []
        for type_url, names in unanswered.items():
            if type_url in FOLLOWERS:
                self._pace.hold_answer(type_url, names, now)
            else:
                responses += self._answer_late(type_url, names, source, now)
        return responses

    def _answer_late(self, type_url: str, names: Names, source: Source, now: float) -> list[Response]:
        """The answer to what the client asked for a while ago, if it still wants it."""
        watch = self.watches.get(type_url)
        if watch is None:
            return []
        wanted = None if names is None else frozenset(name for name in names if watch.watches(name))
        return self._answer(type_url, wanted, source, now) if wanted is None or wanted else []

    def _delta_answer(self, watch: Subscription, names: Names, source: Source, now: float) -> Response:
        """What was asked for by name is sent, or named as missing; the rest only where it differs."""
        current = self._current(watch, source) if names is None else self._generated(watch, names, source)
        asked = names or ()
        changed = [r for r in current.values() if r.name in asked or watch.is_news(r)]
        expected = (watch.sent.keys() | watch.names) if names is None else names
        # A Secret that cannot be had may never come, and who names it beside others would wait for it.
        unspoken = () if watch.type_url == SECRET else watch.failures
        removed = sorted(name for name in expected if name not in current and name not in unspoken)
        if names is None and watch.type_url in LEADERS:  # it reconnects: what it holds may be in use
            leaving = frozenset(name for name in removed if name in watch.sent)
            removed = [name for name in removed if name not in leaving]
            self._retire(watch, leaving, now)
        return self._response(watch, source, changed, removed)

    def _update_hosts(self, hosts: frozenset[str], source: Source, now: float) -> list[Response]:
        """News of the endpoints of some hosts."""
        watch = self.watches.get(ENDPOINT)
        if watch is None or watch.wildcard:
            return self._update(ENDPOINT, source, now)
        only = frozenset(name for name in watch.names if host_of(name) in hosts)
        return self._update(ENDPOINT, source, now, only=only) if only else []

    def _update(
        self, type_url: str, source: Source, now: float, *, only: frozenset[str] | None = None
    ) -> list[Response]:
        """Without being asked: news of a type, or of some names of it."""
        watch = self.watches.get(type_url)
        if watch is None:
            return []
        try:
            current = self._current(watch, source) if only is None else self._some(watch, only, source)
        except GenerationError:
            return []
        news = [resource for resource in current.values() if watch.is_news(resource)]
        gone = [name for name in watch.sent if name not in current] if only is None else []
        if type_url == CLUSTER:
            self._leaving = frozenset(gone)
        if gone and type_url != LISTENER:
            self._retired.add(type_url)
            gone = []
        whole = not self.delta and type_url in WILDCARD
        # After a NACK there is something to say even without news: the client's answer ends the error, or renews it.
        if not news and not gone and not (watch.error and (self.delta or whole)):
            return []
        response = self._whole(watch, current, source) if whole else self._response(watch, source, news, gone)
        self._sent(watch, response, now)
        watch.forget(gone)
        return [response]

    def _remove(self, type_url: str, source: Source, now: float) -> list[Response]:
        """Take away what is no more."""
        watch = self.watches.get(type_url)
        if watch is None:
            return []
        try:
            current = self._current(watch, source)
        except GenerationError:
            self._retired.add(type_url)
            return []
        if type_url == CLUSTER:
            self._leaving = frozenset()
            self._pace.stand_ins(sent=False)
        gone = [name for name in watch.sent if name not in current]
        if not gone:
            return []
        watch.forget(gone)
        if self.delta:
            response = self._response(watch, source, (), gone)
        elif type_url in WILDCARD:
            response = self._response(watch, source, current.values())
        else:
            return []  # the state-of-the-world variant cannot say it; its clients drop these by themselves
        self._sent(watch, response, now)
        return [response]

    def _whole(self, watch: Subscription, current: Mapping[str, Encoded], source: Source) -> Response:
        """All that a client of the state-of-the-world variant should hold, with what is yet to be retired."""
        kept = {name: held for name, held in watch.sent.items() if name not in current and watch.type_url != LISTENER}
        if kept:
            self._retired.add(watch.type_url)
        if watch.type_url == CLUSTER:
            self._leaving = frozenset(kept)
        return self._response(watch, source, (*current.values(), *kept.values()))

    def _some(self, watch: Subscription, names: frozenset[str], source: Source) -> Mapping[str, Encoded]:
        watched = frozenset(name for name in names if watch.watches(name))
        return self._generated(watch, watched, source) if watched else {}

    def _current(self, watch: Subscription, source: Source) -> Mapping[str, Encoded]:
        everything = self._generated(watch, None, source) if watch.wildcard else {}
        return {**everything, **self._generated(watch, frozenset(watch.names), source)} if watch.names else everything

    def _generated(self, watch: Subscription, names: Names, source: Source) -> Mapping[str, Encoded]:
        """What is right for this client: it keeps what it holds of what could not be made anew."""
        try:
            made = source.resources(watch.type_url, names)
        except GenerationError as error:
            watch.note_failures(None, {ALL: str(error)})
            raise
        watch.note_failures(names, made.failures)
        kept = {name: watch.sent[name] for name in (*made.failures, *made.substitutes) if name in watch.sent}
        found = {**made.resources, **made.substitutes, **kept}
        if watch.type_url == ENDPOINT:
            for name in self._leaving:
                found.pop(name, None)
        return found

    def _response(
        self, watch: Subscription, source: Source, resources: Iterable[Encoded], removed: Iterable[str] = ()
    ) -> Response:
        nonce = self._new_nonce(source.version)
        # What a client said it holds has no body here. It is only ever kept.
        bodies = tuple(resource for resource in resources if resource.body)
        return Response(watch.type_url, source.version, nonce, bodies, tuple(removed))

    def _sent(self, watch: Subscription, response: Response, now: float) -> None:
        """Book a response that is about to be returned."""
        if watch.type_url == CLUSTER:
            self._owe_endpoints(resource.name for resource in response.resources if watch.is_news(resource))
        watch.record(response, now)

    # -- clients that reconnect -------------------------------------------------------------------------------------

    def _to_postpone(self, request: SotwRequest | DeltaRequest, reading: Reading) -> bool:
        """A client of the state-of-the-world variant that reconnects, and has not told yet what it holds."""
        return (
            isinstance(request, SotwRequest)
            and request.type_url == CLUSTER
            and reading.verdict is Verdict.FIRST
            and reading.subscription is not None
            and reading.subscription.wildcard
            and bool(request.version)
            and ENDPOINT not in self.watches
        )

    def _answer_postponed(self, source: Source, now: float) -> list[Response]:
        """Clusters for a client that reconnected, with stand-ins for those that it holds and that are no more."""
        if not self._postponed:
            return []
        self._postponed = False
        watch, held = self.watches.get(CLUSTER), self.watches.get(ENDPOINT)
        if watch is None:
            return []
        if held is not None:
            watch.sent = {name: source.stand_in(name) for name in held.names}
        responses = self._answer(CLUSTER, None, source, now)
        self._pace.stand_ins(sent=bool(self._leaving))
        return responses

    def _retire(self, watch: Subscription, leaving: frozenset[str], now: float) -> None:
        """Take these away when the listeners and routes that replaced them were accepted."""
        if watch.type_url == CLUSTER:
            self._leaving = leaving
        if leaving:
            self._retired.add(watch.type_url)
            self._pace.stay(now)

    # -- endpoints of clusters that were just sent ------------------------------------------------------------------

    def _owe_endpoints(self, clusters: Iterable[str]) -> None:
        """Changed clusters warm again and wait for their endpoints, even for known ones."""
        watch = self.watches.get(ENDPOINT)
        if watch is not None:
            watch.owed.update(name for name in clusters if watch.watches(name))

    def _settle_owed(self, source: Source, now: float) -> list[Response]:
        """Send owed endpoints at once in delta, where the client has no way to ask again.

        In the state-of-the-world variant it repeats its request when it is ready for them, and might miss an answer
        that comes earlier.
        """
        watch = self.watches.get(ENDPOINT)
        if watch is None or not self.delta or not watch.owed:
            return []
        owed = watch.take_owed()
        try:
            current = self._some(watch, owed, source)
        except GenerationError:
            watch.owed |= owed
            return []
        response = self._response(watch, source, current.values())
        self._sent(watch, response, now)
        return [response]
