"""CustomResourceDefinitions: structural, complete, and the same as in the chart."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mizzen.api.crd.__main__ import files
from mizzen.api.crd.definition import definition, definitions, plural
from mizzen.api.crd.schema import structural
from mizzen.api.kinds import KINDS

CHART = Path(__file__).parents[3] / "charts/mizzen/crds"
ALLOWED = {
    "type", "description", "enum", "required", "properties", "items", "additionalProperties", "minimum", "maximum",
    "minLength", "maxLength", "minItems", "maxItems", "pattern", "format", "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-int-or-string", "x-kubernetes-validations",
}  # fmt: skip


def nodes(schema: Any) -> Iterator[dict[str, Any]]:
    yield schema
    for field in schema.get("properties", {}).values():
        yield from nodes(field)
    for name in ("items", "additionalProperties"):
        if isinstance(schema.get(name), dict):
            yield from nodes(schema[name])


@pytest.mark.parametrize("kind", [kind for kind in KINDS.values() if not kind.is_kubernetes], ids=lambda kind: kind.key)
def test_schemas_are_structural(kind: Any) -> None:
    for version in definition(kind)["spec"]["versions"]:
        for node in nodes(version["schema"]["openAPIV3Schema"]):
            assert set(node) <= ALLOWED
            untyped = "x-kubernetes-preserve-unknown-fields" in node or "x-kubernetes-int-or-string" in node
            assert "type" in node or untyped
            assert not ("properties" in node and "additionalProperties" in node)


def test_one_version_is_stored() -> None:
    for each in definitions():
        versions = each["spec"]["versions"]
        assert [version["storage"] for version in versions] == [True] + [False] * (len(versions) - 1)


def test_oneofs_become_rules() -> None:
    schema = structural(KINDS["DestinationRule"].model)
    balancer = schema["properties"]["trafficPolicy"]["properties"]["loadBalancer"]
    assert balancer["x-kubernetes-validations"] == [
        {
            "rule": "(has(self.simple) ? 1 : 0) + (has(self.consistentHash) ? 1 : 0) <= 1",
            "message": "at most one of simple, consistentHash may be set",
        }
    ]


@pytest.mark.parametrize(
    ("kind", "many"),
    [
        ("VirtualService", "virtualservices"),
        ("ServiceEntry", "serviceentries"),
        ("Gateway", "gateways"),
        ("rule", "rules"),
        ("logentry", "logentries"),
        ("prometheus", "prometheuses"),
        ("apikey", "apikeys"),
    ],
)
def test_plurals_are_istios(kind: str, many: str) -> None:
    assert plural(kind) == many


def test_the_chart_has_what_the_models_say() -> None:
    made = files("charts/mizzen/crds")
    assert {path.name: path.read_text() for path in CHART.iterdir()} == made, "run python -m mizzen.api.crd"
