"""Captured connections: what becomes of them by where they were going and by what comes first on them."""

from __future__ import annotations

from typing import Any

from simulation.cases.base import outbound
from simulation.harness.connect import Captured, Connect, Outcome, Sends
from simulation.harness.world import World

from mizzen.pilot.base.meshconfig import MeshConfig
from mizzen.pilot.snapshot.proxy import Proxy

POD, CACHE = "10.0.0.9", "10.1.0.5"
DB, ODD, MAIL, ANYWHERE = "10.96.0.10", "10.96.0.20", "10.96.0.25", "203.0.113.7"

YAML = """
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: default}
spec: {ports: [{name: http, port: 9080}], selector: {app: reviews}}
---
apiVersion: v1
kind: Service
metadata: {name: ratings, namespace: default}
spec: {clusterIP: 10.96.0.30, ports: [{name: http, port: 9080}], selector: {app: ratings}}
---
apiVersion: v1
kind: Service
metadata: {name: db, namespace: default}
spec: {clusterIP: 10.96.0.10, clusterIPs: [10.96.0.10, "fd01::10"], ports: [{name: tcp, port: 5432}]}
---
apiVersion: v1
kind: Service
metadata: {name: odd, namespace: default}
spec: {clusterIP: 10.96.0.20, ports: [{name: odd, port: 7000}]}
---
apiVersion: v1
kind: Service
metadata: {name: mail, namespace: default}
spec: {clusterIP: 10.96.0.25, ports: [{name: mail, port: 25}]}
---
apiVersion: v1
kind: Service
metadata: {name: cache, namespace: default}
spec: {ports: [{name: redis, port: 6379}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: cache, namespace: default, labels: {kubernetes.io/service-name: cache}}
addressType: IPv4
ports: [{name: redis, port: 6379}]
endpoints: [{addresses: [10.1.0.5]}]
---
apiVersion: v1
kind: Service
metadata: {name: own, namespace: default}
spec:
  selector: {app: client}
  ports:
  - {name: http, port: 80, targetPort: 8080}
  - {name: odd, port: 81, targetPort: 8081}
  - {name: tcp, port: 82, targetPort: 8082}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: secure, namespace: default}
spec:
  hosts: [a.example.com, "*.b.example.com"]
  resolution: NONE
  ports: [{number: 443, name: tls, protocol: TLS}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: ranged, namespace: default}
spec:
  hosts: [ranged.example.com]
  addresses: [10.50.0.0/16]
  resolution: NONE
  ports: [{number: 9000, name: tcp, protocol: TCP}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews, namespace: default}
spec: {host: reviews, subsets: [{name: v1, labels: {version: v1}}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, namespace: default}
spec: {hosts: [reviews], http: [{name: canary, route: [{destination: {host: reviews, subset: v1}}]}]}
"""

SIDECAR = """
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: client, namespace: default}
spec:
  ingress:
  - {port: {number: 9999, protocol: HTTP, name: http}, defaultEndpoint: "127.0.0.1:8080"}
  egress:
  - {port: {number: 5432, protocol: TCP, name: tcp}, hosts: ["./db.default.svc.cluster.local"]}
  - {hosts: ["./ratings.default.svc.cluster.local", "./cache.default.svc.cluster.local"]}
"""


def captured_sidecar(**metadata: Any) -> Proxy:
    """A workload's proxy behind rules of capture."""
    node = {"NAMESPACE": "default", "LABELS": {"app": "client"}, **metadata}
    return Proxy.from_node(f"sidecar~{POD}~client.default~default.svc.cluster.local", node)


SERVERS_FIRST = World("servers first", YAML, captured_sidecar(), MeshConfig(protocol_detection_timeout=0.05))
"""Here every server greets before it is spoken to, and clients wait for that."""
WORLDS = (
    SERVERS_FIRST,
    World("captured", YAML, captured_sidecar()),
    World("registry only", YAML, captured_sidecar(), MeshConfig(outbound_traffic_policy="REGISTRY_ONLY")),
    World("Sidecar, captured", YAML + SIDECAR, captured_sidecar()),
    World("two families", YAML, captured_sidecar(INSTANCE_IPS=f"{POD},fd00::9")),
)
PASSED, ARRIVED = "PassthroughCluster", "InboundPassthroughCluster"
CLOSED = Outcome("closed")
Row = tuple[str, int, Sends, Outcome]


def http(cluster: str, route: str = "default") -> Outcome:
    return Outcome("http", cluster, route)


def tcp(cluster: str) -> Outcome:
    return Outcome("tcp", cluster)


def _rows(world: str, host: str, *rows: Row, inbound: bool = False) -> list[Captured]:
    return [Captured(world, Connect(*row[:3], host, inbound), row[3]) for row in rows]


CASES: tuple[Captured, ...] = (
    # HTTP is told by its Host, wherever it was going; what else comes on its port goes on as it was.
    *_rows("captured", "reviews", (ANYWHERE, 9080, "http", http(outbound("reviews", "v1"), "canary"))),
    *_rows("captured", "ratings:9080", ("10.96.0.30", 9080, "http", http(outbound("ratings")))),
    *_rows(
        "captured",
        "unknown.example.com",
        (ANYWHERE, 9080, "http", http(PASSED, "allow_any")),
        (ANYWHERE, 9080, "tls", tcp(PASSED)),
        (ANYWHERE, 9080, "bytes", tcp(PASSED)),
        # Nobody declares this port: nothing is looked at.
        (ANYWHERE, 1234, "http", tcp(PASSED)),
        # Who calls the proxy itself gets nowhere.
        (POD, 15001, "http", CLOSED),
    ),
    *_rows(
        "captured",
        "",
        (DB, 5432, "bytes", tcp(outbound("db", port=5432))),
        (DB, 5432, "http", tcp(outbound("db", port=5432))),
        (ANYWHERE, 5432, "bytes", tcp(PASSED)),
        (ODD, 7000, "http", http(outbound("odd", port=7000))),
        (ODD, 7000, "bytes", tcp(outbound("odd", port=7000))),
        (ODD, 7001, "bytes", tcp(PASSED)),
        (MAIL, 25, "bytes", tcp(outbound("mail", port=25))),
        # Without an address of its own a service is where its endpoints are.
        (CACHE, 6379, "bytes", tcp(outbound("cache", port=6379))),
        ("10.1.0.6", 6379, "bytes", tcp(PASSED)),
        ("10.50.1.2", 9000, "bytes", tcp("outbound|9000||ranged.example.com")),
        ("10.51.1.2", 9000, "bytes", tcp(PASSED)),
        (ANYWHERE, 443, "bytes", tcp(PASSED)),
    ),
    *_rows("captured", "a.example.com", (ANYWHERE, 443, "tls", tcp("outbound|443||a.example.com"))),
    *_rows("captured", "x.b.example.com", (ANYWHERE, 443, "tls", tcp("outbound|443||*.b.example.com"))),
    *_rows(
        "captured",
        "c.example.com",
        (ANYWHERE, 443, "tls", tcp(PASSED)),
        (ODD, 7000, "tls", tcp(outbound("odd", port=7000))),
    ),
    *_rows(
        "captured",
        "own",
        (POD, 8080, "http", http("inbound|8080||")),
        (POD, 8080, "bytes", Outcome("respond", status=400)),
        (POD, 8081, "http", http("inbound|8081||")),
        (POD, 8081, "bytes", tcp("inbound|8081||")),
        (POD, 8081, "tls", tcp("inbound|8081||")),
        (POD, 8082, "http", tcp("inbound|8082||")),
        (POD, 8083, "http", http(ARRIVED)),
        (POD, 8083, "bytes", tcp(ARRIVED)),
        (POD, 15006, "http", CLOSED),
        inbound=True,
    ),
    # Clients that wait for the server are not waited for without end.
    *_rows(
        "servers first",
        "",
        (DB, 5432, "nothing", tcp(outbound("db", port=5432))),
        (MAIL, 25, "nothing", tcp(outbound("mail", port=25))),
        (CACHE, 6379, "nothing", tcp(outbound("cache", port=6379))),
        (ANYWHERE, 1234, "nothing", tcp(PASSED)),
        # Where it is not known what is spoken, waiting has an end.
        (ODD, 7000, "nothing", tcp(outbound("odd", port=7000))),
        (ANYWHERE, 9080, "nothing", tcp(PASSED)),
    ),
    *_rows(
        "servers first",
        "own",
        (POD, 8082, "nothing", tcp("inbound|8082||")),
        (POD, 8081, "nothing", tcp("inbound|8081||")),
        (POD, 8083, "nothing", tcp(ARRIVED)),
        inbound=True,
    ),
    *_rows(
        "registry only",
        "unknown.example.com",
        (ANYWHERE, 9080, "http", Outcome("respond", route="block_all", status=502)),
        (ANYWHERE, 9080, "bytes", CLOSED),
        (ANYWHERE, 1234, "http", CLOSED),
    ),
    *_rows("registry only", "reviews", (ANYWHERE, 9080, "http", http(outbound("reviews", "v1"), "canary"))),
    # What a Sidecar resource does not let through is unknown, and its ingress ports are all that there are.
    *_rows(
        "Sidecar, captured",
        "",
        (DB, 5432, "bytes", tcp(outbound("db", port=5432))),
        (ODD, 7000, "bytes", tcp(PASSED)),
        (CACHE, 6379, "bytes", tcp(outbound("cache", port=6379))),
    ),
    *_rows("Sidecar, captured", "reviews", (ANYWHERE, 9080, "http", http(PASSED, "allow_any"))),
    *_rows("Sidecar, captured", "ratings", (ANYWHERE, 9080, "http", http(outbound("ratings")))),
    *_rows(
        "Sidecar, captured",
        "own",
        (POD, 9999, "http", http("inbound|9999||")),
        (POD, 8082, "bytes", tcp(ARRIVED)),
        inbound=True,
    ),
    *_rows("two families", "ratings", ("fd00::5", 9080, "http", http(outbound("ratings")))),
    *_rows(
        "two families",
        "",
        ("fd01::10", 5432, "bytes", tcp(outbound("db", port=5432))),
        (DB, 5432, "bytes", tcp(outbound("db", port=5432))),
        ("fd01::11", 5432, "bytes", tcp(PASSED)),
    ),
    *_rows("two families", "own", ("fd00::9", 8080, "http", http("inbound|8080||")), inbound=True),
)
