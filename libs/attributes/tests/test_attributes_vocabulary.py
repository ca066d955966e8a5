"""The attributes that are declared without a manifest."""

from __future__ import annotations

import pytest

from mizzen.attributes.values import ValueType
from mizzen.attributes.vocabulary import ISTIOPROXY, KUBERNETES, VARIED


def test_every_attribute_has_one_manifest() -> None:
    assert not ISTIOPROXY.keys() & KUBERNETES.keys()
    assert (len(ISTIOPROXY), len(KUBERNETES)) == (64, 28)
    assert ISTIOPROXY.keys() > VARIED


@pytest.mark.parametrize(
    ("name", "type_"),
    [
        ("origin.ip", ValueType.IP_ADDRESS),
        ("request.headers", ValueType.STRING_MAP),
        ("request.time", ValueType.TIMESTAMP),
        ("response.duration", ValueType.DURATION),
        ("connection.mtls", ValueType.BOOL),
        ("check.error_code", ValueType.INT64),
        ("request.query_params", ValueType.STRING_MAP),
        ("context.proxy_version", ValueType.STRING),
    ],
)
def test_types_of_what_proxies_say(name: str, type_: ValueType) -> None:
    assert ISTIOPROXY[name] is type_


def test_istio_1_0_declares_both_addresses_as_the_platforms() -> None:
    assert KUBERNETES["source.ip"] is KUBERNETES["destination.ip"] is ValueType.IP_ADDRESS
    assert "destination.port" in ISTIOPROXY
