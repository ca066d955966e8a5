"""Pages of the control plane that are shown to who runs the mesh."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from mizzen.cli.errors import UserError
from mizzen.cli.fetch import ask, ask_json
from mizzen.cli.local.home import Home
from mizzen.cli.local.security import TokenIssuer
from mizzen.identity.callers.tokens import NotAuthenticated, TokenVerifier
from mizzen.identity.spiffe import SpiffeId


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("MIZZEN_HOME", str(tmp_path))
    return Home(tmp_path)


class Pilot(ThreadingHTTPServer):
    """Behind the border of a container: it shows who asks to who has a token, and nothing else to anybody."""

    daemon_threads = True

    def __init__(self, home: Home) -> None:
        super().__init__(("127.0.0.1", 0), Page)
        self.home = home
        self.asked = 0


class Page(BaseHTTPRequestHandler):
    server: Pilot

    def do_GET(self) -> None:
        self.server.asked += 1
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        try:
            verifier = TokenVerifier.read(self.server.home.token_keys, "cluster.local")
            caller = asyncio.run(verifier.verify(token, datetime.now(UTC)))
        except NotAuthenticated:
            self.send_response(401)
            self.end_headers()
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(str(caller)).encode())

    def log_message(self, *args: object) -> None:  # type: ignore[override]
        """Not on the terminal of the tests."""


@pytest.fixture
def pilot(home: Home) -> Iterator[Pilot]:
    TokenIssuer(home)
    with Pilot(home) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()


@pytest.mark.parametrize(("config", "namespace"), [("", "istio-system"), ("rootNamespace: control", "control")])
def test_a_page_that_asks_for_a_token_gets_one_of_the_control_planes_namespace(
    pilot: Pilot, home: Home, config: str, namespace: str
) -> None:
    home.mesh_config.write_text(config)
    said = ask_json("127.0.0.1", pilot.server_port, "/debug/configz", "Pilot")
    assert said == str(SpiffeId("cluster.local", namespace, "mizzen"))
    assert pilot.asked == 2


def test_a_proxy_that_asks_for_a_token_gets_none(pilot: Pilot) -> None:
    with pytest.raises(UserError, match="with status 401"):
        ask("GET", "127.0.0.1", pilot.server_port, "/stats", "The proxy of web")
    assert pilot.asked == 1


def test_without_the_meshs_folder_there_is_no_token(pilot: Pilot, home: Home) -> None:
    home.token_key.unlink()
    with pytest.raises(UserError, match=r"token-key\.json to sign a token with"):
        ask_json("127.0.0.1", pilot.server_port, "/debug/configz", "Pilot")
    assert not home.token_key.exists()


@pytest.mark.parametrize("text", ["", "{}", "null", '{"kty": "RSA"}', '{"kty": "EC", "crv": "P-256", "x": 1, "y": ""}'])
def test_a_file_that_holds_no_key_is_named(pilot: Pilot, home: Home, text: str) -> None:
    home.token_key.write_text(text)
    with pytest.raises(UserError, match=r"token-key\.json cannot be used: "):
        ask_json("127.0.0.1", pilot.server_port, "/debug/configz", "Pilot")


def test_keys_that_are_there_stay_the_files_that_they_are(home: Home) -> None:
    """A container has the file itself mounted: one in its place is not seen there."""
    TokenIssuer(home)
    before = home.token_keys.stat().st_ino
    TokenIssuer(home)
    assert home.token_keys.stat().st_ino == before
