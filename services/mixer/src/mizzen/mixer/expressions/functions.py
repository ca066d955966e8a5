"""What the functions of the language do with values. Their only error is EvaluationError."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from types import MappingProxyType
from typing import Any

import re2

from mizzen.mixer.expressions import names, times, uris
from mizzen.mixer.expressions.errors import EvaluationError

MAX_PATTERNS = 1024
"""Regular expressions from attributes that are kept compiled."""

_NO_ENTRIES: Mapping[str, str] = MappingProxyType({})
Address = IPv4Address | IPv6Address


def ip(text: str) -> Address:
    """An address; IPv4 in IPv6 form is IPv4."""
    try:
        address = ip_address(text)
    except ValueError:
        raise EvaluationError(f"could not convert {text} to IP_ADDRESS") from None
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        raise EvaluationError(f"could not convert {text} to IP_ADDRESS")
    return _unmapped(address)


def same_address(left: Address, right: Address) -> bool:
    """Whether two addresses are one, also where one is IPv4 in IPv6 form."""
    return left == right or _unmapped(left) == _unmapped(right)


def _unmapped(address: Address) -> Address:
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def match(text: str, pattern: str) -> bool:
    """Equality, or a prefix where the pattern ends with a star, else a suffix where it begins with one."""
    return matcher(pattern)(text)


def matcher(pattern: str) -> Callable[[str], bool]:
    """`match` with a pattern that is known beforehand."""
    if pattern.endswith("*"):
        prefix = pattern[:-1]
        return lambda text: text.startswith(prefix)
    if pattern.startswith("*"):
        suffix = pattern[1:]
        return lambda text: text.endswith(suffix)
    return lambda text: text == pattern


def matches(pattern: str, text: str) -> bool:
    """Whether an RE2 expression is found anywhere in a text."""
    return searcher(pattern)(text)


@lru_cache(MAX_PATTERNS)
def searcher(pattern: str) -> Callable[[str], bool]:
    """`matches` with a pattern that is known beforehand; raises EvaluationError where it is no RE2 expression."""
    options = re2.Options()
    options.log_errors = False
    try:
        search = re2.compile(pattern, options).search
    except (re2.error, UnicodeError) as error:
        reason = error.args[0] if error.args else error
        shown = reason.decode(errors="replace") if isinstance(reason, bytes) else reason
        raise EvaluationError(f"error parsing regexp: {shown}: '{pattern}'") from None

    def found(text: str) -> bool:
        try:
            return search(text) is not None
        except UnicodeError:
            raise EvaluationError("the text to search is not Unicode") from None

    return found


def add_int64(left: int, right: int) -> int:
    """The sum, wrapped around as 64 bits do."""
    total: int = left + right
    return total if -(2**63) <= total < 2**63 else (total + 2**63) % 2**64 - 2**63


def size(text: str) -> int:
    """The length of a text in bytes."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def empty_string_map() -> Mapping[str, str]:
    """A map without entries."""
    return _NO_ENTRIES


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "conditionalString": lambda condition, yes, no: yes if condition else no,
    "ip": ip,
    "timestamp": times.timestamp,
    "dnsName": names.dns_name,
    "email": names.email,
    "uri": uris.uri,
    "match": match,
    "matches": matches,
    "startsWith": str.startswith,
    "endsWith": str.endswith,
    "emptyStringMap": empty_string_map,
    "toLower": str.lower,
    "size": size,
}
"""Functions that take all their arguments as values; a method's target comes first."""
