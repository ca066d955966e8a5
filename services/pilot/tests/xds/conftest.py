"""A session played like a script: each line is what the client says, its value is what the session answers."""

from __future__ import annotations

from itertools import count

import pytest

from mizzen.pilot.generate.encoded import Encoded
from mizzen.pilot.generate.harvest import Generated
from mizzen.pilot.generate.typeurls import CLUSTER, ENDPOINT, LISTENER, ROUTE, SECRET
from mizzen.pilot.push.queue import Push
from mizzen.pilot.xds.messages import DeltaRequest, Response, SotwRequest
from mizzen.pilot.xds.rules import Verdict
from mizzen.pilot.xds.session import GenerationError, Session

TYPES = {"cds": CLUSTER, "eds": ENDPOINT, "lds": LISTENER, "rds": ROUTE, "sds": SECRET}
SHORT = {url: short for short, url in TYPES.items()}


class World:
    """A source whose resources are written as `cds="a1 b1"`: the last character of a word is the version.

    `a1!` cannot be generated, and `a1?` is a substitute, for clients that hold no other one.
    """

    def __init__(self) -> None:
        self.version = "0"
        self.broken: set[str] = set()
        self._resources: dict[str, list[str]] = {url: [] for url in SHORT}

    def set(self, **types: str) -> None:
        self.version = str(int(self.version) + 1)
        for short, words in types.items():
            self._resources[TYPES[short]] = words.split()

    def resources(self, type_url: str, names: frozenset[str] | None) -> Generated:
        if SHORT[type_url] in self.broken:
            raise GenerationError("broken")
        made = Generated()
        for word in self._resources[type_url]:
            name = word.strip("?!")[:-1]
            if names is None or name in names:
                resource = Encoded(name, word.strip("?!").encode(), word.strip("?!")[-1])
                if "!" in word:
                    made.failures[name] = "broken"
                if "!" not in word:
                    (made.substitutes if "?" in word else made.resources)[name] = resource
        return made

    def stand_in(self, name: str) -> Encoded:
        return Encoded(name, f"{name}~".encode(), "~")


class Script:
    """One client; answers are texts like `cds a1 b2 -c` (a minus marks a removal)."""

    def __init__(self, *, delta: bool) -> None:
        self.world = World()
        self.now = 1000.0
        self.verdict: Verdict | None = None
        numbers = count(1)
        self.session = Session(delta=delta, new_nonce=lambda version: f"{version}/{next(numbers)}")
        self.nonces: dict[str, str] = {}
        """The last nonce of each type that the client has seen."""
        self._names: dict[str, frozenset[str]] = {}

    def sotw(
        self,
        short: str,
        names: str | None = None,
        *,
        nonce: str | None = None,
        error: str | None = None,
        version: str = "",
    ) -> list[str]:
        """Send a request; without `names` those of the last one, without `nonce` the last one of the type."""
        wanted = self._names.get(short, frozenset()) if names is None else frozenset(names.split())
        self._names[short] = wanted
        return self._say(SotwRequest(TYPES.get(short, short), wanted, self._nonce(short, nonce), error, version))

    def delta(
        self,
        short: str,
        add: str = "",
        drop: str = "",
        *,
        has: str = "",
        nonce: str = "",
        error: str | None = None,
    ) -> list[str]:
        initial = {word[:-1]: word[-1] for word in has.split()}
        request = DeltaRequest(
            TYPES.get(short, short), frozenset(add.split()), frozenset(drop.split()), initial, nonce, error
        )
        return self._say(request)

    def ack(self, short: str) -> list[str]:
        """Accept the last response of a type."""
        return self.delta(short, nonce=self.nonces[short]) if self.session.delta else self.sotw(short)

    def nack(self, short: str, error: str = "bad") -> list[str]:
        """Refuse the last response of a type."""
        if self.session.delta:
            return self.delta(short, nonce=self.nonces[short], error=error)
        return self.sotw(short, error=error)

    def push(self, types: str = "cds eds lds rds", endpoints: str = "") -> list[str]:
        push = Push(self.now, frozenset(TYPES[short] for short in types.split()), frozenset(endpoints.split()))
        return self._hear(self.session.push(push, self.world, self.now))

    def wait(self, seconds: float) -> list[str]:
        """Let time pass as a shell does: nothing is asked before it is due."""
        self.now += seconds
        due = self.session.due()
        return self._hear(self.session.advance(self.world, self.now)) if due is not None and due <= self.now else []

    def status(self, short: str) -> str:
        watch = self.session.watches.get(TYPES[short])
        return watch.status.value if watch else "IGNORED"

    def _nonce(self, short: str, nonce: str | None) -> str:
        return self.nonces.get(short, "") if nonce is None else nonce

    def _say(self, request: SotwRequest | DeltaRequest) -> list[str]:
        outcome = self.session.receive(request, self.world, self.now)
        self.verdict = outcome.verdict
        return self._hear(outcome.responses)

    def _hear(self, responses: tuple[Response, ...]) -> list[str]:
        heard = []
        for response in responses:
            short = SHORT[response.type_url]
            assert response.nonce != self.nonces.get(short), "a nonce is used once"
            assert response.version == self.world.version
            self.nonces[short] = response.nonce
            words = [resource.body.decode() for resource in response.resources]
            heard.append(" ".join((short, *words, *(f"-{name}" for name in response.removed))))
        return heard


@pytest.fixture
def sotw() -> Script:
    return Script(delta=False)


@pytest.fixture
def delta() -> Script:
    return Script(delta=True)


@pytest.fixture(params=["sotw", "delta"])
def started(request: pytest.FixtureRequest) -> Script:
    """A client of either variant that has everything: clusters a and b, listener l, route r."""
    return _start(Script(delta=request.param == "delta"))


def _start(script: Script) -> Script:
    script.world.set(cds="a1 b1", eds="a1 b1", lds="l1", rds="r1")
    ask = script.delta if script.session.delta else script.sotw
    for short, names, answer in (
        ("cds", "", "cds a1 b1"),
        ("eds", "a b", "eds a1 b1"),
        ("lds", "", "lds l1"),
        ("rds", "r", "rds r1"),
    ):
        assert ask(short, names) == [answer]
        assert script.ack(short) == []
        assert script.status(short) == "SYNCED"
    return script


@pytest.fixture
def started_sotw(sotw: Script) -> Script:
    return _start(sotw)


@pytest.fixture
def started_delta(delta: Script) -> Script:
    return _start(delta)


class Client:
    """Applies what it hears, as an obvious model of an Envoy that watches clusters and listeners."""

    def __init__(self, *, delta: bool) -> None:
        self.script = Script(delta=delta)
        self.holds: dict[str, dict[str, str]] = {"cds": {}, "lds": {}}
        self._unanswered: list[str] = []
        self._world: dict[str, dict[str, str]] = {"cds": {}, "lds": {}}
        self.script.world.set(cds="", lds="")
        ask = self.script.delta if delta else self.script.sotw
        self.hear(ask("cds"))
        self.hear(ask("lds"))

    def world_is(self, clusters: list[str], version: str, listeners: list[str], listener_version: str) -> None:
        self._world = {
            "cds": dict.fromkeys(clusters, version),
            "lds": dict.fromkeys(listeners, listener_version),
        }
        self.script.world.set(**{k: " ".join(n + v for n, v in held.items()) for k, held in self._world.items()})

    def expected(self, short: str) -> dict[str, str]:
        return self._world[short]

    def hear(self, heard: list[str]) -> None:
        for text in heard:
            short, *words = text.split()
            if not self.script.session.delta:
                self.holds[short] = {}
            for word in words:
                if word.startswith("-"):
                    self.holds[short].pop(word[1:], None)
                else:
                    self.holds[short][word[:-1]] = word[-1]
            self._unanswered.append(short)

    def answer(self, how: str) -> None:
        """ACK or NACK the oldest unanswered response; `late` lets one answer get lost."""
        if not self._unanswered:
            return
        short = self._unanswered.pop(0)
        if how == "late":
            self._unanswered.append(short)
        elif short not in self._unanswered:
            self.hear(self.script.ack(short) if how == "ack" else self.script.nack(short))


@pytest.fixture(scope="session")
def make_client() -> type[Client]:
    return Client
