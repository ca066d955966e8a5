"""Errors that a person can act on."""

from __future__ import annotations


class UserError(Exception):
    """Ends the command with this message and status 1; there is no traceback."""
