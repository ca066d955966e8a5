"""All counters of a handler, and the limits they are held to. No clock: time is an argument."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from datetime import timedelta
from typing import Protocol

from mizzen.attributes.values import Value
from mizzen.mixer.adapter import AdapterError
from mizzen.mixer.adapters.memquota.window import TICKS_PER_SECOND, Cell, RollingWindow
from mizzen.mixer.adapters.text import text_of

Key = tuple[str, tuple[tuple[str, str], ...]]
MOST = 100_000
_SECOND = timedelta(seconds=1)


class Limit(Protocol):
    """An amount, within a time or (zero) for good."""

    @property
    def max_amount(self) -> int: ...

    @property
    def valid_duration(self) -> timedelta: ...


def key_of(instance: str, dimensions: Mapping[str, Value]) -> Key:
    """What a counter is kept under: the instance and every dimension."""
    return instance, tuple(sorted((name, text_of(value)) for name, value in dimensions.items()))


class Counters:
    """Cells and windows by key: at most `most` of each.

    When there is no more room, the window that was not used for longest gives way; a cell never does.
    """

    def __init__(self, most: int = MOST) -> None:
        self.evicted = 0
        self._most = most
        self._cells: dict[Key, Cell] = {}
        self._windows: OrderedDict[Key, RollingWindow] = OrderedDict()

    def __len__(self) -> int:
        return len(self._cells) + len(self._windows)

    def take(self, key: Key, amount: int, limit: Limit, now: float, *, best_effort: bool) -> int:
        """Units granted. `now` in seconds. Raises AdapterError when a cell more would be too many."""
        if not limit.valid_duration:
            return self._cell(key).take(amount, limit.max_amount, best_effort=best_effort)
        window = self._window(key, limit.valid_duration)
        return window.take(amount, limit.max_amount, int(now * TICKS_PER_SECOND), best_effort=best_effort)

    def give_back(self, key: Key, amount: int, limit: Limit, now: float) -> int:
        """Units given back."""
        counters: dict[Key, Cell] | OrderedDict[Key, RollingWindow]
        if not limit.valid_duration:
            cell = self._cells.get(key, Cell())
            returned, used, counters = cell.give_back(amount), cell.used, self._cells
        else:
            window = self._windows.get(key, RollingWindow(1))
            returned, used = window.give_back(amount, int(now * TICKS_PER_SECOND)), window.used
            counters = self._windows
        if not used:
            counters.pop(key, None)
        return returned

    def _cell(self, key: Key) -> Cell:
        cell = self._cells.get(key)
        if cell is None:
            if len(self._cells) >= self._most:
                raise AdapterError(f"{self._most} counters are in use; no room for one more of {key[0]}")
            cell = self._cells[key] = Cell()
        return cell

    def _window(self, key: Key, duration: timedelta) -> RollingWindow:
        window = self._windows.get(key)
        if window is None:
            window = self._windows[key] = RollingWindow(-(-duration // _SECOND) * TICKS_PER_SECOND)
            if len(self._windows) > self._most:
                self._windows.popitem(last=False)
                self.evicted += 1
        else:
            self._windows.move_to_end(key)
        return window
