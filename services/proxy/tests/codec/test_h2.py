"""The one answer that this proxy has to HTTP/2."""

from mizzen.proxy.codec.h2 import refusal


def test_a_refusal_is_settings_and_goaway() -> None:
    said = refusal("no")
    assert said[:9] == bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
    assert said[9:18] == bytes((0, 0, 10, 7, 0, 0, 0, 0, 0))
    assert said[18:] == bytes(4) + b"\0\0\0\x0d" + b"no"
