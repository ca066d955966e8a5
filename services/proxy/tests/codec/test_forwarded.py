"""Whom x-forwarded-for names, and when it names nobody."""

from __future__ import annotations

import pytest

from mizzen.proxy.codec.forwarded import client_behind
from mizzen.proxy.codec.headers import read_head


@pytest.mark.parametrize(
    ("lines", "proxies", "client"),
    [
        ([], 1, ""),
        ([b"X-Forwarded-For: 1.2.3.4"], 1, "1.2.3.4"),
        ([b"X-Forwarded-For: 1.2.3.4"], 0, ""),
        ([b"X-Forwarded-For: 1.2.3.4"], 2, ""),
        ([b"X-Forwarded-For: 9.9.9.9, 1.2.3.4 ,5.6.7.8"], 2, "1.2.3.4"),
        ([b"X-Forwarded-For: 9.9.9.9", b"x-forwarded-for: 1.2.3.4"], 1, "1.2.3.4"),
        ([b"X-Forwarded-For: 2001:DB8::7"], 1, "2001:db8::7"),
        ([b"X-Forwarded-For: 1.2.3.4, unknown"], 1, ""),
        ([b"X-Forwarded-For: 1.2.3.4,"], 1, ""),
        ([b"X-Forwarded-For: \xff"], 1, ""),
    ],
)
def test_the_client(lines: list[bytes], proxies: int, client: str) -> None:
    assert client_behind(read_head(lines), proxies) == client
