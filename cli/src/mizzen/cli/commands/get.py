"""`mizzen get`: show the configuration and what the platform knows."""

from __future__ import annotations

from typing import Annotated

import typer

from mizzen.cli.commands.options import Namespace
from mizzen.cli.output import Format, Output


def get(
    kind: Annotated[str, typer.Argument(help="The kind: virtualservice, vs, dr, gw, se, we, svc, deploy, pod ...")],
    name: Annotated[str | None, typer.Argument(help="One resource of it.")] = None,
    namespace: Namespace = "default",
    everywhere: Annotated[bool, typer.Option("--all-namespaces", "-A", help="In every namespace.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """List resources of a kind, or show one; status 1 when there is none."""
    from mizzen.api.dump import to_dict, to_yaml
    from mizzen.api.kinds import KINDS
    from mizzen.cli.errors import UserError
    from mizzen.cli.kinds import kind_named
    from mizzen.cli.local.access import config_home
    from mizzen.cli.local.home import Home
    from mizzen.cli.output import say, show_data, show_rows
    from mizzen.cli.store import ConfigStore

    home = config_home(Home.locate())
    wanted = kind_named(kind)
    known = ConfigStore(home.registry).read() | ConfigStore(home.config).read()
    anywhere = everywhere or not KINDS[wanted].namespaced
    found = [
        resource
        for key, resource in sorted(known.items())
        if key.kind == wanted and (anywhere or key.namespace == namespace) and name in (None, key.name)
    ]
    if not found:
        what = f"{wanted} {namespace}/{name}" if name else f"{wanted} in namespace {namespace}"
        raise UserError(f"There is no {what if not anywhere else wanted}.")
    if output is Format.YAML:
        say(to_yaml(found).rstrip("\n"))
    elif output is Format.JSON:
        items = [to_dict(resource) for resource in found]
        show_data(items[0] if name and len(items) == 1 else items, output)
    else:
        rows = [_row(to_dict(resource)) for resource in found]
        columns = ["namespace"] if everywhere else []
        show_rows(rows, [*columns, *(column for column in rows[0] if column != "namespace")], output)


def _row(item: dict[str, object]) -> dict[str, str]:
    """Name and namespace, and what else tells resources of the kind apart."""
    metadata, spec = item["metadata"], item.get("spec", item)
    if not isinstance(metadata, dict) or not isinstance(spec, dict):
        raise TypeError(f"not a resource: {item!r}")
    row = {"namespace": str(metadata.get("namespace", "default")), "name": str(metadata["name"])}
    extra = {
        "VirtualService": lambda: {"gateways": _list(spec.get("gateways", ())), "hosts": _list(spec.get("hosts", ()))},
        "DestinationRule": lambda: {
            "host": str(spec.get("host", "")),
            "subsets": _list(subset["name"] for subset in spec.get("subsets", ())),
        },
        "Gateway": lambda: {
            "ports": _list(server["port"]["number"] for server in spec.get("servers", ())),
            "hosts": _list(host for server in spec.get("servers", ()) for host in server.get("hosts", ())),
        },
        "ServiceEntry": lambda: {"hosts": _list(spec.get("hosts", ()))},
        "WorkloadEntry": lambda: {"address": str(spec.get("address", ""))},
        "Service": lambda: {"ports": _list(port["port"] for port in spec.get("ports", ()))},
        "Deployment": lambda: {"replicas": str(spec.get("replicas", 1))},
        "EndpointSlice": lambda: {
            "ports": _list(port["port"] for port in spec.get("ports", ())),
            "endpoints": _list(address for point in spec.get("endpoints", ()) for address in point["addresses"]),
        },
    }.get(str(item["kind"]))
    return row | extra() if extra else row


def _list(values: object) -> str:
    return ",".join(str(value) for value in values) if values else ""  # type: ignore[attr-defined]
