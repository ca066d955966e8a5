"""Who may see the pages of the control plane."""

from __future__ import annotations

from datetime import datetime

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from mizzen.identity.callers.door import EVERYTHING, Door
from mizzen.identity.callers.tokens import CannotTell, NotAuthenticated
from mizzen.identity.spiffe import SpiffeId

POD = "10.0.3.7"


class Judge:
    """Knows tokens that say whose they are."""

    async def verify(self, token: str, now: datetime) -> SpiffeId:
        if token == "later":
            raise CannotTell("the API server is away")
        if not token.startswith("of-"):
            raise NotAuthenticated("the token is not good: it is forged")
        return SpiffeId("cluster.local", token.removeprefix("of-"), "prometheus")


def asking(remote: str | None = POD, **headers: str) -> web.Request:
    return make_mocked_request("GET", "/debug/configz", headers=headers).clone(remote=remote or "")


async def page(request: web.Request) -> web.Response:
    return web.Response(text="everything")


def door(judge: Judge | None = Judge()) -> Door:  # noqa: B008 - it knows nothing
    return Door(lambda: "istio-system", lambda: judge)


@pytest.mark.parametrize("remote", ["127.0.0.1", "127.0.1.1", "::1", "::ffff:127.0.0.1"])
async def test_this_machine_sees_everything(remote: str) -> None:
    assert await door(None).visible(asking(remote)) == EVERYTHING


@pytest.mark.parametrize(
    "remote", [POD, "fe80::1%eth0", "::ffff:10.0.0.1", "127.0.0.6", "::ffff:127.0.0.6", "128.0.0.1", None]
)
async def test_nobody_else_does_without_a_token(remote: str | None) -> None:
    with pytest.raises(web.HTTPUnauthorized) as refusal:
        await door().visible(asking(remote, **{"X-Forwarded-For": "127.0.0.1", "Forwarded": "for=127.0.0.1"}))
    assert refusal.value.headers["WWW-Authenticate"] == "Bearer"
    assert "same machine" in (refusal.value.text or "")


@pytest.mark.parametrize(
    ("token", "sees"),
    [("of-istio-system", EVERYTHING), ("of-default", "default"), ("of-istio-system-2", "istio-system-2")],
)
async def test_a_token_shows_what_its_namespace_may_see(token: str, sees: str) -> None:
    assert await door().visible(asking(Authorization=f"Bearer {token}")) == sees
    assert await door().visible(asking(Authorization=f"bearer  {token}")) == sees


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        ("Bearer forged", 401),
        ("Bearer", 401),
        ("Bearer ", 401),
        ("Basic b2Y6", 401),
        ("of-istio-system", 401),
        ("Bearer later", 503),
    ],
)
async def test_a_token_that_is_not_good_shows_nothing(authorization: str, status: int) -> None:
    with pytest.raises(web.HTTPException) as refusal:
        await door().visible(asking(Authorization=authorization))
    assert refusal.value.status == status
    assert "of-istio-system" not in (refusal.value.text or "")


async def test_where_nobody_judges_tokens_none_is_good() -> None:
    with pytest.raises(web.HTTPUnauthorized):
        await door(None).visible(asking(Authorization="Bearer of-istio-system"))


async def test_guarded_pages_are_for_the_control_planes_own_namespace() -> None:
    guarded = door().guard({"/debug/configz": page})["/debug/configz"]
    assert (await guarded(asking(Authorization="Bearer of-istio-system"))).status == 200
    with pytest.raises(web.HTTPForbidden) as refusal:
        await guarded(asking(Authorization="Bearer of-default"))
    assert "istio-system" in (refusal.value.text or "")
