"""The filter chain of a connection: nested tables, one level a criterion, in Envoy's order of precedence.

Each level takes the most specific entry that fits, and there is no way back to a less specific one: a chain for a port
hides chains for any port, though its other conditions fail. Levels on which all chains agree to ask nothing are left
out, so that a decision is as many look-ups as there are criteria in use. Source: Envoy's FilterChainManagerImpl.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from ipaddress import ip_address, ip_network
from typing import Final, Generic, TypeAlias, TypeVar

from mizzen.proxy.engine.arrival import Arrival, Ip
from mizzen.proxy.engine.plan import ChainMatch

Chain = TypeVar("Chain")
ANY: Final = ""
"""The key of what asks for nothing."""
Keys: TypeAlias = tuple[Hashable, ...]


class ChainTable(Generic[Chain]):
    """Filter chains by what they match. ValueError when two match the very same connections."""

    __slots__ = ("_root",)

    def __init__(self, chains: Iterable[tuple[ChainMatch, Chain]]) -> None:
        self._root = _node(0, list(chains))

    def find(self, arrival: Arrival) -> Chain | None:
        """The chain that takes it; None leaves it to the default."""
        node = self._root
        while isinstance(node, _Level):
            node = node.next(arrival)
        return node.chain if node is not None else None

    def explain(self, arrival: Arrival) -> list[str]:
        """What was looked at, in words, up to the chain or to where nothing fits."""
        words = []
        node = self._root
        while isinstance(node, _Level):
            words.append(node.tell(arrival))
            node = node.next(arrival)
        return words


class _Leaf(Generic[Chain]):
    """The end of the search."""

    __slots__ = ("chain",)

    def __init__(self, chain: Chain) -> None:
        self.chain = chain


class _Level(Generic[Chain]):
    """One criterion and its entries."""

    __slots__ = ("_candidates", "_name", "_value", "entries")

    def __init__(self, level: _Criterion, entries: dict[Hashable, _Node[Chain]]) -> None:
        self._name = level.name
        self._value = level.value
        self._candidates = level.candidates(entries)
        self.entries = entries

    def next(self, arrival: Arrival) -> _Node[Chain]:
        """What the most specific entry leads to; None when none fits."""
        for key in self._candidates(arrival):
            found = self.entries.get(key)
            if found is not None:
                return found
        return None

    def tell(self, arrival: Arrival) -> str:
        """One line of `explain`."""
        known = ", ".join(str(key) if key != ANY else "any" for key in self.entries)
        return f"{self._name} {self._value(arrival) or '(none)'}: chains have {known}"


_Node: TypeAlias = "_Level[Chain] | _Leaf[Chain] | None"
Candidates: TypeAlias = Callable[[Arrival], Iterable[Hashable]]


class _Criterion:
    """A level: its name, the keys of a chain, the value of a connection, and the keys to try for that."""

    def __init__(
        self,
        name: str,
        keys: Callable[[ChainMatch], Sequence[Hashable]],
        value: Callable[[Arrival], object],
        candidates: Callable[[Iterable[Hashable]], Candidates],
    ) -> None:
        self.name = name
        self.keys = keys
        self.value = value
        self.candidates = candidates


def _node(level: int, chains: list[tuple[ChainMatch, Chain]]) -> _Node[Chain]:
    if level == len(_CRITERIA):
        if len(chains) > 1:
            raise ValueError("two filter chains match the same connections")
        return _Leaf(chains[0][1]) if chains else None
    criterion = _CRITERIA[level]
    groups: dict[Hashable, list[tuple[ChainMatch, Chain]]] = {}
    for match, chain in chains:
        for key in dict.fromkeys(criterion.keys(match) or (ANY,)):
            groups.setdefault(key, []).append((match, chain))
    entries = {key: _node(level + 1, group) for key, group in groups.items()}
    return entries[ANY] if entries.keys() == {ANY} else _Level(criterion, entries)


# -- criteria -------------------------------------------------------------------------------------------------------


def _one(read: Callable[[Arrival], Hashable]) -> Callable[[Iterable[Hashable]], Candidates]:
    """The value itself, then any."""
    return lambda entries: lambda arrival: (read(arrival), ANY)


def _in_ranges(read: Callable[[Arrival], Ip]) -> Callable[[Iterable[Hashable]], Candidates]:
    """The narrowest range first."""

    def bind(entries: Iterable[Hashable]) -> Candidates:
        lengths: dict[int, list[int]] = {4: [], 6: []}
        for version, length in sorted({key[:2] for key in entries if isinstance(key, _Range)}, reverse=True):
            lengths[version].append(length)

        def candidates(arrival: Arrival) -> Iterable[Hashable]:
            address = read(arrival)
            for length in lengths[address.version]:
                yield _Range((address.version, length, int(address) >> (address.max_prefixlen - length)))
            yield ANY

        return candidates

    return bind


class _Range(tuple[int, int, int]):
    """IP version, length of the prefix, and its bits."""

    __slots__ = ()

    def __str__(self) -> str:
        version, length, bits = self
        size = 32 if version == 4 else 128
        number = bits << (size - length)
        return f"{ip_address(number.to_bytes(size // 8, 'big'))}/{length}"


def _ranges(texts: tuple[str, ...]) -> tuple[Hashable, ...]:
    networks = [ip_network(text, strict=False) for text in texts]
    return tuple(
        _Range((net.version, net.prefixlen, int(net.network_address) >> (net.max_prefixlen - net.prefixlen)))
        for net in networks
    )


def _server_names(entries: Iterable[Hashable]) -> Candidates:
    """The name, then `*.` and ever less of it."""

    def candidates(arrival: Arrival) -> Iterable[Hashable]:
        name = arrival.server_name
        yield name
        while name:
            name = name.partition(".")[2]
            if name:
                yield f"*.{name}"
        yield ANY

    return candidates


_CRITERIA: Final = (
    _Criterion(
        "destination port",
        lambda match: (match.port,) if match.port else (),
        lambda arrival: arrival.destination[1],
        _one(lambda arrival: arrival.destination[1]),
    ),
    _Criterion(
        "destination address",
        lambda match: _ranges(match.destinations),
        lambda arrival: arrival.destination[0],
        _in_ranges(lambda arrival: arrival.destination_ip),
    ),
    _Criterion("server name", lambda match: match.server_names, lambda arrival: arrival.server_name, _server_names),
    _Criterion(
        "transport protocol",
        lambda match: (match.transport,),
        lambda arrival: arrival.transport,
        _one(lambda arrival: arrival.transport),
    ),
    _Criterion(
        "application protocol",
        lambda match: match.protocols,
        lambda arrival: arrival.protocols_in_words,
        lambda entries: lambda arrival: (*arrival.protocols, ANY),
    ),
    _Criterion(
        "peer address",
        lambda match: _ranges(match.direct_sources),
        lambda arrival: arrival.source[0],
        _in_ranges(lambda arrival: arrival.source_ip),
    ),
    _Criterion(
        "source type",
        lambda match: () if match.source_type == "any" else (match.source_type,),
        lambda arrival: "local" if arrival.is_local else "external",
        _one(lambda arrival: "local" if arrival.is_local else "external"),
    ),
    _Criterion(
        "source address",
        lambda match: _ranges(match.sources),
        lambda arrival: arrival.source[0],
        _in_ranges(lambda arrival: arrival.source_ip),
    ),
    _Criterion(
        "source port",
        lambda match: match.source_ports,
        lambda arrival: arrival.source[1],
        _one(lambda arrival: arrival.source[1]),
    ),
)
"""In Envoy's order. The peer's address and the source address differ only behind a PROXY protocol."""
