"""Requirements bound from plans: each is asked about one request, and says what it lacks. ★ hot."""

from __future__ import annotations

from collections.abc import Sequence

from mizzen.proxy.codec.headers import Head
from mizzen.proxy.engine.jwt import failures
from mizzen.proxy.engine.jwt.places import Places
from mizzen.proxy.engine.jwt.plan import AllOf, AllowMissing, AllowMissingOrFailed, AnyOf, Requirement, TokenOf
from mizzen.proxy.engine.jwt.provider import Effects, Provider, audience_names


class Examination:
    """One request that is looked at."""

    __slots__ = ("effects", "head", "now", "path")

    def __init__(self, head: Head, path: bytes, now: float) -> None:
        self.head = head
        self.path = path
        self.now = now
        self.effects: list[Effects] = []
        """Of the good tokens so far."""


class Verifier:
    """A requirement."""

    __slots__ = ()

    def failure(self, examined: Examination, /) -> str | None:
        """What a request lacks; None when it has what it must have."""
        raise NotImplementedError


class _TokenOf(Verifier):
    """All tokens in the places of a provider must be its good ones, and there must be one."""

    __slots__ = ("_audiences", "_places", "_provider")

    def __init__(self, provider: Provider, audiences: tuple[str, ...] | None) -> None:
        self._provider = provider
        self._places = Places((provider.plan,))
        self._audiences = None if audiences is None else audience_names(audiences)

    def failure(self, examined: Examination, /) -> str | None:
        found = self._places.find(examined.head, examined.path)
        if not found:
            return failures.MISSING
        for each in reversed(found):  # Envoy begins with the last
            outcome = self._provider.check(each, examined.now, self._audiences)
            if isinstance(outcome, str):
                return outcome
            examined.effects.append(outcome)
        return None


class _AnyOf(Verifier):
    """One requirement must be met; what the others lack is forgotten then."""

    __slots__ = ("_allows_failed", "_allows_missing", "_verifiers")

    def __init__(self, verifiers: Sequence[Verifier], *, allows_missing: bool, allows_failed: bool) -> None:
        self._verifiers = verifiers
        self._allows_missing = allows_missing
        self._allows_failed = allows_failed

    def failure(self, examined: Examination, /) -> str | None:
        """Among failures, Envoy prefers those of a token to an unknown issuer, and that to none at all."""
        failure: str | None = failures.MISSING
        for verifier in self._verifiers:
            before = len(examined.effects)
            each = verifier.failure(examined)
            if each is None:
                return None
            del examined.effects[before:]
            if each not in (failures.MISSING, failures.UNKNOWN_ISSUER) or failure == failures.MISSING:
                failure = each
        if self._allows_failed or (self._allows_missing and failure == failures.MISSING):
            return None
        return failure


class _AllOf(Verifier):
    __slots__ = ("_verifiers",)

    def __init__(self, verifiers: Sequence[Verifier]) -> None:
        self._verifiers = verifiers

    def failure(self, examined: Examination, /) -> str | None:
        for verifier in self._verifiers:
            failure = verifier.failure(examined)
            if failure is not None:
                return failure
        return None


class _Allow(Verifier):
    """Every token that there is, of whichever provider; a bad one is a fault unless failures are allowed too."""

    __slots__ = ("_allows_failed", "_candidates", "_places")

    def __init__(self, providers: Sequence[Provider], *, allows_failed: bool) -> None:
        self._places = Places([provider.plan for provider in providers])
        by_issuer: dict[str, Provider] = {}
        for provider in providers:
            by_issuer.setdefault(provider.plan.issuer, provider)
        self._candidates = sorted(by_issuer.values(), key=lambda provider: not provider.plan.issuer)
        """The one without an issuer takes what no other one does."""
        self._allows_failed = allows_failed

    def failure(self, examined: Examination, /) -> str | None:
        for found in reversed(self._places.find(examined.head, examined.path)):
            outcome: Effects | str = failures.UNKNOWN_ISSUER
            for provider in self._candidates:
                outcome = provider.check(found, examined.now)
                if outcome != failures.UNKNOWN_ISSUER:
                    break
            if isinstance(outcome, Effects):
                examined.effects.append(outcome)
            elif not self._allows_failed:
                return outcome
        return None


def bind_requirement(plan: Requirement, providers: dict[str, Provider]) -> Verifier:
    """Make a requirement runnable; ValueError names a provider that is not there."""
    match plan:
        case TokenOf(name, audiences):
            if name not in providers:
                raise ValueError(f"provider {name!r} is not configured")
            return _TokenOf(providers[name], audiences)
        case AllOf(requirements):
            return _AllOf([bind_requirement(each, providers) for each in requirements])
        case AnyOf(requirements):
            tokens = [each for each in requirements if not isinstance(each, AllowMissing | AllowMissingOrFailed)]
            allows_failed = any(isinstance(each, AllowMissingOrFailed) for each in requirements)
            if not tokens:
                return _Allow(list(providers.values()), allows_failed=allows_failed)
            verifiers = [bind_requirement(each, providers) for each in tokens]
            allows_missing = any(isinstance(each, AllowMissing) for each in requirements)
            return _AnyOf(verifiers, allows_missing=allows_missing, allows_failed=allows_failed)
        case AllowMissing() | AllowMissingOrFailed():
            return _Allow(list(providers.values()), allows_failed=isinstance(plan, AllowMissingOrFailed))
