"""Whatever becomes of connections, what a reflector knows is what the server had at the version that it states."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mizzen.api.kubernetes import Namespace
from mizzen.api.problem import Problem
from mizzen.api.resource import Metadata, Resource, ResourceKey
from mizzen.kubernetes.objects import Reading
from mizzen.kubernetes.reflector import Reflector

State = dict[str, int]
"""Names, and what each was last set to."""


def key(name: str) -> ResourceKey:
    return ResourceKey("Namespace", "", name)


def reading(name: str, value: int, version: int) -> Reading:
    metadata = Metadata(name=name, namespace="", labels={"value": str(value)})
    return Reading(key(name), str(version), Resource("v1", "Namespace", metadata, Namespace()))


def broken(name: str, version: int) -> Reading:
    return Reading(key(name), str(version), None, (Problem(None, f"Namespace {name}", "spec", "is wrong"),))


def known(reflector: Reflector) -> State:
    return {key.name: int(r.metadata.labels["value"]) for key, r in reflector.resources.items()}


@dataclass
class Server:
    """A collection with its history, as far back as `oldest`."""

    states: list[State] = field(default_factory=lambda: [{}])
    oldest: int = 0

    @property
    def version(self) -> int:
        return len(self.states) - 1

    def change(self, name: str, value: int) -> None:
        """Set a name, or remove it with 0."""
        state = dict(self.states[-1])
        if value:
            state[name] = value
        elif state.pop(name, None) is None:
            return
        self.states.append(state)


class Follower:
    """What a watcher does, one step at a time; `mirror` believes in nothing but the reported keys."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.reflector = Reflector()
        self.mirror: State = {}
        self.position: int | None = None
        """The version that the open watch has told of; None when none is open."""

    def disconnect(self) -> None:
        self.position = None

    def step(self, repeat: int, bookmark: bool) -> None:
        """List, open a watch (which may begin `repeat` events too early), or take one event."""
        if self.reflector.version is None:
            self.position = None
            items = [reading(name, value, self.server.version) for name, value in self.server.states[-1].items()]
            self._report(self.reflector.listed(items, str(self.server.version)))
        elif self.position is None:
            begin = int(self.reflector.version)
            if begin < self.server.oldest:
                self.reflector.expired()
            else:
                self.position = max(self.server.oldest, begin - repeat)
        elif self.position < self.server.version:
            self._event(self.position + 1)
        elif bookmark:
            self.reflector.bookmark(str(self.position))

    def _event(self, version: int) -> None:
        before, after = self.server.states[version - 1], self.server.states[version]
        for name in before.keys() - after.keys():
            self._report(self.reflector.remove(key(name), str(version)))
        for name, value in after.items():
            if before.get(name) != value:
                self._report(self.reflector.put(reading(name, value, version)))
        self.position = version

    def _report(self, keys: frozenset[ResourceKey]) -> None:
        for changed in keys:
            found = self.reflector.resources.get(changed)
            before = self.mirror.pop(changed.name, None)
            if found is not None:
                self.mirror[changed.name] = int(found.metadata.labels["value"])
            assert before != self.mirror.get(changed.name), "a change that is none"


ACTIONS = st.one_of(
    st.tuples(st.just("change"), st.sampled_from("abc"), st.integers(0, 3)),
    st.tuples(st.just("step"), st.integers(0, 3), st.booleans()),
    st.tuples(st.just("step"), st.integers(0, 3), st.booleans()),
    st.just(("disconnect",)),
    st.tuples(st.just("compact"), st.integers(0, 2)),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(ACTIONS, max_size=60))
def test_no_interleaving_loses_an_event_or_empties_the_table(actions: list[tuple[object, ...]]) -> None:
    server = Server()
    follower = Follower(server)
    last = -1
    for name, *arguments in actions:
        if name == "change":
            server.change(*arguments)  # type: ignore[arg-type]
        elif name == "step":
            follower.step(*arguments)  # type: ignore[arg-type]
        elif name == "disconnect":
            follower.disconnect()
        else:
            server.oldest = max(server.oldest, server.version - arguments[0])  # type: ignore[operator]
        if follower.reflector.version is not None:
            now = int(follower.reflector.version)
            assert now >= last, "time goes one way"
            assert known(follower.reflector) == server.states[now]
            last = now
        elif last >= 0:
            assert known(follower.reflector) == server.states[last], "an expired version empties nothing"
        assert follower.mirror == known(follower.reflector), "every change was reported"
    for _ in range(len(server.states) + 5):
        follower.step(0, True)
    assert known(follower.reflector) == server.states[-1] == follower.mirror


def test_a_list_reports_what_differs_and_nothing_else() -> None:
    reflector = Reflector()
    reflector.listed([reading("same", 1, 1), reading("other", 1, 1), reading("gone", 1, 1)], "3")
    reflector.expired()
    changed = reflector.listed([reading("same", 1, 7), reading("other", 2, 8), reading("new", 1, 9)], "9")
    assert changed == {key("other"), key("gone"), key("new")}


def test_a_broken_object_is_a_problem_and_keeps_its_last_good_version() -> None:
    reflector = Reflector()
    reflector.listed([reading("a", 1, 1), broken("b", 2)], "2")
    assert known(reflector) == {"a": 1}
    assert reflector.put(broken("a", 3)) == frozenset()
    assert known(reflector) == {"a": 1}
    assert sorted(reflector.problems) == [key("a"), key("b")]
    reflector.expired()
    assert reflector.listed([broken("a", 3), broken("b", 2)], "4") == frozenset()
    assert known(reflector) == {"a": 1}
    assert reflector.put(reading("b", 5, 5)) == {key("b")}
    assert sorted(reflector.problems) == [key("a")]
    assert reflector.remove(key("a"), "6") == {key("a")}
    assert not reflector.problems


def test_a_broken_object_without_a_good_version_leaves_without_a_change() -> None:
    reflector = Reflector()
    reflector.listed([broken("b", 2)], "2")
    assert reflector.remove(key("b"), "3") == frozenset()
    assert not reflector.problems


@pytest.mark.parametrize("version", ["0a", "", "9"])
def test_versions_that_cannot_be_compared_are_taken(version: str) -> None:
    reflector = Reflector()
    reflector.listed([], "7" if version == "9" else version)
    assert reflector.put(reading("a", 1, 8)) == {key("a")}
