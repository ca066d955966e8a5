"""Parameters of handlers: from YAML to frozen models, with errors that name the parameter."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, TypeVar

from pydantic import BeforeValidator, ValidationError

from mizzen.api import wording
from mizzen.api.types import Model
from mizzen.mixer.adapter import AdapterError

M = TypeVar("M", bound=Model)


def read(model: type[M], params: Mapping[str, object]) -> M:
    """Validate parameters; names may be camelCase or snake_case. Raises AdapterError with every one that is wrong."""
    try:
        return model.model_validate(dict(params))
    except ValidationError as error:
        raise AdapterError("; ".join(_sentences(model, error))) from None


def _sentences(model: type[Model], error: ValidationError) -> list[str]:
    sentences = []
    for details in error.errors(include_url=False):
        path = wording.path_text(wording.location(details))
        text = wording.message(details, model)
        sentences.append(f"{path}: {text}" if path else text)
    return sentences


def by_number(names: type[StrEnum]) -> BeforeValidator:
    """Lets an enum be written as its protobuf number too: the position of the name in the class."""

    def validate(value: Any) -> Any:
        members = list(names)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(members):
            return members[value]
        return value

    return BeforeValidator(validate)
