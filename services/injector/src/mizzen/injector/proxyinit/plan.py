"""All rules of a capture."""

from __future__ import annotations

from mizzen.injector.proxyinit.dns import raw_rules
from mizzen.injector.proxyinit.mangle import mangle_rules
from mizzen.injector.proxyinit.nat import nat_rules
from mizzen.injector.proxyinit.rules import Family, Table
from mizzen.injector.proxyinit.settings import Capture


def plan(capture: Capture, family: Family, servers: tuple[str, ...] = ()) -> tuple[Table, ...]:
    """The tables of one address family that have rules; `servers` are the DNS servers of that family."""
    tables = (
        Table("mangle", tuple(mangle_rules(capture, family))),
        Table("nat", tuple(nat_rules(capture, family, servers))),
        Table("raw", tuple(raw_rules(capture, servers))),
    )
    return tuple(table for table in tables if table.rules)
