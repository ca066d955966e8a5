"""Bytes to calls and back: HTTP/1.1 heads, bodies and framing. Knows HTTP, knows no mesh."""
