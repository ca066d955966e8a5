"""Which requests a rule reports on, where it does not report on all.

Istio defined this for 1.1 and never built it; source: the Sampling message of policy/v1beta1 in istio/api at 1.1.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from zlib import crc32

from mizzen.api.mixer.rule import Denominator, RandomSampling, RateLimitSampling
from mizzen.attributes.bag import Bag
from mizzen.mixer.config.rules import SamplingConfig
from mizzen.mixer.expressions.errors import EvaluationError
from mizzen.mixer.expressions.expression import Expression

_SIZES = {Denominator.HUNDRED: 100, Denominator.TEN_THOUSAND: 10_000}


class Sampler:
    """Takes the requests that pass a random share, and then a limit by rate, where they are given."""

    __slots__ = ("_clock", "_numerator", "_random", "_share", "_window")

    def __init__(
        self,
        config: SamplingConfig,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._share = config.spec.random
        self._numerator = config.numerator
        self._window = _Window(config.spec.rate_limit) if config.spec.rate_limit else None
        self._clock = clock
        self._random = chance

    @property
    def reads(self) -> frozenset[str]:
        """The attributes that it may ask for."""
        numerator = self._numerator.reads if self._numerator else ()
        return frozenset({"request.headers", *[read.name for read in numerator]})

    def takes(self, bag: Bag) -> bool:
        """Whether a report is made of a request."""
        if self._share is not None and not self._in_share(self._share, bag):
            return False
        return self._window is None or self._window.takes(self._clock())

    def _in_share(self, share: RandomSampling, bag: Bag) -> bool:
        size = _SIZES[share.percent_sampled.denominator]
        numerator = _value(self._numerator, bag) if share.attribute_expression else share.percent_sampled.numerator
        request = None if share.use_independent_randomness else bag.lookup("request.headers", "x-request-id")
        # By the request's id, all rules and all proxies on a request's way decide alike.
        place = self._random() * size if request is None else _spread(request) % size
        return place < numerator


def _value(numerator: Expression | None, bag: Bag) -> float:
    """What an expression says of a request; 0 where it says no number."""
    try:
        value = numerator.evaluate(bag) if numerator is not None else 0
    except EvaluationError:
        return 0
    return value if isinstance(value, int | float) else 0


def _spread(request_id: str) -> int:
    """A number from an id: as Envoy, the first 8 digits of a UUID; of other ids a checksum."""
    try:
        return int(request_id[:8], 16)
    except ValueError:
        return crc32(request_id.encode("utf-8", "surrogatepass"))


class _Window:
    """All until a number within a window of time, then one in so many (none, where that is 0)."""

    __slots__ = ("_config", "_count", "_end")

    def __init__(self, config: RateLimitSampling) -> None:
        self._config = config
        self._end = 0.0
        self._count = 0

    def takes(self, now: float) -> bool:
        if now >= self._end:
            self._end = now + self._config.sampling_duration.total_seconds()
            self._count = 0
        self._count += 1
        beyond = self._count - self._config.max_unsampled_entries
        rate = self._config.sampling_rate
        return beyond <= 0 or (rate > 0 and beyond % rate == 0)
