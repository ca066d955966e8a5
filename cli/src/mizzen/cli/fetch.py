"""JSON from the mesh's own HTTP interfaces."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from typing import Any

from mizzen.cli.errors import UserError
from mizzen.cli.local.home import Home
from mizzen.cli.operator import operator_token

SECONDS = 5.0


def get(host: str, port: int, path: str, seconds: float = SECONDS) -> tuple[int, bytes]:
    """Status and body of a GET; raises OSError or http.client.HTTPException."""
    return request("GET", host, port, path, seconds)


def request(
    method: str, host: str, port: int, path: str, seconds: float = SECONDS, headers: Mapping[str, str] | None = None
) -> tuple[int, bytes]:
    """Status and body of a request without a body; raises OSError or http.client.HTTPException."""
    connection = http.client.HTTPConnection(host, port, timeout=seconds)
    try:
        connection.request(method, path, headers=headers or {})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def ask(method: str, host: str, port: int, path: str, who: str, *, shows_token: bool = False) -> bytes:
    """The body of a 200; raises UserError that says who did not give it.

    Who answers 401 is shown a token of the mesh where `shows_token`: it must be the control plane.
    """
    try:
        status, body = request(method, host, port, path)
        if status == http.client.UNAUTHORIZED and shows_token:
            shown = {"Authorization": f"Bearer {operator_token(Home.locate())}"}
            status, body = request(method, host, port, path, headers=shown)
    except (OSError, http.client.HTTPException) as error:
        raise UserError(f"{who} does not answer at {host}:{port}: {error}.") from error
    if status != 200:
        raise UserError(f"{who} answered {path} with status {status}: {body[:200].decode(errors='replace').strip()}")
    return body


def ask_json(host: str, port: int, path: str, who: str) -> Any:
    """A JSON document of Pilot or Mixer, which show debug pages to who has a token; raises UserError."""
    return read_json(ask("GET", host, port, path, who, shows_token=True), path, who)


def read_json(body: bytes, path: str, who: str) -> Any:
    """A JSON document from a body; raises UserError that says who gave something else."""
    try:
        return json.loads(body)
    except ValueError as error:
        raise UserError(f"{who} answered {path} with something that is not JSON.") from error
