"""Tokens that nobody has signed: whoever can reach a port may show them."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from datetime import UTC, datetime
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import ECKey, KeySet

from mizzen.identity.callers.tokens import NotAuthenticated, TokenVerifier

KEY = ECKey.generate_key("P-256", {"kid": "one"})


def encoded(value: Any) -> str:
    return urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


async def refusal(token: str) -> str:
    with pytest.raises(NotAuthenticated) as refused:
        await TokenVerifier(KeySet([KEY]), "cluster.local").verify(token, datetime.now(UTC))
    return str(refused.value)


@pytest.mark.parametrize("extension", [1, [[]], ["b64"], {}])
@pytest.mark.parametrize("key", [{"kid": "one"}, {"kid": []}, {}])
async def test_a_header_of_any_shape_is_refused(extension: Any, key: Any) -> None:
    header = {"alg": "ES256", "crit": extension, **key}
    assert (await refusal(f"{encoded(header)}.{encoded({})}.AA")).startswith("the token is not good: ")


async def test_claims_of_any_depth_are_refused() -> None:
    token = jws.serialize_compact({"alg": "ES256", "kid": "one"}, b"[" * 3000, KEY, algorithms=["ES256"])
    assert (await refusal(token)).startswith("the token is not good: ")
