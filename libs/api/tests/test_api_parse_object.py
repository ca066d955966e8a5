"""Objects that come from an API server and not from a text."""

from typing import Any

import pytest

from mizzen.api.parse import parse, parse_object

ENTRY = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "ServiceEntry",
    "metadata": {"name": "far", "namespace": "shop", "managedFields": []},
    "spec": {"hosts": ["far.example"], "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}]},
    "status": {"conditions": [{"type": "Reconciled"}], "addresses": [{"value": "240.240.0.1"}]},
}


def test_it_is_the_resource_that_the_same_text_would_be() -> None:
    text = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: far, namespace: shop}
spec: {hosts: [far.example], ports: [{number: 80, name: http, protocol: HTTP}]}
status: {addresses: [{value: 240.240.0.1}]}
"""
    assert parse_object(ENTRY).resources == parse(text).resources
    assert parse_object(ENTRY).resources[0].source is None


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([], "error: must be a resource with apiVersion, kind, metadata and spec, got a list"),
        ({"kind": "Service"}, "error: apiVersion: is required"),
        (
            ENTRY | {"spec": {"hosts": ["far.example"], "locaton": 1}},
            'error: ServiceEntry shop/far: spec.locaton: unknown field; did you mean "location"?',
        ),
    ],
)
def test_problems_have_no_source(given: Any, words: str) -> None:
    parsed = parse_object(given)
    assert not parsed.resources
    assert words in [str(problem) for problem in parsed.problems]
