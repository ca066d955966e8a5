"""What would split a head or a request line is refused where it is configured, with the place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from envoy.config.route.v3 import route_pb2
from google.protobuf.json_format import ParseDict

from mizzen.proxy.snapshot import compile_resource
from mizzen.proxy.snapshot.result import Rejected

Make = dict[str, Callable[..., Any]]


@pytest.mark.parametrize(
    ("field", "route"),
    [
        ("route.prefix_rewrite", {"route": {"cluster": "c", "prefix_rewrite": "/ HTTP/1.1\r\nX: y"}}),
        ("route.prefix_rewrite", {"route": {"cluster": "c", "prefix_rewrite": "/a b"}}),
        ("route.host_rewrite_literal", {"route": {"cluster": "c", "host_rewrite_literal": "a\r\nX: y"}}),
        (
            "route.regex_rewrite.substitution",
            {"route": {"cluster": "c", "regex_rewrite": {"pattern": {"regex": "a"}, "substitution": "\n"}}},
        ),
        ("redirect.path_redirect", {"redirect": {"path_redirect": "/\r\nX: y"}}),
        ("redirect.prefix_rewrite", {"redirect": {"prefix_rewrite": "/\n"}}),
        ("redirect.host_redirect", {"redirect": {"host_redirect": "a\0"}}),
        ("redirect.scheme_redirect", {"redirect": {"scheme_redirect": "h\rs"}}),
        (
            "response_headers_to_add[0].header.value",
            {"response_headers_to_add": [{"header": {"key": "x", "value": "%START_TIME(%s%nX: y)%"}}]},
        ),
    ],
)
def test_what_would_split_a_head_is_invalid(field: str, route: dict[str, Any]) -> None:
    entry = {"match": {"prefix": "/"}, "route": {"cluster": "c"}} | route
    if "redirect" in entry:
        del entry["route"]
    outcome = compile_resource(
        ParseDict(
            {"name": "r", "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [entry]}]},
            route_pb2.RouteConfiguration(),
        )
    )
    assert isinstance(outcome, Rejected)
    assert outcome.path == f"virtual_hosts[0].routes[0].{field}"


def test_a_server_name_is_one_line(make: Make) -> None:
    outcome = compile_resource(make["listener"]("l", server_name="a\r\nX: y"))
    assert isinstance(outcome, Rejected)
    assert outcome.path.endswith("server_name")
