"""Tokens of the containers of a mesh."""

from __future__ import annotations

import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mizzen.cli.compose.identity import give_tokens
from mizzen.cli.errors import UserError
from mizzen.cli.local.home import Home
from mizzen.identity.callers.tokens import TokenVerifier
from mizzen.identity.spiffe import SpiffeId

SERVICES = {
    "reviews-v1-proxy": {
        "labels": {"mizzen.role": "proxy"},
        "environment": {"ISTIO_META_SERVICE_ACCOUNT": "bookinfo-reviews"},
    },
    "hello-v1-proxy": {"labels": {"mizzen.role": "proxy"}},
    "istio-ingressgateway": {
        "labels": {"mizzen.role": "proxy", "mizzen.namespace": "istio-system"},
        "environment": {"ISTIO_META_SERVICE_ACCOUNT": "istio-ingressgateway"},
    },
    "reviews-v1-app": {"labels": {"mizzen.workload": "reviews-v1"}},
    "mixer": {
        "labels": {
            "mizzen.role": "mixer",
            "mizzen.namespace": "istio-system",
            "mizzen.service-account": "mizzen-mixer",
        },
        "environment": {"TRUST_DOMAIN": "cluster.local"},
    },
    "pilot": {},
}


async def test_each_proxy_and_mixer_have_a_token_of_their_own_account_and_nobody_else_any(tmp_path: Path) -> None:
    home = Home(tmp_path)
    give_tokens(home, SERVICES)
    folder = home.identity / "containers"
    verifier = TokenVerifier.read(home.token_keys, "cluster.local")
    found = {
        path.parent.name: await verifier.verify(path.read_text(), datetime.now(UTC))
        for path in folder.glob("*/istio-token")
    }
    assert found == {
        "reviews-v1-proxy": SpiffeId("cluster.local", "default", "bookinfo-reviews"),
        "hello-v1-proxy": SpiffeId("cluster.local", "default", "default"),
        "istio-ingressgateway": SpiffeId("cluster.local", "istio-system", "istio-ingressgateway"),
        "mixer": SpiffeId("cluster.local", "istio-system", "mizzen-mixer"),
    }
    assert {path.name for path in folder.iterdir()} == set(found)


def test_a_container_may_read_its_token_and_others_on_this_machine_may_not(tmp_path: Path) -> None:
    home = Home(tmp_path)
    give_tokens(home, SERVICES)

    def mode(path: Path) -> int:
        return stat.S_IMODE(path.stat().st_mode)

    token = home.identity / "containers" / "hello-v1-proxy" / "istio-token"
    assert (mode(home.identity), mode(token.parent), mode(token)) == (0o700, 0o755, 0o644)
    assert mode(home.identity / "token-key.json") == 0o600


def test_a_home_that_takes_no_tokens_is_told(tmp_path: Path) -> None:
    (tmp_path / "identity").write_text("in the way")
    with pytest.raises(UserError, match=r"The proxies cannot be given tokens: .*identity"):
        give_tokens(Home(tmp_path), SERVICES)
