"""Which attributes an API states of a request."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.json_format import ParseDict

from mizzen.proto.attributes_pb2 import Attributes
from mizzen.proto.mixer_client_pb2 import HTTPAPISpec
from mizzen.proxy.engine.api_spec import ApiSpec
from mizzen.proxy.snapshot.mixer_api import api_of
from mizzen.proxy.snapshot.result import Invalid


def attributes(**values: str) -> dict[str, Any]:
    return {"attributes": {name: {"stringValue": value} for name, value in values.items()}}


def pattern(method: str = "GET", regex: str = "", template: str = "") -> dict[str, Any]:
    """A pattern that states itself."""
    where = {"regex": regex} if regex else {"uri_template": template}
    return {"http_method": method, "attributes": attributes(operation=f"{method} {regex or template}"), **where}


def stated(spec: dict[str, Any], method: str, path: str) -> dict[str, str]:
    plan = api_of([ParseDict(spec, HTTPAPISpec())])
    assert plan is not None
    message = Attributes.FromString(ApiSpec(plan).attributes(method.encode(), path.encode()))
    return {name: value.string_value for name, value in message.attributes.items()}


TEMPLATES = (
    "/books",
    "/books/{id}",
    "/books/new",
    "/books/{id}/pages/{page=*}",
    "/books/{id}:print",
    "/files/{name=**}",
    "/files/**/meta/last",
    "/a/{b.c=x/*}/d",
    "/tail/{rest=**}:run",
)


@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("/books", "/books"),
        ("/books/?x=/books/new", "/books"),
        ("/books//", "/books"),
        ("/books/7", "/books/{id}"),
        ("/books/new", "/books/new"),
        ("/books/7:print", "/books/{id}:print"),
        ("/books/7:sell", "/books/{id}"),
        ("/books/7/pages/1?a:print", "/books/{id}/pages/{page=*}"),
        ("/books/7/pages", None),
        ("//books", None),
        ("/files", "/files/{name=**}"),
        ("/files/a/b/c", "/files/{name=**}"),
        ("/files/a/meta/last", "/files/**/meta/last"),
        ("/files/meta/last", "/files/{name=**}"),
        ("/files/a/meta/last/b", "/files/{name=**}"),
        ("/files/" + "a/" * 20_000 + "meta/last", "/files/**/meta/last"),
        ("/a/x/1/d", "/a/{b.c=x/*}/d"),
        ("/a/y/1/d", None),
        ("/tail/a/b:run", "/tail/{rest=**}:run"),
        ("/tail/a/b", None),
        ("/", None),
        ("*", None),
    ],
)
def test_templates(path: str, template: str | None) -> None:
    spec = {"patterns": [pattern(template=one) for one in TEMPLATES]}
    assert stated(spec, "GET", path) == ({} if template is None else {"operation": f"GET {template}"})


def test_the_root_is_below_a_template_for_everything() -> None:
    assert stated({"patterns": [pattern(template="/**")]}, "GET", "/") == {"operation": "GET /**"}


@pytest.mark.parametrize(("method", "operation"), [("GET", "GET /a"), ("PUT", "* /a"), ("get", "* /a")])
def test_methods(method: str, operation: str) -> None:
    spec = {"patterns": [pattern("*", template="/a"), pattern("GET", template="/a")]}
    assert stated(spec, method, "/a") == {"operation": operation}


def test_a_way_that_has_not_this_method_is_left_for_another() -> None:
    spec = {"patterns": [pattern("PUT", template="/a/b"), pattern("GET", template="/a/*")]}
    assert stated(spec, "GET", "/a/b") == {"operation": "GET /a/*"}


def test_of_two_templates_alike_the_first_counts() -> None:
    spec = {"patterns": [pattern(template="/a/{x}"), pattern(template="/a/{y}")]}
    assert stated(spec, "GET", "/a/b") == {"operation": "GET /a/{x}"}


def test_the_spec_then_the_template_then_each_regex() -> None:
    spec = {
        "attributes": attributes(service="books", operation="some"),
        "patterns": [
            {"http_method": "GET", "regex": "/b.*", "attributes": attributes(version="2", seen="regex")},
            {"http_method": "GET", "uri_template": "/{a}", "attributes": attributes(version="1", operation="one")},
            {"http_method": "GET", "regex": "/.*x=1", "attributes": attributes(seen="last")},
            {"http_method": "PUT", "regex": ".*", "attributes": attributes(seen="never")},
        ],
    }
    assert stated(spec, "GET", "/c") == {"service": "books", "operation": "one", "version": "1"}
    assert stated(spec, "GET", "/b?x=1") == {"service": "books", "operation": "one", "version": "2", "seen": "last"}


def test_several_specs_are_one() -> None:
    first = ParseDict({"patterns": [pattern(template="/a")], "api_keys": [{"header": "X-Key"}]}, HTTPAPISpec())
    second = ParseDict({"patterns": [pattern(template="/b")], "api_keys": [{"cookie": "Key"}]}, HTTPAPISpec())
    plan = api_of([first, second])
    assert plan is not None
    assert [one.segments for one in plan.patterns] == [(b"a",), (b"b",)]
    assert plan.keys == (("header", "x-key"), ("cookie", "Key"))
    assert plan.names == ("operation",)
    assert api_of([]) is api_of([HTTPAPISpec()]) is None


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (pattern(template="books"), "patterns[0].uri_template: 'books' must begin with a slash"),
        (pattern(template="/a//b"), "a segment is a literal"),
        (pattern(template="/"), "a segment is a literal"),
        (pattern(template="/{}"), "a segment is a literal"),
        (pattern(template="/a{x}"), "a segment is a literal"),
        (pattern(template="/{x={y}}"), "a segment is a literal"),
        (pattern(template="/{x=}"), "a segment is a literal"),
        (pattern(template="/*a"), "a segment is a literal"),
        (pattern(template="/a:b/c"), "a colon is for a verb at the end"),
        (pattern(template="/a:"), "a colon is for a verb at the end"),
        (pattern(template="/**/{x}"), "only literals may follow **"),
        (pattern(regex="("), "patterns[0].regex"),
        (pattern("", template="/a"), "patterns[0].http_method: is missing"),
        ({"http_method": "GET"}, "needs a uri_template or a regex"),
    ],
)
def test_what_is_wrong_is_named(wrong: dict[str, Any], reason: str) -> None:
    with pytest.raises(Invalid) as caught:
        api_of([ParseDict({"patterns": [wrong]}, HTTPAPISpec())])
    assert reason in f"{caught.value.path}: {caught.value.reason}"


def test_a_key_without_a_place_is_named() -> None:
    with pytest.raises(Invalid, match=r"api_keys\[0\]"):
        api_of([ParseDict({"api_keys": [{}]}, HTTPAPISpec())])
