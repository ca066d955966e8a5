"""pydantic's errors in the words of this project: what is wrong, what would be right, and at which path."""

import difflib
import types
from collections.abc import Iterable, Mapping
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from mizzen.api.problem import Path

MAX_SHOWN = 60
KEY_MARK = "[key]"
"""pydantic ends a location with this when a mapping's key is wrong, not its value."""


_SENTENCES = {
    "missing": "is required",
    "value_error": "{error}",
    "bool_type": "must be true or false, got {given}",
    "int_type": "must be a whole number, got {given}",
    "int_parsing": "must be a whole number, got {given}",
    "int_from_float": "must be a whole number, got {given}",
    "float_type": "must be a number, got {given}",
    "float_parsing": "must be a number, got {given}",
    "finite_number": "must be a number, got {given}",
    "greater_than_equal": "must be at least {ge}, got {given}",
    "greater_than": "must be more than {gt}, got {given}",
    "less_than_equal": "must be at most {le}, got {given}",
    "less_than": "must be less than {lt}, got {given}",
    "model_type": "must be a mapping of fields, got {given}",
    "dict_type": "must be a mapping of names to values, got {given}",
    "tuple_type": "must be a list, got {given}",
    "datetime_type": "must be a time like 2024-01-31T12:00:00Z, got {given}",
    "datetime_parsing": "must be a time like 2024-01-31T12:00:00Z, got {given}",
    "datetime_from_date_parsing": "must be a time like 2024-01-31T12:00:00Z, got {given}",
}
"""By pydantic's type of error."""


def message(details: ErrorDetails, model: type[BaseModel]) -> str:
    """One sentence for one error of validating `model`."""
    given = details["input"]
    context = details.get("ctx", {})
    match details["type"]:
        case "extra_forbidden":
            return unknown_field(str(details["loc"][-1]), field_names(model, details["loc"][:-1]))
        case "enum":
            names = [name.strip(" '") for name in context["expected"].replace(" or ", ", ").split(",")]
            return f"must be one of {', '.join(names)}, got {show(given)}"
        case "string_type" if isinstance(given, bool | int | float):
            return f"must be text, got {show(given)}: put it in quotes"
        case "string_type":
            return f"must be text, got {show(given)}"
    sentence = _SENTENCES.get(details["type"], details["msg"] + ", got {given}")
    return sentence.format(given=show(given), **context)


def unknown_field(name: str, known: Iterable[str]) -> str:
    """The sentence for a field that does not exist."""
    return f"unknown field{suggestion(name, known)}"


def suggestion(name: str, known: Iterable[str]) -> str:
    """`; did you mean "x"?`, or all the known names when none is near."""
    names = list(known)
    folded = {candidate.lower(): candidate for candidate in names}
    near = difflib.get_close_matches(name.lower(), folded, n=1, cutoff=0.6)
    if near:
        return f'; did you mean "{folded[near[0]]}"?'
    return f"; known: {', '.join(sorted(names))}" if names else ""


def show(value: Any) -> str:
    """A value as a user would name it, short."""
    match value:
        case bool():
            return str(value).lower()
        case Mapping():
            return "a mapping"
        case list() | tuple():
            return "a list"
        case str():
            return repr(value if len(value) <= MAX_SHOWN else value[: MAX_SHOWN - 1] + "…")
        case None:
            return "nothing"
    return str(value)


def location(details: ErrorDetails) -> Path:
    """Where the error stands in the input."""
    return tuple(part for part in details["loc"] if part != KEY_MARK)


def path_text(path: Path) -> str:
    """`spec.http[0].route[1].weight`; names that are not plain words stand in brackets and quotes."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif part and part.replace("-", "").replace("_", "").isalnum():
            text += f".{part}" if text else part
        else:
            text += f'["{part}"]'
    return text


def field_names(model: type[BaseModel], path: Path) -> list[str]:
    """The fields that exist at a path of a model, by their YAML names; empty when there is no model."""
    at = _model_at(model, path)
    return [field.alias or name for name, field in at.model_fields.items()] if at else []


def _model_at(model: type[BaseModel], path: Path) -> type[BaseModel] | None:
    annotation: Any = model
    for part in path:
        if isinstance(part, int):
            continue  # a list's items have the list's annotation here
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            fields = annotation.model_fields.items()
            annotation = next((field.annotation for name, field in fields if part in (name, field.alias)), None)
        else:
            annotation = next(iter(get_args(annotation)[-1:]), None) if get_origin(annotation) is dict else annotation
        annotation = _innermost(annotation)
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def _innermost(annotation: Any) -> Any:
    """Strip `| None`, `tuple[..., ...]` and Annotated, but not dict: its key is a part of the path."""
    while True:
        origin = get_origin(annotation)
        if origin in (Union, types.UnionType):
            annotation = next(arg for arg in get_args(annotation) if arg is not type(None))
        elif origin is tuple or hasattr(annotation, "__metadata__"):
            annotation = get_args(annotation)[0]
        else:
            return annotation
