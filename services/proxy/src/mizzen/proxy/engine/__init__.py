"""Decisions about one request: plain functions over plans. No I/O, no protobuf, no clock or chance of its own."""
