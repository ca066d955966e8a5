import pytest

from mizzen.proxy.base import flags
from mizzen.proxy.base.authority import port_start, without_port


def test_connect_failure_reads_as_envoys() -> None:
    reply = flags.connect_failure("delayed connect error: Connection refused")
    assert (reply.flag, reply.status) == ("UF", 503)
    assert reply.details == (
        "upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}"
    )
    assert reply.body == (
        b"upstream connect error or disconnect/reset before headers. reset reason: remote connection failure"
    )


def test_every_reply_has_known_flag_error_status_and_blankless_details() -> None:
    known = {value for name, value in vars(flags).items() if name.isupper() and isinstance(value, str)}
    replies = [value for value in vars(flags).values() if isinstance(value, flags.LocalReply)]
    replies += [flags.connect_timeout(), flags.connection_termination()]
    for reply in replies:
        assert reply.flag in known | {""}
        assert 400 <= reply.status < 600
        assert reply.details
        assert " " not in reply.details


@pytest.mark.parametrize(
    ("authority", "host", "start"),
    [
        (b"reviews:9080", b"reviews", 7),
        (b"reviews", b"reviews", -1),
        (b"[::1]:80", b"[::1]", 5),
        (b"[::1]", b"[::1]", -1),
        (b"a:", b"a", 1),
        (b"", b"", -1),
    ],
)
def test_authority(authority: bytes, host: bytes, start: int) -> None:
    assert (without_port(authority), port_start(authority)) == (host, start)
