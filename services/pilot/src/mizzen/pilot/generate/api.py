"""The entry to generation."""

from __future__ import annotations

from mizzen.pilot.generate.encoded import Encoded
from mizzen.pilot.snapshot.mesh import Mesh
from mizzen.pilot.snapshot.proxy import Proxy


def generate(type_url: str, proxy: Proxy, mesh: Mesh, names: frozenset[str] | None) -> dict[str, Encoded]:
    """The resources of one type for one proxy, by name and in the order to send them.

    `names` None asks for all (wildcard). A name that does not exist is left out, except that a sidecar's unknown
    route configuration and any unknown endpoint set are answered empty, because Envoy would wait for them forever.
    Raises ValueError for a type URL that is not generated.
    """
    raise NotImplementedError
