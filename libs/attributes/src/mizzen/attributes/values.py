"""The types of attributes, and the Python values that carry them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address


class ValueType(IntEnum):
    """What an attribute or an expression is; numbers as in `istio.policy.v1beta1.ValueType`."""

    UNSPECIFIED = 0
    STRING = 1
    INT64 = 2
    DOUBLE = 3
    BOOL = 4
    TIMESTAMP = 5
    IP_ADDRESS = 6
    EMAIL_ADDRESS = 7
    URI = 8
    DNS_NAME = 9
    DURATION = 10
    STRING_MAP = 11


# STRING, EMAIL_ADDRESS, URI and DNS_NAME are str; TIMESTAMP is aware and in UTC; IP_ADDRESS is an address (IPv4 in IPv6
# form is unwrapped to IPv4). bytes occur only where the sender named no type (an address of a wrong length, say).
Value = str | int | float | bool | datetime | timedelta | IPv4Address | IPv6Address | bytes | Mapping[str, str]
