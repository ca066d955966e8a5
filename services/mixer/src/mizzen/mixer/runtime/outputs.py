"""Outputs of checks, for the header operations of the rule that asked for them."""

from __future__ import annotations

from collections.abc import Sequence

from mizzen.attributes.bag import Bag
from mizzen.attributes.values import Value
from mizzen.mixer.adapter import CheckResult
from mizzen.mixer.config.vocabulary import action_of

Named = tuple[str, CheckResult]
"""What the instance of an action gave, by the name of the action."""


class OutputBag:
    """A request's attributes, and what a rule's actions gave; of one output, the last one counts.

    The request is never asked for an output: its bag notes what is read, and callers know nothing of outputs.
    """

    __slots__ = ("_actions", "_outputs", "_under", "has_map", "lookup")

    def __init__(self, results: Sequence[Named], under: Bag) -> None:
        self._actions = {action for action, _ in results}
        self._outputs = {
            f"{action}.output.{name}": value for action, result in results for name, value in result.output.items()
        }
        self._under = under
        self.lookup = under.lookup  # outputs are texts, and never maps
        self.has_map = under.has_map

    def get(self, name: str, /) -> Value | None:
        """The output of that name, else the request's attribute."""
        return self._outputs.get(name) if action_of(name) in self._actions else self._under.get(name)
