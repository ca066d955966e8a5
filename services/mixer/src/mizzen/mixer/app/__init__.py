"""Mixer as a process: its settings, and all parts put together."""
