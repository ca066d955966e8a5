"""Configuration in, verdicts out."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mizzen.api.parse import parse_object
from mizzen.injector.webhook.review import MAX_WARNING, BadReview
from mizzen.injector.webhook.validation import MAX_PROBLEMS, validated

ROUTE = {"destination": {"host": "reviews"}}


def virtual_service(http: list[Any], **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "reviews", "namespace": "shop", "managedFields": [{"manager": "kubectl"}], **metadata},
        "spec": {"hosts": ["reviews"], "http": http},
    }


GOOD = virtual_service([{"route": [ROUTE]}])
BAD = virtual_service([{"route": [{"destination": {}}], "retries": {"attempts": -1}}])


def review(item: Any, operation: str = "CREATE") -> bytes:
    kind = {"group": "networking.istio.io", "version": "v1", "kind": "VirtualService"}
    request = {
        "uid": "u1", "kind": kind, "namespace": "shop", "name": "reviews", "operation": operation, "object": item,
    }  # fmt: skip
    return json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}).encode()


@pytest.mark.parametrize("operation", ["CREATE", "UPDATE"])
def test_what_is_right_is_allowed_without_a_word(operation: str) -> None:
    found = validated(review(GOOD, operation))
    assert found.review["response"] == {"uid": "u1", "allowed": True}
    assert (found.outcome, found.subject) == ("valid", "VirtualService shop/reviews")


@pytest.mark.parametrize("operation", ["CREATE", "UPDATE"])
def test_what_is_wrong_is_refused_with_the_words_of_validate(operation: str) -> None:
    response = validated(review(BAD, operation)).review["response"]
    message = response["status"]["message"]
    assert (response["allowed"], response["status"]["code"]) == (False, 400)
    assert message.startswith("VirtualService shop/reviews: ")
    errors = parse_object(BAD).errors
    assert len(errors) == 2
    for problem in errors:
        assert f"{problem.path}: {problem.message}" in message


@pytest.mark.parametrize(
    ("group", "kind", "spec", "path"),
    [
        ("networking.istio.io/v1", "Gateway", {"servers": []}, "spec.servers"),
        ("networking.istio.io/v1beta1", "DestinationRule", {"host": ""}, "spec.host"),
        ("networking.istio.io/v1alpha3", "ServiceEntry", {"hosts": []}, "spec.hosts"),
        ("config.istio.io/v1alpha2", "rule", {"match": ["x"]}, "spec.match"),
        ("config.istio.io/v1alpha2", "handler", {"compiledAdapter": "denier", "params": []}, "spec.params"),
    ],
)
def test_all_kinds_and_versions_are_checked(group: str, kind: str, spec: Any, path: str) -> None:
    item = {"apiVersion": group, "kind": kind, "metadata": {"name": "one", "namespace": "shop"}, "spec": spec}
    assert f"{kind} shop/one: {path}" in validated(review(item)).review["response"]["status"]["message"]


def test_warnings_reach_the_author() -> None:
    item = GOOD | {"spec": {"hosts": ["reviews"], "http": [{"route": [ROUTE]}, {"route": [ROUTE]}]}}
    response = validated(review(item)).review["response"]
    assert response["allowed"]
    [warning] = parse_object(item).problems
    assert response["warnings"] == [f"{warning.path}: {warning.message}"[:MAX_WARNING]]


def test_a_long_list_of_mistakes_is_cut() -> None:
    many = virtual_service([{"route": [{"destination": {}}]}] * (MAX_PROBLEMS + 5))
    message = validated(review(many)).review["response"]["status"]["message"]
    assert f"and {len(parse_object(many).errors) - MAX_PROBLEMS} more" in message
    assert message.count("; ") == MAX_PROBLEMS


def test_kinds_of_others_pass_with_a_warning() -> None:
    other = {"apiVersion": "networking.istio.io/v1alpha3", "kind": "EnvoyFilter", "metadata": {"name": "x"}, "spec": {}}
    response = validated(review(other)).review["response"]
    assert response["allowed"]
    assert "EnvoyFilter" in response["warnings"][0]


@pytest.mark.parametrize(
    ("item", "operation"), [(None, "DELETE"), (virtual_service([], deletionTimestamp="2026-01-01T00:00:00Z"), "UPDATE")]
)
def test_what_is_going_may_go(item: Any, operation: str) -> None:
    assert validated(review(item, operation)).review["response"] == {"uid": "u1", "allowed": True}


@pytest.mark.parametrize("item", [{}, {"kind": 7}, {"kind": "Gateway", "metadata": 3}, {"metadata": []}, []])
def test_what_is_no_object_is_answered_too(item: Any) -> None:
    assert "allowed" in validated(review(item)).review["response"]


def test_what_is_no_review_is_told() -> None:
    with pytest.raises(BadReview, match="not JSON"):
        validated(b"{")
