"""Answers to calls that were made already, so that a repeated call does not take quota twice."""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")


class Recent(Generic[T]):
    """Remembers answers by id for at least `seconds`, and at most twice as long.

    Of each generation at most `most` are kept; further answers are forgotten at once.
    """

    def __init__(self, seconds: float, most: int = 1_000_000) -> None:
        self._seconds = seconds
        self._most = most
        self._recent: dict[str, T] = {}
        self._old: dict[str, T] = {}
        self._turned = 0.0

    def find(self, identity: str, now: float) -> T | None:
        """The answer that was given under this id."""
        self._turn(now)
        answer = self._recent.get(identity)
        return self._old.get(identity) if answer is None else answer

    def keep(self, identity: str, answer: T) -> None:
        """Remember an answer. The empty id names no call."""
        if identity and len(self._recent) < self._most:
            self._recent[identity] = answer

    def _turn(self, now: float) -> None:
        age = now - self._turned
        if age < self._seconds:
            return
        self._old = self._recent if age < 2 * self._seconds else {}
        self._recent = {}
        self._turned = now
