"""The filter jwt_authn, bound: a request goes on with what its tokens say of it, or gets Envoy's answer. ★ hot."""

from __future__ import annotations

from functools import lru_cache
from typing import Final, Protocol

from mizzen.proxy.base.flags import LocalReply
from mizzen.proxy.codec.headers import Head, add, line
from mizzen.proxy.engine.jwt import failures
from mizzen.proxy.engine.jwt.cache import TokenCache
from mizzen.proxy.engine.jwt.places import COOKIE, HEADER, without_param
from mizzen.proxy.engine.jwt.plan import FILTER, JwtPlan
from mizzen.proxy.engine.jwt.provider import Effects, Provider
from mizzen.proxy.engine.jwt.verifier import Examination, Verifier, bind_requirement
from mizzen.proxy.engine.match import bind_path_and_conditions
from mizzen.proxy.engine.request import Findings, RequestView

_MAX_REALM: Final = 256
"""Bytes of the path in www-authenticate."""


class Bearer(RequestView, Protocol):
    """A request that may carry tokens, and is edited."""

    head: Head
    path: bytes
    findings: Findings


class TokenFilter:
    """Keeps no more than the tokens that it has verified."""

    __slots__ = ("_bypasses_preflight", "_output_headers", "_rules", "_says_why", "cache")

    def __init__(self, plan: JwtPlan) -> None:
        self.cache = TokenCache()
        providers = {each.name: Provider(each, self.cache) for each in plan.providers}
        self._rules = [
            (
                bind_path_and_conditions(rule.match),
                None if rule.requirement is None else bind_requirement(rule.requirement, providers),
            )
            for rule in plan.rules
        ]
        self._bypasses_preflight = plan.bypass_cors_preflight
        self._says_why = not plan.strip_failure_response
        names = {name for each in plan.providers for name in (each.payload_header, *(h for h, _ in each.claim_headers))}
        self._output_headers = sorted(name.lower().encode() for name in names if name)

    def failure(self, request: Bearer, now: float) -> str | None:
        """What is wrong with the tokens of a request; None when it may go on, and is edited. `now` is Unix time.

        Headers in which the endpoint is told of claims are taken from every client, whatever comes of its tokens.
        """
        head = request.head
        for name in self._output_headers:
            head.pop(name, None)
        if self._bypasses_preflight and _is_preflight(request):
            return None
        verifier = self._verifier(request)
        if verifier is None:
            return None
        examined = Examination(head, request.path, now)
        failure = verifier.failure(examined)
        if failure is None and examined.effects:
            _apply(examined.effects, request)
        return failure

    def _verifier(self, request: Bearer) -> Verifier | None:
        for holds, verifier in self._rules:
            if holds(request):
                return verifier
        return None

    def refusal(self, request: Bearer, failure: str) -> LocalReply:
        """Envoy's answer to a request that lacks something."""
        status = 403 if failure == failures.AUDIENCE_NOT_ALLOWED else 401
        details = f"jwt_authn_access_denied{{{failure.replace(' ', '_')}}}"
        if not self._says_why:
            return LocalReply("", status, details)
        challenge = b'Bearer realm="%b://%b%b"' % (request.scheme, request.authority, request.path[:_MAX_REALM])
        if failure != failures.MISSING:
            challenge += b', error="invalid_token"'
        return LocalReply("", status, details, failure.encode(), (line(b"www-authenticate", challenge),))


@lru_cache(4)  # the listeners of a worker mostly have the same one; what nobody uses any more must not pile up
def bind_tokens(plan: JwtPlan) -> TokenFilter:
    """Make a plan runnable; ValueError says what cannot be.

    Equal plans share one filter, so that a listener's new version, or its other chains, know the tokens already.
    """
    return TokenFilter(plan)


def _is_preflight(request: RequestView) -> bool:
    """A browser asks whether it may ask (CORS): it shows no tokens yet."""
    return (
        request.method == b"OPTIONS"
        and bool(request.header(b"origin"))
        and bool(request.header(b"access-control-request-method"))
    )


def _apply(effects: list[Effects], request: Bearer) -> None:
    head = request.head
    findings: dict[str, object] = {}
    for effect in effects:
        findings |= effect.findings
        if effect.strip:
            place = effect.found.place
            if place.kind == HEADER:
                head.pop(place.name, None)
            elif place.kind != COOKIE:  # Envoy leaves cookies as they are too
                request.path = without_param(request.path, place.name)
    for effect in effects:
        for name, written in effect.lines:
            add(head, name, written)
    if findings:
        request.findings = {**request.findings, FILTER: findings}
