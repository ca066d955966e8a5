"""What is to be captured, checked and typed."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final, Literal

Network = IPv4Network | IPv6Network
Mode = Literal["REDIRECT", "TPROXY"]
Binary = Literal["", "nft", "legacy"]
WILDCARD: Final = "*"
LOOPBACK: Final = IPv4Network("127.0.0.1/32")


@dataclass(frozen=True, slots=True)
class Ports:
    """Some TCP ports, or all."""

    every: bool = False
    numbers: tuple[int, ...] = ()

    def __bool__(self) -> bool:
        return self.every or bool(self.numbers)


@dataclass(frozen=True, slots=True)
class Ranges:
    """Some destinations, or all."""

    every: bool = False
    networks: tuple[Network, ...] = ()

    @property
    def loopback(self) -> bool:
        """Whether a destination on loopback was asked for by name."""
        return any(network.network_address.is_loopback for network in self.networks)


@dataclass(frozen=True, slots=True)
class Capture:
    """Which connections go to the proxy. The names follow Istio's flags."""

    outbound_port: int = 15001
    inbound_port: int = 15006
    tunnel_port: int = 15008
    uids: tuple[int, ...] = (1337,)
    """Owners whose connections are the proxy's own."""
    gids: tuple[int, ...] = (1337,)
    mode: Mode = "REDIRECT"
    """How inbound connections are captured; outbound ones are always redirected."""
    inbound_ports: Ports = Ports()
    inbound_ports_exclude: tuple[int, ...] = ()
    """Has a meaning with all inbound ports only."""
    outbound_ranges: Ranges = Ranges()
    outbound_ranges_exclude: Ranges = Ranges()
    outbound_ports: tuple[int, ...] = ()
    """Captured whatever the ranges say."""
    outbound_ports_exclude: tuple[int, ...] = ()
    exclude_interfaces: tuple[str, ...] = ()
    virtual_interfaces: tuple[str, ...] = ()
    """What comes in there is outbound traffic of a machine inside the pod."""
    tproxy_mark: int = 1337
    tproxy_table: int = 133
    owner_groups: tuple[int, ...] | None = None
    """Groups whose outbound connections are captured; None is all."""
    owner_groups_exclude: tuple[int, ...] = ()
    redirect_dns: bool = False
    capture_all_dns: bool = False
    """Port 53 of any server, not only of those in resolv.conf."""
    drop_invalid: bool = False
    loopback: IPv4Network = LOOPBACK


@dataclass(frozen=True, slots=True)
class Settings:
    """What this run does."""

    capture: Capture = Capture()
    dual_stack: bool = False
    dry_run: bool = False
    skip_rule_apply: bool = False
    reconcile: bool = False
    cleanup_only: bool = False
    force_apply: bool = False
    force_binary: Binary = ""
    run_validation: bool = False
    probe_port: int = 15002
    probe_seconds: float = 5.0
    log_level: str = "info"


def parse_port(text: str) -> int:
    """1 to 65535; raises ValueError."""
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= 65535):
        raise ValueError(f"a port is a number from 1 to 65535, not {text!r}")
    return int(text)


def parse_ports(text: str) -> tuple[int, ...]:
    """`80,443`; empty is none. Raises ValueError."""
    return tuple(parse_port(part) for part in split(text))


def parse_ports_or_all(text: str) -> Ports:
    """`*`, a list, or empty. Raises ValueError."""
    return Ports(every=True) if text.strip() == WILDCARD else Ports(numbers=parse_ports(text))


def parse_ranges(text: str) -> Ranges:
    """`*`, a list of CIDRs or addresses of either family, or empty. Raises ValueError."""
    if text.strip() == WILDCARD:
        return Ranges(every=True)
    return Ranges(networks=tuple(_network(part) for part in split(text)))


def parse_excluded_ranges(text: str) -> Ranges:
    """A list of CIDRs, or empty: to exclude everything is to include nothing. Raises ValueError."""
    ranges = parse_ranges(text)
    if ranges.every:
        raise ValueError("'*' cannot be excluded; leave the included ranges empty to capture nothing outbound")
    return ranges


def parse_interfaces(text: str) -> tuple[str, ...]:
    """`eth1,net+`, where + ends a prefix as in iptables. Raises ValueError."""
    names = split(text)
    for name in names:
        if len(name.encode()) > 15 or any(letter.isspace() or letter in "/!\"'\\" for letter in name):
            raise ValueError(f"a network interface has up to 15 letters without blanks and slashes, not {name!r}")
    return names


def parse_loopback(text: str) -> IPv4Network:
    """An IPv4 CIDR in 127.0.0.0/8; raises ValueError."""
    network = _network(text)
    if not isinstance(network, IPv4Network) or not network.subnet_of(IPv4Network("127.0.0.0/8")):
        raise ValueError(f"the loopback range is an IPv4 CIDR inside 127.0.0.0/8, not {text!r}")
    return network


def split(text: str) -> tuple[str, ...]:
    """The parts of a comma list, without blanks; empty text has none. Raises ValueError for an empty part."""
    if not text.strip():
        return ()
    parts = tuple(part.strip() for part in text.split(","))
    if "" in parts:
        raise ValueError(f"there is an empty part in the list {text!r}")
    return parts


def _network(text: str) -> Network:
    try:
        return ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f"a range is a CIDR such as 10.0.0.0/8 or fd00::/8, not {text!r}") from None
