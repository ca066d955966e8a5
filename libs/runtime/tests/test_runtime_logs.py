import io
import json
import logging
from collections.abc import Iterator

import pytest

from mizzen.runtime import logs


@pytest.fixture(autouse=True)
def _root_logger() -> Iterator[None]:
    root = logging.getLogger()
    before = (list(root.handlers), root.level)
    yield
    root.handlers[:], level = before
    root.setLevel(level)


def test_text_is_one_line_whatever_a_peer_sent() -> None:
    out = io.StringIO()
    logs.set_up("info", "text", out)
    logging.getLogger("mizzen.pilot.xds").warning("node %s", "a\nb\r")
    logging.getLogger("mizzen.pilot.xds").debug("hidden")
    assert out.getvalue().count("\n") == 1
    assert out.getvalue().endswith("Z warning pilot.xds  node a\\nb\\r\n")


def test_json_carries_the_traceback() -> None:
    out = io.StringIO()
    logs.set_up("debug", "json", out)
    try:
        raise RuntimeError("boom")
    except RuntimeError:
        logging.getLogger("x").exception("failed")
    record = json.loads(out.getvalue())
    assert (record["level"], record["scope"], record["msg"]) == ("error", "x", "failed")
    assert "RuntimeError: boom" in record["error"]


@pytest.mark.parametrize(("level", "form"), [("loud", "text"), ("info", "xml")])
def test_unknown_settings_are_refused(level: str, form: str) -> None:
    with pytest.raises(ValueError, match="must be"):
        logs.set_up(level, form)  # type: ignore[arg-type]
