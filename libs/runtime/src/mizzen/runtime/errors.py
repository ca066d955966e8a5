"""Errors that end a process with a sentence instead of a traceback."""

from __future__ import annotations


class StartError(Exception):
    """The service cannot start or go on; the message is for the person who started it."""
