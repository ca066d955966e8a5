"""Lists to look values up in. Each is built once from text and overrides, and never changes."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, IPv6Network
from typing import Protocol

import re2
import yaml

from mizzen.attributes.values import Value
from mizzen.mixer.adapters.text import text_of

Address = IPv4Address | IPv6Address


class EntryType(StrEnum):
    """What the entries of a list are."""

    STRINGS = "STRINGS"
    CASE_INSENSITIVE_STRINGS = "CASE_INSENSITIVE_STRINGS"
    IP_ADDRESSES = "IP_ADDRESSES"
    REGEX = "REGEX"


class Entries(Protocol):
    """A list."""

    def __contains__(self, value: Value) -> bool:
        """Whether the value is on it; raises ValueError for a value that cannot be."""

    def __len__(self) -> int: ...


def build(kind: EntryType, fetched: str, overrides: Iterable[str]) -> Entries:
    """A list from a provider's text and the entries written in the parameters; raises ValueError naming a bad entry."""
    match kind:
        case EntryType.IP_ADDRESSES:
            return Networks([*_networks_of(fetched), *overrides])
        case EntryType.REGEX:
            return Patterns([*_lines(fetched), *overrides])
    return Strings([*_lines(fetched), *overrides], fold=kind is EntryType.CASE_INSENSITIVE_STRINGS)


class Strings:
    """Equal strings, of the same or of any case."""

    def __init__(self, entries: Iterable[str], *, fold: bool) -> None:
        self._fold = fold
        self._entries = frozenset(self._key(entry) for entry in entries if entry)

    def __contains__(self, value: Value) -> bool:
        return self._key(text_of(value)) in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def _key(self, text: str) -> str:
        return text.upper() if self._fold else text


class Patterns:
    """RE2 patterns that match anywhere in a value."""

    def __init__(self, entries: Iterable[str]) -> None:
        self._entries = tuple(_pattern(entry) for entry in entries if entry)

    def __contains__(self, value: Value) -> bool:
        text = text_of(value)
        return any(pattern.search(text) for pattern in self._entries)

    def __len__(self) -> int:
        return len(self._entries)


class Networks:
    """IP networks, kept by prefix length, so that a look-up costs one probe for each length that occurs."""

    def __init__(self, entries: Iterable[str]) -> None:
        self._bases: dict[tuple[int, int], set[int]] = {}  # by version and host bits: shifted network addresses
        for entry in entries:
            network = _network(entry)
            host_bits = network.max_prefixlen - network.prefixlen
            self._bases.setdefault((network.version, host_bits), set()).add(int(network.network_address) >> host_bits)

    def __contains__(self, value: Value) -> bool:
        address = _address(value)
        number = int(address)
        return any(
            number >> host_bits in bases
            for (version, host_bits), bases in self._bases.items()
            if version == address.version
        )

    def __len__(self) -> int:
        return sum(map(len, self._bases.values()))


def _lines(text: str) -> list[str]:
    return [line.removesuffix("\r") for line in text.split("\n")]


def _networks_of(text: str) -> list[str]:
    """The `whitelist` of a YAML document, the form in which Istio's providers publish addresses."""
    if not text.strip():
        return []
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"an address list must be YAML with a list under `whitelist`: {error}") from None
    entries = document.get("whitelist", []) if isinstance(document, dict) else None
    if not isinstance(entries, list) or not all(isinstance(entry, str) for entry in entries):
        raise ValueError("an address list must be YAML with a list of texts under `whitelist`")
    return entries


def _network(entry: str) -> ipaddress.IPv4Network | IPv6Network:
    try:
        network = ipaddress.ip_network(entry, strict=False)
    except ValueError:
        raise ValueError(f"{entry!r} is not an IP address or a block such as 10.57.0.0/16") from None
    mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    if mapped is not None and network.prefixlen >= 96:
        return ipaddress.ip_network((mapped, network.prefixlen - 96), strict=False)
    return network


def _address(value: Value) -> Address:
    try:
        address = value if isinstance(value, Address) else ipaddress.ip_address(text_of(value))
    except ValueError:
        raise ValueError(f"{text_of(value)} is not a valid IP address") from None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def _pattern(entry: str) -> re2._Regexp:
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(entry, options)
    except re2.error as error:
        detail = error.args[0] if error.args else error
        reason = detail.decode(errors="replace") if isinstance(detail, bytes) else detail
        raise ValueError(f"{entry!r} is not an RE2 regex: {reason}") from None
