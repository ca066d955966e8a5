"""OPA's REST API, as far as checks need it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import aiohttp

from mizzen.mixer.adapter import AdapterError

MAX_ANSWER = 2**20


class Undefined(Exception):
    """The policies say nothing about the input."""


class Client:
    """Talks to a server at a URL, or on a Unix socket."""

    def __init__(self, url: str, seconds: float, socket: Path | None = None) -> None:
        self._url = url.rstrip("/")
        connector = None if socket is None else aiohttp.UnixConnector(str(socket))
        self._session = aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=seconds))

    async def healthy(self) -> bool:
        """Whether the server answers."""
        try:
            async with self._session.get(f"{self._url}/health") as response:
                return response.status == 200
        except (aiohttp.ClientError, OSError, TimeoutError):
            return False

    async def put_policy(self, name: str, text: str) -> None:
        """Add or replace a policy; raises AdapterError with what the compiler says."""
        async with self._session.put(f"{self._url}/v1/policies/{name}", data=text.encode()) as response:
            if response.status != 200:
                raise AdapterError(f"policy: {_errors(await response.text())}")

    async def query(self, path: str, document: Mapping[str, object]) -> object:
        """The value of a rule for an input; raises Undefined, AdapterError, ClientError or TimeoutError."""
        async with self._session.post(f"{self._url}/v1/data/{path}", json={"input": document}) as response:
            if response.status != 200:
                raise AdapterError(f"OPA answered {response.status}: {_errors(await response.text())}")
            try:
                answer = json.loads(await response.content.read(MAX_ANSWER))
            except ValueError as error:
                raise AdapterError(f"OPA's answer is not JSON: {error}") from None
        if not isinstance(answer, dict) or "result" not in answer:
            raise Undefined(f"{path} is undefined")
        return answer["result"]

    async def close(self) -> None:
        """Close connections."""
        await self._session.close()


def _errors(text: str) -> str:
    """The sentences in an error of OPA's, with their lines in the policy."""
    try:
        answer = json.loads(text)
        errors = [
            f"line {error['location']['row']}: {error['message']}" if "location" in error else error["message"]
            for error in answer.get("errors", [])
        ]
        return "; ".join(errors) or str(answer["message"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return text[:200]
