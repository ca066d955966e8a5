"""attributemanifest: which attributes there are, and of which type."""

from enum import StrEnum

from pydantic import Field

from mizzen.api.types import Model


class ValueType(StrEnum):
    """The types of attributes and expressions."""

    STRING = "STRING"
    INT64 = "INT64"
    DOUBLE = "DOUBLE"
    BOOL = "BOOL"
    TIMESTAMP = "TIMESTAMP"
    IP_ADDRESS = "IP_ADDRESS"
    EMAIL_ADDRESS = "EMAIL_ADDRESS"
    URI = "URI"
    DNS_NAME = "DNS_NAME"
    DURATION = "DURATION"
    STRING_MAP = "STRING_MAP"


class AttributeInfo(Model):
    """One attribute."""

    description: str = ""
    value_type: ValueType


class AttributeManifest(Model):
    """The attributes that one component produces."""

    revision: str = ""
    name: str = ""
    attributes: dict[str, AttributeInfo] = Field(default_factory=dict)
