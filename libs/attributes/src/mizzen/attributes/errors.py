"""What is wrong with attributes."""

from __future__ import annotations


class InvalidAttributes(ValueError):
    """A message whose attributes cannot be told, or attributes that no message can carry."""
