"""What iptables holds against what it should hold, and the text that makes the one of the other."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from mizzen.injector.proxyinit.canonical import Canonical, canonical
from mizzen.injector.proxyinit.rules import PREFIX, Table, target

Chains = Mapping[str, tuple[tuple[str, ...], ...]]
"""Chain → the specs of its rules, in order."""
State = Mapping[str, Chains]
"""Table → its chains."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Rules that are ours, there against wanted. Lines are `TABLE -A CHAIN ...`."""

    found: Literal["nothing", "part", "same", "different"]
    """`part`: whole tables lack, and the others are as wanted, as when a run was cut off between two."""
    missing: tuple[str, ...] = ()
    unwanted: tuple[str, ...] = ()


def parse_save(text: str) -> dict[str, dict[str, tuple[tuple[str, ...], ...]]]:
    """Read what iptables-save prints."""
    tables: dict[str, dict[str, tuple[tuple[str, ...], ...]]] = {}
    chains: dict[str, tuple[tuple[str, ...], ...]] = {}
    for line in text.splitlines():
        if line.startswith("*"):
            chains = tables.setdefault(line[1:].strip(), {})
        elif line.startswith(":"):
            chains.setdefault(line[1:].split()[0], ())
        elif line.startswith("-A "):
            _, chain, *spec = shlex.split(line)
            chains[chain] = (*chains.get(chain, ()), tuple(spec))
    return tables


def has_rules(state: State) -> bool:
    """Whether any table has any rule, a mesh's or not."""
    return any(rows for chains in state.values() for rows in chains.values())


def is_captured(state: State) -> bool:
    """Whether a chain of a mesh is there."""
    return any(_has_own(chains) for chains in state.values())


def compare(state: State, wanted: Sequence[Table]) -> Comparison:
    """Whether the rules are there as wanted; rules of others between them do not matter."""
    if not is_captured(state):
        return Comparison("nothing")
    there = {name: _own_rules(name, chains) for name, chains in state.items()}
    should = {table.name: dict(table.chains) for table in wanted}
    missing = tuple(_lacking(should, there))
    unwanted = tuple(_lacking(there, should))
    forms, wanted_forms = _forms(there), _forms(should)
    if any(wanted_forms.get(name) != chains for name, chains in forms.items()):
        return Comparison("different", missing, unwanted)
    return Comparison("same" if forms.keys() == wanted_forms.keys() else "part", missing, unwanted)


def apply_text(state: State, wanted: Sequence[Table]) -> str:
    """Input of `iptables-restore --noflush` that makes our part of every table what is wanted, each table at once."""
    parts = [_table_text(state.get(table.name, {}), table) for table in wanted]
    names = {table.name for table in wanted}
    return "".join(parts) + removal_text({n: c for n, c in state.items() if n not in names})


def removal_text(state: State) -> str:
    """Input that removes our part of every table, whatever settings made it; "" when there is none."""
    parts = []
    for name, chains in state.items():
        if _has_own(chains):
            own = [chain for chain in chains if chain.startswith(PREFIX)]
            lines = [*_deletions(name, chains), *(f"-F {c}" for c in own), *(f"-X {c}" for c in own)]
            parts.append(_block(name, lines))
    return "".join(parts)


def _table_text(chains: Chains, table: Table) -> str:
    left_over = [chain for chain in chains if chain.startswith(PREFIX) and chain not in table.own_chains]
    return _block(table.name, [
        *(f":{chain} - [0:0]" for chain in table.own_chains),  # made, or emptied
        *_deletions(table.name, chains),
        *(f"-F {chain}" for chain in left_over),
        *(f"-X {chain}" for chain in left_over),
        *(rule.text for rule in table.rules),
    ])  # fmt: skip


def _block(table: str, lines: Sequence[str]) -> str:
    return "\n".join([f"*{table}", *lines, "COMMIT", ""])


def _deletions(name: str, chains: Chains) -> Iterator[str]:
    for chain, rows in _own_rules(name, chains).items():
        if not chain.startswith(PREFIX):
            yield from (f"-D {chain} {_join(row)}" for row in rows)


def _has_own(chains: Chains) -> bool:
    return any(chain.startswith(PREFIX) for chain in chains)


def _own_rules(name: str, chains: Chains) -> dict[str, tuple[tuple[str, ...], ...]]:
    """What is ours of a table: our chains, and in the kernel's chains what serves them."""
    if not _has_own(chains):
        return {}
    own = {}
    for chain, rows in chains.items():
        if chain.startswith(PREFIX):
            own[chain] = rows
        elif mine := tuple(row for row in rows if _is_own(name, row)):
            own[chain] = mine
    return own


def _is_own(table: str, row: Sequence[str]) -> bool:
    """A jump to a chain of ours; beside one also an excluded interface, and in mangle the marks of TPROXY."""
    to = target(row)
    if to.startswith(PREFIX):
        return True
    if len(row) == 4 and row[0] in ("-i", "-o") and to == "RETURN":
        return True
    return table == "mangle" and (to in ("MARK", "CONNMARK") or (to == "RETURN" and "--mark" in row))


def _forms(state: State) -> dict[str, dict[str, tuple[Canonical, ...]]]:
    return {
        name: {chain: tuple(canonical(row) for row in rows) for chain, rows in chains.items()}
        for name, chains in state.items()
        if chains
    }


def _lacking(these: State, others: State) -> Iterator[str]:
    """The rules and chains of `these` that the others lack."""
    for name, chains in these.items():
        for chain, rows in chains.items():
            known = others.get(name, {}).get(chain)
            if known is None and not rows:
                yield f"{name} -N {chain}"
            forms = [canonical(row) for row in known or ()]
            yield from (f"{name} -A {chain} {_join(row)}" for row in rows if canonical(row) not in forms)


def _join(words: Sequence[str]) -> str:
    """Words as iptables-restore reads them: it knows double quotes alone."""
    return " ".join(_quoted(word) if shlex.quote(word) != word else word for word in words)


def _quoted(word: str) -> str:
    if word == "!":
        return word
    escaped = word.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
