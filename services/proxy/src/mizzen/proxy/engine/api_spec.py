"""Which attributes an HTTPAPISpec states of a request, and where keys of callers are. Bound from plans. ★ hot.

A template is a way down a tree of path segments: a literal goes before `*`, and that before `**`. Source: istio/proxy,
src/istio/api_spec at 1.0.9.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final

from mizzen.proxy.engine.match import regex
from mizzen.proxy.engine.mixer_plan import ApiPattern, ApiPlan

ANY: Final = b"*"
REST: Final = b"**"


class _Node:
    """What templates have in common up to one segment."""

    __slots__ = ("children", "rest", "stated")

    def __init__(self, *, rest: bool = False) -> None:
        self.children: dict[bytes, _Node] = {}
        self.rest = rest
        """The segment is `**`: any number of them, before what follows."""
        self.stated: dict[bytes, bytes] = {}
        """Attributes by method, of templates that end here."""

    def add(self, pattern: ApiPattern) -> None:
        """Of two alike the first counts."""
        node = self
        for segment in pattern.segments:
            child = node.children.get(segment)
            if child is None:
                child = node.children[segment] = _Node(rest=segment == REST)
            node = child
        node.stated.setdefault(pattern.method, pattern.attributes)

    def find(self, parts: list[bytes], at: int, method: bytes) -> bytes | None:
        """The attributes of the template that the segments from `at` on match."""
        if self.rest:
            return self._find_after_rest(parts, at, method)
        if at == len(parts):
            return self._find_here(method)
        for segment in (parts[at], ANY, REST):
            child = self.children.get(segment)
            if child is not None:
                found = child.find(parts, at + 1, method)
                if found is not None:
                    return found
        return None

    def _find_here(self, method: bytes) -> bytes | None:
        stated = self._of(method)
        if stated is None and REST in self.children:
            return self.children[REST]._of(method)
        return stated

    def _find_after_rest(self, parts: list[bytes], at: int, method: bytes) -> bytes | None:
        """Only literals follow `**`. A loop, as paths may have more segments than calls may be nested."""
        if self.children:
            for place in range(at, len(parts)):
                child = self.children.get(parts[place])
                if child is not None:
                    found = child.find(parts, place + 1, method)
                    if found is not None:
                        return found
        return self._of(method)

    def _of(self, method: bytes) -> bytes | None:
        stated = self.stated.get(method)
        return self.stated.get(ANY) if stated is None else stated


class ApiSpec:
    """All APIs of one service, bound."""

    __slots__ = ("_always", "_expressions", "_root", "_verbs")

    def __init__(self, plan: ApiPlan) -> None:
        self._always = plan.attributes
        self._root = _Node()
        self._verbs = {pattern.verb for pattern in plan.patterns if pattern.verb}
        self._expressions: list[tuple[bytes, Callable[[bytes], object], bytes]] = []
        for pattern in plan.patterns:
            if pattern.regex:
                self._expressions.append((pattern.method, regex(pattern.regex).fullmatch, pattern.attributes))
            else:
                self._root.add(pattern)

    def attributes(self, method: bytes, path: bytes) -> bytes:
        """What is stated of a request, serialised: the spec's, then the template's, then those of each regex.

        `path` is with its query, which a regex has to match too, as in Istio.
        """
        stated = self._always
        found = self._root.find(self._parts(path), 0, method)
        if found is not None:
            stated += found
        for expected, matches, attributes in self._expressions:
            if expected == method and matches(path) is not None:
                stated += attributes
        return stated

    def _parts(self, path: bytes) -> list[bytes]:
        """The segments, of which a verb that some template has is one; without empty ones at the end."""
        path = path.partition(b"?")[0]
        if self._verbs:
            before, _, verb = path.rpartition(b":")
            if verb in self._verbs:
                path = before + b"/" + verb
        parts = path.rstrip(b"/").split(b"/")
        del parts[0]
        return parts


@lru_cache(maxsize=1024)
def bind_api(plan: ApiPlan) -> ApiSpec:
    """The same for equal plans."""
    return ApiSpec(plan)
