"""Who may see pages that tell of the mesh: its configuration is nobody's business but its operators'.

Istio's rule (`allowAuthenticatedOrLocalhost`, and since CVE-2026-31838 by namespace).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from aiohttp import web

from mizzen.identity.callers.tokens import AUDIENCE, CannotTell, NotAuthenticated, Verifier

Page = Callable[[web.Request], Awaitable[web.StreamResponse]]
EVERYTHING: Final = ""
"""In place of a namespace."""
_DELIVERED: Final = IPv4Address("127.0.0.6")
"""Where a sidecar connects from when it delivers what has come from anywhere (Istio's InboundPassthroughBindIpv4)."""
_CHALLENGE: Final = {"WWW-Authenticate": "Bearer"}


class Door:
    """Lets in who asks from this machine, not through a sidecar, and who shows a token of a service account.

    `kubectl port-forward` asks from inside of the Pod. Service accounts of other namespaces see their own alone.
    """

    def __init__(self, namespace: Callable[[], str], verifier: Callable[[], Verifier | None]) -> None:
        """`namespace` is the control plane's own; `verifier` judges tokens, None where nobody does."""
        self._namespace = namespace
        self._verifier = verifier

    def guard(self, pages: Mapping[str, Page]) -> dict[str, Page]:
        """The same pages, for those who may see everything."""
        return {path: self._guarded(page) for path, page in pages.items()}

    async def visible(self, request: web.Request) -> str:
        """The namespace of which the caller may see what there is, or EVERYTHING; raises web.HTTPException."""
        if _is_of_this_machine(request.remote):
            return EVERYTHING
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            raise _unknown("this page is for callers on the same machine, or with a token (Authorization: Bearer)")
        verifier = self._verifier()
        if verifier is None:
            raise _unknown("nobody judges tokens here: ask from the same machine")
        try:
            caller = await verifier.verify(token.strip(), datetime.now(UTC))
        except NotAuthenticated as error:
            raise _unknown(f"{error}; it must be a token of a service account for {AUDIENCE}") from error
        except CannotTell as error:
            raise web.HTTPServiceUnavailable(text=f"{error}\n") from error
        return EVERYTHING if caller.namespace == self._namespace() else caller.namespace

    def _guarded(self, page: Page) -> Page:
        async def answer(request: web.Request) -> web.StreamResponse:
            if await self.visible(request) != EVERYTHING:
                raise web.HTTPForbidden(text=f"this page is for service accounts of {self._namespace()}\n")
            return await page(request)

        return answer


def _unknown(reason: str) -> web.HTTPUnauthorized:
    return web.HTTPUnauthorized(text=f"{reason}\n", headers=_CHALLENGE)


def _is_of_this_machine(remote: str | None) -> bool:
    """By the connection itself: what headers say of it is the caller's word."""
    if not remote:
        return False
    address = ip_address(remote.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    caller = mapped or address
    return caller.is_loopback and caller != _DELIVERED
