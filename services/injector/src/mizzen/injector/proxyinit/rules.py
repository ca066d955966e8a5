"""Rules of iptables as values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from mizzen.injector.proxyinit.settings import Network, Ranges

Family = Literal[4, 6]
FAMILIES: Final[tuple[Family, ...]] = (4, 6)
PREFIX: Final = "ISTIO_"
"""Every chain of a mesh begins so."""

INBOUND: Final = "ISTIO_INBOUND"
REDIRECT: Final = "ISTIO_REDIRECT"
IN_REDIRECT: Final = "ISTIO_IN_REDIRECT"
OUTPUT: Final = "ISTIO_OUTPUT"
OUTPUT_DNS: Final = "ISTIO_OUTPUT_DNS"
DIVERT: Final = "ISTIO_DIVERT"
TPROXY: Final = "ISTIO_TPROXY"
DROP: Final = "ISTIO_DROP"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: appended to its chain, or inserted at a position (from 1)."""

    chain: str
    spec: tuple[str, ...]
    """Matches and target, as arguments of iptables."""
    position: int | None = None

    @property
    def text(self) -> str:
        """A line for iptables-restore."""
        place = f"-A {self.chain}" if self.position is None else f"-I {self.chain} {self.position}"
        return f"{place} {' '.join(self.spec)}"


@dataclass(frozen=True, slots=True)
class Table:
    """The rules of a table in the order in which they are given to iptables."""

    name: str
    rules: tuple[Rule, ...]

    @property
    def own_chains(self) -> tuple[str, ...]:
        """The chains that the rules need, other than the kernel's, in the order of their first mention."""
        mentioned = (name for rule in self.rules for name in (rule.chain, target(rule.spec)))
        return tuple(dict.fromkeys(name for name in mentioned if name.startswith(PREFIX)))

    @property
    def chains(self) -> dict[str, tuple[tuple[str, ...], ...]]:
        """Chain → its rules from first to last, insertions done."""
        chains: dict[str, list[tuple[str, ...]]] = {name: [] for name in self.own_chains}
        for rule in self.rules:
            rows = chains.setdefault(rule.chain, [])
            rows.insert(len(rows) if rule.position is None else rule.position - 1, rule.spec)
        return {name: tuple(rows) for name, rows in chains.items()}


def target(spec: Sequence[str]) -> str:
    """What follows -j; "" for a rule that only counts."""
    return spec[spec.index("-j") + 1] if "-j" in spec else ""


def append(chain: str, spec: str) -> Rule:
    """The rule with the words of `spec`."""
    return Rule(chain, tuple(spec.split()))


def insert(chain: str, position: int, spec: str) -> Rule:
    """The same, at a position from 1."""
    return Rule(chain, tuple(spec.split()), position)


def of_family(ranges: Ranges, family: Family) -> tuple[Network, ...]:
    """The networks of one family."""
    return tuple(network for network in ranges.networks if network.version == family)
