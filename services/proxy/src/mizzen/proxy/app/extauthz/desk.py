"""Where the workers' questions arrive: each is answered once, whatever happens to the authorizer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

from mizzen.proxy.app.extauthz.contract import NoVerdict
from mizzen.proxy.app.extauthz.grpc_calls import GrpcCalls
from mizzen.proxy.app.extauthz.http_calls import HttpCalls
from mizzen.proxy.app.extauthz.peers import Peers, Secrets
from mizzen.proxy.app.mixer.addresses import Addresses
from mizzen.proxy.engine.control import Inquiry, InquiryAnswer
from mizzen.proxy.engine.ext_authz_plan import GrpcCall
from mizzen.proxy.io.control_channel import PeerGone

log = logging.getLogger(__name__)

MAX_SECONDS = 600.0
"""For a question without a time-out of its own."""
_FAULT = 500
"""A denial: who finds what this proxy cannot ask about must not get in where authorizers may be away."""

Reply = Callable[[InquiryAnswer], Awaitable[None]]


class InquiryDesk:
    """Asks authorizers. The workers bound how many questions wait. `close` in the end."""

    def __init__(self, addresses: Addresses, secrets: Secrets, chance: Callable[[], float]) -> None:
        peers = Peers(addresses, secrets, chance)
        self._grpc = GrpcCalls(peers)
        self._http = HttpCalls(peers)
        self._running: set[asyncio.Task[None]] = set()

    def heard(self, inquiry: Inquiry, reply: Reply) -> None:
        """A worker's question; `reply` sends that worker the answer and may raise PeerGone."""
        task = asyncio.create_task(self._answer(inquiry, reply))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def close(self) -> None:
        """Leave everything unanswered."""
        for task in tuple(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await self._grpc.close()

    async def _answer(self, inquiry: Inquiry, reply: Reply) -> None:
        answer = await self.ask(inquiry)
        with suppress(PeerGone):
            await reply(answer)

    async def ask(self, inquiry: Inquiry) -> InquiryAnswer:
        """The authorizer's word, or why there is none."""
        call = inquiry.plan.call
        seconds = call.timeout or MAX_SECONDS
        try:
            async with asyncio.timeout(seconds):
                if isinstance(call, GrpcCall):
                    return await self._grpc.ask(inquiry, call)
                return await self._http.ask(inquiry, call)
        except TimeoutError:
            return InquiryAnswer(inquiry.serial, failure=f"no answer within {seconds:g} s")
        except NoVerdict as error:
            return InquiryAnswer(inquiry.serial, failure=str(error))
        except Exception:  # the request must not wait for nothing
            log.exception("a question to an authorizer failed")
            return InquiryAnswer(inquiry.serial, status=_FAULT)
