"""xDS type URLs."""

from __future__ import annotations

CLUSTER = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
ENDPOINT = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
LISTENER = "type.googleapis.com/envoy.config.listener.v3.Listener"
ROUTE = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
SECRET = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"  # noqa: S105 - the name of a type

ORDER = (CLUSTER, ENDPOINT, LISTENER, ROUTE, SECRET)
"""The order of types within a push: what is referred to comes before what refers to it."""
WILDCARD = frozenset({CLUSTER, LISTENER})
"""Types that a proxy asks for without names."""
