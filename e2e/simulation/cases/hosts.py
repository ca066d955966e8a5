"""Which virtual host a name belongs to: short names, namespaces, wildcards, ports, and who wins."""

from __future__ import annotations

from simulation.cases.base import SERVICES, case, outbound
from simulation.harness.call import Call, Case
from simulation.harness.world import World, sidecar

from mizzen.pilot.base.meshconfig import MeshConfig

YAML = (
    SERVICES
    + """
apiVersion: v1
kind: Service
metadata: {name: shop, namespace: default}
spec:
  ports: [{name: http-a, port: 80}, {name: http-b, port: 8080}, {name: tcp-c, port: 7000}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: outside, namespace: default}
spec:
  hosts: [api.example.com, www.example.com, "*.wild.example.com"]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: NONE
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: by-short-name, namespace: default, creationTimestamp: "2024-01-02T00:00:00Z"}
spec:
  hosts: [ratings]
  http: [{name: short, route: [{destination: {host: reviews, subset: v1}}]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: younger, namespace: default, creationTimestamp: "2024-01-03T00:00:00Z"}
spec:
  hosts: [ratings.default.svc.cluster.local]
  http: [{name: younger, match: [{uri: {prefix: /younger}}], route: [{destination: {host: reviews, subset: v2}}]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: dotted, namespace: default}
spec:
  hosts: [reviews.prod]
  http: [{name: dotted, route: [{destination: {host: ratings}}]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: from-prod, namespace: prod}
spec:
  hosts: [reviews]
  http: [{name: from-prod, route: [{destination: {host: reviews}}]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: any-example, namespace: default}
spec:
  hosts: ["*.example.com"]
  http:
  - {name: any-example, match: [{uri: {prefix: /vs}}], route: [{destination: {host: ratings}}]}
  - {name: any-rest, route: [{destination: {host: reviews}}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: api-example, namespace: default}
spec:
  hosts: [api.example.com]
  http: [{name: api-example, route: [{destination: {host: ratings}}]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: unregistered, namespace: default}
spec:
  hosts: [nowhere.test]
  http: [{name: unregistered, route: [{destination: {host: ratings}}]}]
"""
)

REGISTRY_ONLY = MeshConfig(outbound_traffic_policy="REGISTRY_ONLY")

WORLDS = (
    World("hosts", YAML),
    World("hosts of prod", YAML, proxy=sidecar("prod")),
    World("registry only", YAML, settings=REGISTRY_ONLY),
)

SUFFIX = "default.svc.cluster.local"


def _to(host: str, cluster: str, port: int = 9080, path: str = "/", world: str = "hosts", **expected: str) -> Case:
    name = f"{host}{path} at {port}"
    return case(world, name, Call(host, path, port=port), kind="forward", cluster=cluster, **expected)


RATINGS, REVIEWS, PROD = outbound("ratings"), outbound("reviews"), outbound("reviews", namespace="prod")
V1 = outbound("reviews", "v1")

CASES = (
    # Every way to say the name of a service in one's own namespace, and the default route of a service without config.
    _to("reviews", REVIEWS, route="default"),
    _to("reviews.default", REVIEWS),
    _to("reviews.default.svc", REVIEWS),
    _to(f"reviews.{SUFFIX}", REVIEWS),
    _to(f"reviews.{SUFFIX}.", REVIEWS),
    _to("REVIEWS.Default", REVIEWS),
    _to("reviews:9080", REVIEWS),
    _to("reviews:1234", REVIEWS),
    # A service of another namespace has no short name here; its VirtualService has been exported to everyone.
    _to("reviews.prod", PROD, route="from-prod"),
    _to("reviews.prod.svc.cluster.local", PROD, route="from-prod"),
    # `reviews` means the namespace of the config, and to a client the namespace of the client.
    _to("reviews", PROD, world="hosts of prod", route="from-prod"),
    _to("reviews.default", REVIEWS, world="hosts of prod", route="default"),
    # Two VirtualServices for one host do not merge on sidecars: the oldest has it (pitfall 1).
    _to("ratings", V1, route="short"),
    _to("ratings", V1, path="/younger", route="short"),
    # A short name with a dot is taken as it is (pitfall 4), and a host without a service works on port 80 alone (5).
    _to("reviews.prod", RATINGS, port=80, route="dotted"),
    _to("nowhere.test", RATINGS, port=80, route="unregistered"),
    _to("nowhere.test", "PassthroughCluster", port=9080, route="allow_any"),
    # One VirtualService for a wildcard; an exact one beats it.
    _to("api.example.com", outbound("ratings"), port=80, route="api-example"),
    _to("www.example.com", REVIEWS, port=80, route="any-rest"),
    _to("www.example.com", RATINGS, port=80, path="/vs", route="any-example"),
    # Ports of one service are separate; so are listeners.
    _to("shop", outbound("shop", port=80), port=80, route="default"),
    _to("shop", outbound("shop", port=8080), port=8080),
    _to("shop:8080", outbound("shop", port=80), port=80),
    _to("shop", "PassthroughCluster", port=9080, route="allow_any"),
    case("hosts", "no HTTP listener for a TCP port", Call("shop", port=7000), kind="no listener"),
    # The HTTP proxy port knows every service by host and port, and without a port those of port 80.
    _to("reviews:9080", REVIEWS, port=15007),
    _to("reviews.default:9080", REVIEWS, port=15007),
    _to("shop:8080", outbound("shop", port=8080), port=15007),
    _to("shop", outbound("shop", port=80), port=15007),
    _to("shop:80", outbound("shop", port=80), port=15007),
    _to("ratings:9080", V1, port=15007, route="short"),
    # REGISTRY_ONLY answers for the unknown.
    case("registry only", "unknown host", Call("nowhere.test"), kind="respond", status=502, route="block_all"),
    _to("ratings", V1, world="registry only"),
)
