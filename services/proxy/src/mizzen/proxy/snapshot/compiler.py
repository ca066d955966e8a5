"""The compiler's front door: one xDS resource in, a plan or a rejection out."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

from mizzen.proxy.engine.plan import Plan
from mizzen.proxy.snapshot.clusters import cluster
from mizzen.proxy.snapshot.endpoints import endpoint_set
from mizzen.proxy.snapshot.listeners import listener
from mizzen.proxy.snapshot.result import Compiled, Invalid, Notes, Rejected
from mizzen.proxy.snapshot.routes import route_table
from mizzen.proxy.snapshot.secrets import secret

log = logging.getLogger(__name__)

_COMPILERS: Final[dict[str, Callable[[Any, Notes], Plan]]] = {
    "Listener": listener,
    "RouteConfiguration": route_table,
    "Cluster": cluster,
    "ClusterLoadAssignment": endpoint_set,
    "Secret": secret,
}
"""By the message's short name."""


def compile_resource(message: Any) -> Compiled | Rejected:
    """Compile a resource of any type that a proxy is sent; never raises for its contents."""
    kind = message.DESCRIPTOR.name
    resource = f"{kind} {message.cluster_name if kind == 'ClusterLoadAssignment' else message.name}"
    notes = Notes()
    try:
        plan = _COMPILERS[kind](message, notes)
    except Invalid as error:
        return Rejected(resource, error.path, error.reason)
    except Exception as error:  # a gap in a compiler must cost no other resource
        log.exception("%s cannot be compiled", resource)
        return Rejected(resource, "", f"a fault of this proxy: {type(error).__name__}: {error}")
    return Compiled(plan, notes.unsupported)
