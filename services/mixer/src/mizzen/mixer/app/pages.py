"""What policy is in force, as data of the `/debug` pages, whichever HTTP server shows them."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from google.protobuf.message import DecodeError

from mizzen.attributes.bag import DictBag
from mizzen.attributes.compressed import decode
from mizzen.mixer.adapter import QuotaArgs
from mizzen.mixer.server.policy import Engine
from mizzen.proto import mixer_pb2 as pb

Page: TypeAlias = Callable[[Mapping[str, str]], Awaitable[object]]
"""From the query of the address to what JSON can hold; raises ValueError for a query that is wrong."""


def pages(engine: Engine) -> dict[str, Page]:
    """The `/debug` pages by path."""
    return {
        "/debug/config": _page(engine.show_config),
        "/debug/handlers": _page(engine.show_handlers),
        "/debug/rules": _page(engine.show_rules),
        "/debug/attributes": _page(engine.show_attributes),
        "/debug/explain": _explanation(engine),
    }


def _page(show: Callable[[], object]) -> Page:
    async def answer(query: Mapping[str, str]) -> object:
        return show()

    return answer


def _explanation(engine: Engine) -> Page:
    """`?check=` has a CheckRequest as a proxy would send it, in the URL's form of base64."""

    async def answer(query: Mapping[str, str]) -> object:
        try:
            asked = pb.CheckRequest.FromString(base64.b64decode(query["check"], b"-_", validate=True))
            bag = DictBag(decode(asked.attributes))
        except (KeyError, ValueError, DecodeError) as error:
            raise ValueError(f"check is to be a CheckRequest in base64: {error}") from error
        quotas = {name: QuotaArgs(quota.amount, quota.best_effort) for name, quota in asked.quotas.items()}
        return await engine.explain(bag, quotas)

    return answer
