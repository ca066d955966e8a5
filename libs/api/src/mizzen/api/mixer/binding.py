"""QuotaSpec, HTTPAPISpec, and what binds them to services: read by the control plane, for proxies to ask Mixer."""

from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field

from mizzen.api.types import Base64, Bool, Model, Number


def _int64(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("must be a whole number")
    return value


Int64 = Annotated[int, BeforeValidator(_int64), Field(ge=-(2**63), lt=2**63)]


class StringMatch(Model):
    """A text, the beginning of one, or an ECMAScript expression for all of one; with none of them, any text."""

    exact: str | None = None
    prefix: str | None = None
    regex: str | None = None

    one_of: ClassVar = (("exact", "prefix", "regex"),)


class AttributeMatch(Model):
    """Attributes that must all match."""

    clause: dict[str, StringMatch] = Field(default_factory=dict)


class QuotaCharge(Model):
    """A quota instance by its short name, and how much a request takes of it."""

    quota: str
    charge: Int64 = 1


class QuotaRule(Model):
    """Quotas for the requests of which one match holds, or for all."""

    match: tuple[AttributeMatch, ...] = ()
    quotas: tuple[QuotaCharge, ...] = ()


class QuotaSpec(Model):
    """Which requests take how much of which quotas; the quotas of all rules that apply are taken."""

    rules: tuple[QuotaRule, ...] = ()


class IstioService(Model):
    """A service by name and namespace, or by its full name."""

    name: str = ""
    namespace: str = ""
    domain: str = ""
    service: str = ""
    labels: dict[str, str] = Field(default_factory=dict)


class SpecReference(Model):
    """A spec by its name; without a namespace it is in that of the binding."""

    name: str
    namespace: str = ""


class QuotaSpecBinding(Model):
    """QuotaSpecs for requests to these services."""

    services: tuple[IstioService, ...] = ()
    quota_specs: tuple[SpecReference, ...] = ()


class StringMap(Model):
    """The value of a STRING_MAP."""

    entries: dict[str, str] = Field(default_factory=dict)


class AttributeValue(Model):
    """The value of an attribute, by its type."""

    string_value: str | None = None
    int64_value: Int64 | None = None
    double_value: Number | None = None
    bool_value: Bool | None = None
    bytes_value: Base64 | None = None
    timestamp_value: str | None = None
    duration_value: str | None = None
    string_map_value: StringMap | None = None

    one_of: ClassVar = (
        (
            "string_value", "int64_value", "double_value", "bool_value", "bytes_value", "timestamp_value",
            "duration_value", "string_map_value",
        ),
    )  # fmt: skip


class Attributes(Model):
    """Attributes with their values."""

    attributes: dict[str, AttributeValue] = Field(default_factory=dict)


class HTTPAPISpecPattern(Model):
    """Attributes for requests of one method and path."""

    attributes: Attributes = Attributes()
    http_method: str = ""
    uri_template: str | None = None
    regex: str | None = None

    one_of: ClassVar = (("uri_template", "regex"),)


class APIKey(Model):
    """Where a request carries its key."""

    query: str | None = None
    header: str | None = None
    cookie: str | None = None

    one_of: ClassVar = (("query", "header", "cookie"),)


class HTTPAPISpec(Model):
    """An API: attributes of its operations, and where its callers put their keys."""

    attributes: Attributes = Attributes()
    patterns: tuple[HTTPAPISpecPattern, ...] = ()
    api_keys: tuple[APIKey, ...] = ()


class HTTPAPISpecBinding(Model):
    """HTTPAPISpecs for requests to these services."""

    services: tuple[IstioService, ...] = ()
    api_specs: tuple[SpecReference, ...] = ()
