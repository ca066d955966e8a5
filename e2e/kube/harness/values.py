"""The chart's values as values.schema.json describes them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from support.kube.programs import CHART

WORKLOADS = ("pilot", "mixer", "injector", "gateways.ingress", "gateways.egress")
UNSET = object()
"""The default of a value that values.yaml leaves out."""


@dataclass(frozen=True)
class Value:
    """One that can be set, and has no values of its own below it."""

    path: str
    schema: Mapping[str, Any]
    default: Any

    @property
    def example(self) -> Any:
        """Another value than the default, of which the schema approves."""
        if "examples" in self.schema:
            return self.schema["examples"][0]
        if "enum" in self.schema:
            return next(choice for choice in reversed(self.schema["enum"]) if choice != self.default)
        match self.schema["type"]:
            case "boolean":
                return self.default is not True
            case "integer":
                return self._number()
            case "string":
                return "example"
        raise ValueError(f"{self.path} needs an example in values.schema.json")

    def _number(self) -> int:
        known = self.default if isinstance(self.default, int) else self.schema["minimum"]
        return known + 1 if known < self.schema.get("maximum", known + 1) else known - 1


def schema() -> dict[str, Any]:
    return json.loads((CHART / "values.schema.json").read_text())


def defaults() -> dict[str, Any]:
    return yaml.safe_load((CHART / "values.yaml").read_text())


def values() -> list[Value]:
    return list(_walk(schema(), defaults(), ""))


def described(node: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    """Path and description of every value and group of values."""
    for name, part in node.get("properties", {}).items():
        yield f"{path}{name}", part.get("description", "")
        yield from described(part, f"{path}{name}.")


def tree(path: str, value: Any) -> dict[str, Any]:
    """`a.b` and 1 as {a: {b: 1}}."""
    for name in reversed(path.split(".")):
        value = {name: value}
    return value


def merged(*trees: Mapping[str, Any]) -> dict[str, Any]:
    """Later ones win."""
    result: dict[str, Any] = {}
    for part in trees:
        for name, value in part.items():
            below = result.get(name)
            result[name] = merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return result


def table() -> str:
    """All values in Markdown. What several workloads have alike is one row, as `WORKLOAD` or `gateways.*`."""
    rows: dict[tuple[str, str], list[Value]] = {}
    for value in values():
        owner = next((workload for workload in WORKLOADS if value.path.startswith(f"{workload}.")), "")
        rows.setdefault((value.path.removeprefix(owner), value.schema["description"]), []).append(value)
    lines = ["| value | default | meaning |", "|---|---|---|"]
    for (name, meaning), alike in rows.items():
        group = {1: "", 2: "gateways.*", 5: "WORKLOAD"}[len(alike)]
        path = f"{group}{name}" if group else alike[0].path
        lines.append(f"| `{path}` | {_shown(alike)} | {meaning.replace('|', '&#124;')} |")
    return "\n".join(lines) + "\n"


def _shown(alike: list[Value]) -> str:
    texts = list(dict.fromkeys(_text(value.default) for value in alike))
    return texts[0] if len(texts) == 1 else "in `values.yaml`"


def _text(default: Any) -> str:
    if default is UNSET:
        return "-"
    return f"`{json.dumps(default, ensure_ascii=False)}`"


def _walk(node: Mapping[str, Any], known: Any, path: str) -> Iterator[Value]:
    for name, part in node["properties"].items():
        default = known.get(name, UNSET) if isinstance(known, Mapping) else UNSET
        if part.get("properties"):
            yield from _walk(part, default, f"{path}{name}.")
        else:
            yield Value(f"{path}{name}", part, default)
