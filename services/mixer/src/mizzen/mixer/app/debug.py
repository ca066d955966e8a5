"""Pages for people and for `mizzen`: what policy is in force."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable

from aiohttp import web
from google.protobuf.message import DecodeError

from mizzen.attributes.bag import DictBag
from mizzen.attributes.compressed import decode
from mizzen.mixer.adapter import QuotaArgs
from mizzen.mixer.server.policy import Engine
from mizzen.proto import mixer_pb2 as pb
from mizzen.runtime.monitoring import Handler


def debug_pages(engine: Engine) -> dict[str, Handler]:
    """The `/debug` pages by path; all are JSON."""
    return {
        "/debug/config": _page(engine.show_config),
        "/debug/handlers": _page(engine.show_handlers),
        "/debug/rules": _page(engine.show_rules),
        "/debug/attributes": _page(engine.show_attributes),
        "/debug/explain": _explanation(engine),
    }


def _page(show: Callable[[], object]) -> Handler:
    async def answer(request: web.Request) -> web.Response:
        return _json(show())

    return answer


def _explanation(engine: Engine) -> Handler:
    """`?check=` has a CheckRequest as a proxy would send it, in the URL's form of base64."""

    async def answer(request: web.Request) -> web.Response:
        try:
            asked = pb.CheckRequest.FromString(base64.urlsafe_b64decode(request.query["check"]))
            bag = DictBag(decode(asked.attributes))
        except (KeyError, ValueError, DecodeError) as error:
            return web.Response(text=f"check is to be a CheckRequest in base64: {error}\n", status=400)
        quotas = {name: QuotaArgs(quota.amount, quota.best_effort) for name, quota in asked.quotas.items()}
        return _json(await engine.explain(bag, quotas))

    return answer


def _json(data: object) -> web.Response:
    return web.Response(text=json.dumps(data, indent=2) + "\n", content_type="application/json")
