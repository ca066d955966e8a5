"""How people are told of sources of keys."""

from __future__ import annotations

import pytest

from mizzen.pilot.base.keysource import KeySource


@pytest.mark.parametrize(
    ("issuer", "uri", "shown"),
    [
        ("me", "https://a/keys", "https://a/keys"),
        ("me", "https://user:password@a:8443/keys?key=secret#x", "https://a:8443/keys"),
        ("https://me/realm", "", "https://me/realm"),
        ("me", "", "me"),
        ("me", "http://[::1", "an address that is no URL"),
    ],
)
def test_secrets_of_a_url_are_not_shown(issuer: str, uri: str, shown: str) -> None:
    assert KeySource(issuer, uri).shown == shown
