"""Pilot's `/debug/syncz` as rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

TYPES = ("cds", "lds", "eds", "rds")


def sync_rows(clients: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One row a proxy: the state of each type, how many fields it does not enforce, what it or Pilot failed at."""
    return [_row(client) for client in clients]


def _row(client: Mapping[str, Any]) -> dict[str, Any]:
    types = {name.lower(): state for name, state in client["types"].items()}
    return {
        "name": client["proxy"],
        **{name: types.get(name, {}).get("status", "IGNORED") for name in TYPES},
        "unsupported": sum(item.get("count", 1) for item in client["unsupported"]),
        "unsupported_fields": client["unsupported"],
        "errors": [
            *(f"{name.upper()}: {state['error']}" for name, state in types.items() if state.get("error")),
            *(
                f"{name.upper()}: Pilot cannot generate {resource}: {reason}"
                for name, state in types.items()
                for resource, reason in state.get("failures", {}).items()
            ),
        ],
        "id": client["node_id"],
    }
