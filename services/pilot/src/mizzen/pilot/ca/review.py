"""Tokens judged by the API server that issued them (TokenReview), which also knows whose Pod is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from mizzen.identity.callers.tokens import AUDIENCE, CannotTell, NotAuthenticated, check_length, identity_of_subject
from mizzen.identity.spiffe import SpiffeId
from mizzen.kubernetes.client import FAILURES, Client

PATH: Final = "/apis/authentication.k8s.io/v1/tokenreviews"
REVIEW_SECONDS: Final = 5.0
PARALLEL: Final = 16
MAX_WAITING: Final = 1_000
"""Who comes then is told to come again: a whole mesh may start at once, and each call waits ten seconds at most."""
_WHAT: Final = "review of tokens"


class TokenReviewer:
    """Believes what the API server says of a token that is meant for the authority. Implements `Verifier`."""

    def __init__(self, client: Client, trust_domain: str) -> None:
        self._client = client
        self._trust_domain = trust_domain
        self._turn = asyncio.Semaphore(PARALLEL)
        self._waiting = 0

    async def verify(self, token: str, now: datetime) -> SpiffeId:
        """Whose token it is, by the API server's clock; raises NotAuthenticated, CannotTell."""
        check_length(token)
        if self._waiting >= MAX_WAITING:
            raise CannotTell(f"{MAX_WAITING} tokens wait to be reviewed; try again")
        self._waiting += 1
        try:
            async with self._turn:
                status = await self._review(token)
        finally:
            self._waiting -= 1
        return self._identity(status)

    async def _review(self, token: str) -> Mapping[str, Any]:
        item = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token, "audiences": [AUDIENCE]},
        }
        try:
            async with asyncio.timeout(REVIEW_SECONDS):
                answer = await self._client.send("POST", PATH, item)
        except FAILURES as error:
            reason = str(error) or f"no answer within {REVIEW_SECONDS:g} s"
            self._client.outages.begin(_WHAT, reason)
            raise CannotTell(f"the Kubernetes API cannot review the token: {reason}") from error
        self._client.outages.end(_WHAT)
        status = answer.get("status") if isinstance(answer, dict) else None
        return status if isinstance(status, dict) else {}

    def _identity(self, status: Mapping[str, Any]) -> SpiffeId:
        if status.get("authenticated") is not True:
            reason = status.get("error") or "the API server does not know it"
            raise NotAuthenticated(f"the token is not good: {reason}")
        if AUDIENCE not in (status.get("audiences") or ()):  # by a server that does not know audiences
            raise NotAuthenticated(f"the token is not good: it is not meant for {AUDIENCE}")
        return identity_of_subject((status.get("user") or {}).get("username"), self._trust_domain)
