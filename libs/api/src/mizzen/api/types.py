"""The building blocks of every model: the base class, and scalar types that check themselves.

Input is what YAML gives (dict, list, str, int, float, bool, None) and follows proto3 JSON where Istio does:
names may be camelCase or snake_case, null means unset, integers may be written as strings.
"""

import base64
import binascii
from collections.abc import Callable
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationInfo,
    model_validator,
)

from mizzen.api import syntax
from mizzen.api.wording import show


def camel_case(name: str) -> str:
    """`per_try_timeout` → `perTryTimeout`, `from_` → `from`, `consecutive_5xx_errors` → `consecutive5xxErrors`."""
    first, *rest = name.rstrip("_").split("_")
    return first + "".join(word[:1].upper() + word[1:] for word in rest)


class Model(BaseModel):
    """A frozen value with Istio's field names: camelCase in YAML, snake_case in Python. Unknown fields are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=camel_case, populate_by_name=True)

    one_of: ClassVar[tuple[tuple[str, ...], ...]] = ()
    """Groups of attributes of which at most one may be set (a protobuf `oneof`)."""

    @model_validator(mode="before")
    @classmethod
    def _null_is_unset(cls, data: Any) -> Any:
        if isinstance(data, dict):
            return {key: value for key, value in data.items() if value is not None}
        return data

    @model_validator(mode="after")
    def _check_one_of(self) -> Self:
        for group in self.one_of:
            found = [camel_case(name) for name in group if name in self.model_fields_set]
            if len(found) > 1:
                allowed = ", ".join(camel_case(name) for name in group)
                raise ValueError(f"only one of {allowed} may be set, found {' and '.join(found)}")
        return self


class KubernetesModel(Model):
    """Part of a Kubernetes object. The API server has validated it, so fields that a mesh does not read are ignored."""

    model_config = ConfigDict(extra="ignore")


def _not_bool(value: Any) -> Any:
    # pydantic would take true for the number 1.
    if isinstance(value, bool):
        raise ValueError(f"must be a number, got {show(value)}")
    return value


def _port(value: int) -> int:
    if not 1 <= value <= 65535:
        raise ValueError(f"must be a port from 1 to 65535, got {value}")
    return value


def _duration(value: Any) -> timedelta:
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str):
        raise ValueError(f"must be a duration with a unit, like 1.5s or 250ms, got {show(value)}")
    return syntax.parse_duration(value)


def _positive(value: timedelta) -> timedelta:
    if value < timedelta(milliseconds=1):
        raise ValueError("must be at least 1ms; leave the field out for its default")
    return value


def _bytes(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise ValueError("must be base64 text") from None


def _duration_text(value: timedelta) -> str:
    return syntax.format_duration(value)


def _base64_text(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


UNCHECKED_TEXT: dict[str, Any] = {}
"""Validation in this context takes any text for hosts, regexes and the like; see `mizzen.api.partial`."""


def _checked(check: Callable[[str], None]) -> BeforeValidator:
    """A validator of text that leaves other types to pydantic, which then reports the wrong type."""

    def validate(value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, str) and info.context is not UNCHECKED_TEXT:
            check(value)
        return value

    return BeforeValidator(validate)


Int32 = Annotated[int, BeforeValidator(_not_bool), Field(ge=-(2**31), lt=2**31)]
UInt32 = Annotated[int, BeforeValidator(_not_bool), Field(ge=0, lt=2**32)]
UInt64 = Annotated[int, BeforeValidator(_not_bool), Field(ge=0, lt=2**64)]
Port = Annotated[int, BeforeValidator(_not_bool), AfterValidator(_port)]
Number = Annotated[float, BeforeValidator(_not_bool), Field(allow_inf_nan=False)]
Bool = Annotated[bool, Field(strict=True)]
DurationOrZero = Annotated[timedelta, BeforeValidator(_duration), PlainSerializer(_duration_text)]
"""For the few fields in which 0s has a meaning of its own."""
Duration = Annotated[DurationOrZero, AfterValidator(_positive)]
Base64 = Annotated[bytes, BeforeValidator(_bytes), PlainSerializer(_base64_text)]
Regex = Annotated[str, _checked(syntax.check_regex)]
"""A regular expression that RE2, and so Envoy, compiles."""
RegexOrStar = Annotated[str, _checked(syntax.check_regex_or_star)]
Host = Annotated[str, _checked(syntax.check_host)]
"""A DNS name, short or full, or a wildcard such as `*.example.com`."""
HostOrAddress = Annotated[str, _checked(syntax.check_host_or_address)]
"""What a VirtualService may list under hosts: a Host or an IP address."""
ScopedHost = Annotated[str, _checked(syntax.check_scoped_host)]
"""`host` or `namespace/host`, the form of Gateway servers."""
Subnet = Annotated[str, _checked(syntax.check_subnet)]
"""An IP address or CIDR block."""
HeaderName = Annotated[str, _checked(syntax.check_header_name)]
MatchedHeader = Annotated[str, _checked(syntax.check_matched_header)]
"""A header, a pseudo header such as `:method`, or a claim of the request's token (`@request.auth.claims.group`)."""
EditedHeader = Annotated[str, _checked(syntax.check_edited_header)]
"""A header, or `:authority`."""


class PortSelector(Model):
    """A port of a destination, by number."""

    number: Port


class CaptureMode(StrEnum):
    """How traffic reaches a listener."""

    DEFAULT = "DEFAULT"
    IPTABLES = "IPTABLES"
    NONE = "NONE"
