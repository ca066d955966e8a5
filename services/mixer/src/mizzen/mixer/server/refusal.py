"""Calls that end in an error instead of an answer."""

from __future__ import annotations

from mizzen.mixer.status import Code

OVERLOADED = "Server is currently overloaded. Please try again."


class Refusal(Exception):
    """The call fails with this gRPC code and message, which the caller sees."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
