"""Attributes of a request's head."""

from __future__ import annotations

import pytest

from mizzen.attributes.http import head_attributes
from mizzen.attributes.values import Value


def test_a_browsers_request() -> None:
    headers = {
        ":method": "GET",
        ":authority": "bookinfo",
        ":path": "/productpage?u=normal&u=test&x",
        ":scheme": "https",
        "user-agent": "Mozilla/5.0",
        "referer": "http://bookinfo/",
        "cookie": "user=jason",
    }
    assert head_attributes(headers) == {
        "request.headers": headers,
        "request.host": "bookinfo",
        "request.method": "GET",
        "request.path": "/productpage?u=normal&u=test&x",
        "request.url_path": "/productpage",
        "request.query_params": {"u": "normal", "x": ""},
        "request.scheme": "https",
        "request.useragent": "Mozilla/5.0",
        "request.referer": "http://bookinfo/",
        "context.protocol": "http",
    }


def test_what_is_there_without_any_header() -> None:
    assert head_attributes({}) == {
        "request.headers": {},
        "request.host": "",
        "request.path": "",
        "request.url_path": "",
        "request.scheme": "http",
        "context.protocol": "http",
    }


@pytest.mark.parametrize(
    ("path", "name", "value"),
    [
        ("/a?", "request.url_path", "/a"),
        ("/a?", "request.query_params", None),
        ("/a?b=c?d", "request.query_params", {"b": "c?d"}),
        ("/a?b=%20", "request.query_params", {"b": "%20"}),
        ("/a?b=c=d", "request.query_params", {"b": "c=d"}),
    ],
)
def test_paths(path: str, name: str, value: Value | None) -> None:
    assert head_attributes({":path": path}).get(name) == value


@pytest.mark.parametrize(
    ("content_type", "protocol"),
    [
        ("application/grpc", "grpc"),
        ("application/grpc+proto", "grpc"),
        ("application/grpc+json", "grpc"),
        ("application/grpc-web", "http"),
        ("application/json", "http"),
    ],
)
def test_grpc_is_told_by_its_exact_content_type(content_type: str, protocol: str) -> None:
    assert head_attributes({"content-type": content_type})["context.protocol"] == protocol
