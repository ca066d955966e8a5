"""Models as structural schemas of Kubernetes (apiextensions.k8s.io/v1).

The same names, types, enumerations and oneofs. No defaults: the API server would write them into objects, and what a
user did not say would look as if he had.
"""

from __future__ import annotations

from typing import Any, Final

from mizzen.api.types import Model, camel_case

_KEPT: Final = ("type", "description", "enum", "required", "minLength", "maxLength", "minItems", "maxItems", "pattern")
_BOUNDS: Final = {"minimum": "minimum", "maximum": "maximum", "ge": "minimum", "le": "maximum"}
_EXACT: Final = 2**53
"""Beyond this the API server, which reads numbers as JSON does, would take a bound for another one."""
_LOCAL: Final = "#/$defs/"


def structural(model: type[Model], *, open_fields: bool = False) -> dict[str, Any]:
    """The schema of a model, with no reference left in it.

    `open_fields`: the API server keeps fields that it does not know, for the mesh to judge: other spellings of them.
    """
    schema = model.model_json_schema(by_alias=True)
    definitions = schema.get("$defs", {})
    one_ofs = {each.__name__: each.one_of for each in _models(model) if each.one_of}
    return _Converter(definitions, one_ofs, open_fields).convert(schema)


def _models(model: type[Model]) -> set[type[Model]]:
    """The model and all that its fields lead to."""
    found: set[type[Model]] = set()
    waiting: list[Any] = [model]
    while waiting:
        annotation = waiting.pop()
        waiting.extend(getattr(annotation, "__args__", ()))
        waiting.extend(getattr(annotation, "__metadata__", ()) and (annotation.__origin__,))
        if isinstance(annotation, type) and issubclass(annotation, Model) and annotation not in found:
            found.add(annotation)
            waiting.extend(field.annotation for field in annotation.model_fields.values())
    return found


class _Converter:
    def __init__(
        self, definitions: dict[str, Any], one_ofs: dict[str, tuple[tuple[str, ...], ...]], open_fields: bool
    ) -> None:
        self._open_fields = open_fields
        self._definitions = definitions
        self._one_ofs = one_ofs

    def convert(self, schema: dict[str, Any]) -> dict[str, Any]:
        if "$ref" in schema:
            described = {"description": schema["description"]} if "description" in schema else {}
            return self.convert(self._definitions[schema["$ref"].removeprefix(_LOCAL)]) | described
        if "anyOf" in schema:
            return self._alternatives(schema)
        made: dict[str, Any] = {name: schema[name] for name in _KEPT if name in schema}
        made |= {kept: schema[name] for name, kept in _BOUNDS.items() if name in schema}
        if "lt" in schema:
            made["maximum"] = schema["lt"] - 1
        if "const" in schema:
            made["enum"] = [schema["const"]]
        if made.get("type") == "integer":
            made["format"] = "int64"
            made = {name: value for name, value in made.items() if name not in _BOUNDS or abs(value) < _EXACT}
        if "items" in schema:
            made["items"] = self.convert(schema["items"])
        elif "prefixItems" in schema:
            made["items"] = self.convert(schema["prefixItems"][0])
        elif made.get("type") == "array":
            made["items"] = {"x-kubernetes-preserve-unknown-fields": True}
        if "type" not in made:
            return made | {"x-kubernetes-preserve-unknown-fields": True}
        return self._object(schema, made) if made["type"] == "object" else made

    def _object(self, schema: dict[str, Any], made: dict[str, Any]) -> dict[str, Any]:
        if "properties" in schema:
            made["properties"] = {name: self.convert(field) for name, field in schema["properties"].items()}
            rules = [_at_most_one(group) for group in self._one_ofs.get(schema.get("title", ""), ())]
            if rules and not self._open_fields:  # names that are not known could be other spellings of these
                made["x-kubernetes-validations"] = rules
        more = schema.get("additionalProperties", "properties" not in schema) or self._open_fields
        if isinstance(more, dict):
            made["additionalProperties"] = self.convert(more)
        elif more:
            made["x-kubernetes-preserve-unknown-fields"] = True
        return made

    def _alternatives(self, schema: dict[str, Any]) -> dict[str, Any]:
        """A field that may be left out; of texts and numbers, either."""
        described = {"description": schema["description"]} if "description" in schema else {}
        kinds = [each for each in schema["anyOf"] if each.get("type") != "null"]
        if len(kinds) == 1:
            return self.convert(kinds[0]) | described
        if {each.get("type") for each in kinds} <= {"integer", "string"}:
            return {"x-kubernetes-int-or-string": True, **described}
        return {"x-kubernetes-preserve-unknown-fields": True, **described}


def _at_most_one(group: tuple[str, ...]) -> dict[str, Any]:
    """A rule in CEL for a protobuf `oneof`."""
    names = [camel_case(name) for name in group]
    count = " + ".join(f"(has(self.{_escape(name)}) ? 1 : 0)" for name in names)
    return {"rule": f"{count} <= 1", "message": f"at most one of {', '.join(names)} may be set"}


def _escape(name: str) -> str:
    """Names that CEL keeps for itself."""
    return f"__{name}__" if name in ("in", "as", "for", "if", "package", "import", "namespace", "const") else name
