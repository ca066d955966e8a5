"""Reading attributes: closures that look one up and see to it that it is of its declared type."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from mizzen.attributes.bag import Bag
from mizzen.attributes.values import Value, ValueType
from mizzen.mixer.expressions.errors import AttributeMissing, EvaluationError

Evaluate = Callable[[Bag], Any]
"""A compiled expression: a value of its type, or EvaluationError. Where absence is allowed, None says absent."""

_CLASSES: Mapping[ValueType, tuple[tuple[type, ...], str]] = {
    ValueType.STRING: ((str,), "string"),
    ValueType.INT64: ((int,), "integer or duration"),
    ValueType.DOUBLE: ((float,), "double"),
    ValueType.BOOL: ((bool,), "bool"),
    ValueType.TIMESTAMP: ((datetime,), "timestamp"),
    ValueType.IP_ADDRESS: ((IPv4Address, IPv6Address), "IP address"),
    ValueType.EMAIL_ADDRESS: ((str,), "string"),
    ValueType.URI: ((str,), "string"),
    ValueType.DNS_NAME: ((str,), "string"),
    ValueType.DURATION: ((timedelta,), "integer or duration"),
    ValueType.STRING_MAP: ((dict, Mapping), "string map"),
}
"""The classes of each type's values, and what errors call it."""

_MAX_SHOWN = 80


def is_of_type(value: Value, type_: ValueType) -> bool:
    """Whether a value can stand for a type. Times without a zone and booleans for numbers cannot."""
    classes, _ = _CLASSES[type_]
    if type_ is ValueType.INT64:
        return isinstance(value, int) and not isinstance(value, bool)
    if isinstance(value, datetime):
        return type_ is ValueType.TIMESTAMP and value.tzinfo is not None
    return isinstance(value, classes)


def converted(name: str, type_: ValueType, value: Value | None) -> Value:
    """A value that is not of a type's own class; raises EvaluationError where it is of another or absent."""
    if value is None:
        raise AttributeMissing(name)
    if is_of_type(value, type_):
        return value
    _, word = _CLASSES[type_]
    raise EvaluationError(f"error converting value to {word}: '{str(value)[:_MAX_SHOWN]}' of attribute {name}")


def _sure_class(type_: ValueType) -> type | None:
    """The class whose instances need no further look; times do, for their zone."""
    return None if type_ is ValueType.TIMESTAMP else _CLASSES[type_][0][0]


def required(name: str, type_: ValueType) -> Evaluate:
    """The attribute's value; its absence is an error."""
    own = _sure_class(type_)

    def read(bag: Bag) -> Value:
        value = bag.get(name)
        return value if value.__class__ is own else converted(name, type_, value)  # type: ignore[return-value]

    return read


def optional(name: str, type_: ValueType) -> Evaluate:
    """The attribute's value, None where it is absent."""
    own = _sure_class(type_)

    def read(bag: Bag) -> Value | None:
        value = bag.get(name)
        return value if value is None or value.__class__ is own else converted(name, type_, value)

    return read


def required_entry(name: str, key: str) -> Evaluate:
    """The entry of a map; "" where the map lacks it, and an error where there is no map."""

    def read(bag: Bag) -> str:
        entry = bag.lookup(name, key)
        if entry is None:
            if not bag.has_map(name):
                converted(name, ValueType.STRING_MAP, bag.get(name))
            return ""
        return entry

    return read


def optional_entry(name: str, key: str) -> Evaluate:
    """The entry of a map, None where the entry or the map is absent."""
    return lambda bag: bag.lookup(name, key)


def required_entry_by(name: str, key: Evaluate) -> Evaluate:
    """As `required_entry`, by a key that the request tells."""

    def read(bag: Bag) -> str:
        if not bag.has_map(name):
            converted(name, ValueType.STRING_MAP, bag.get(name))
        return bag.lookup(name, key(bag)) or ""

    return read


def optional_entry_by(name: str, key: Evaluate) -> Evaluate:
    """As `optional_entry`, by a key that the request tells, and which may be absent as well."""

    def read(bag: Bag) -> str | None:
        if not bag.has_map(name):
            bag.get(name)  # so that a bag that notes what is read notes the absence
            return None
        wanted = key(bag)
        return None if wanted is None else bag.lookup(name, wanted)

    return read
