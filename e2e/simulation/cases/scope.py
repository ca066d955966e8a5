"""What a sidecar gets to see: exportTo, Sidecar resources, DestinationRules of three namespaces."""

from __future__ import annotations

from simulation.cases.base import case, outbound
from simulation.harness.call import Call, Case
from simulation.harness.world import World

YAML = """
apiVersion: v1
kind: Service
metadata: {name: open, namespace: prod}
spec: {ports: [{name: http, port: 9080}]}
---
apiVersion: v1
kind: Service
metadata: {name: closed, namespace: prod, annotations: {networking.istio.io/exportTo: "."}}
spec: {ports: [{name: http, port: 9080}]}
---
apiVersion: v1
kind: Service
metadata: {name: for-us, namespace: prod, annotations: {networking.istio.io/exportTo: "default,other"}}
spec: {ports: [{name: http, port: 9080}]}
---
apiVersion: v1
kind: Service
metadata: {name: local, namespace: default}
spec: {ports: [{name: http, port: 9080}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: private, namespace: prod}
spec:
  hosts: [open]
  exportTo: ["."]
  http: [{name: private, route: [{destination: {host: closed}}]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: ours, namespace: prod, creationTimestamp: "2024-01-02T00:00:00Z"}
spec:
  hosts: [for-us]
  exportTo: [default]
  http: [{name: ours, route: [{destination: {host: open}}]}]
"""

SIDECAR = (
    YAML
    + """
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: default, namespace: default}
spec:
  egress: [{hosts: ["./*", "prod/for-us.prod.svc.cluster.local"]}]
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: others, namespace: default}
spec:
  workloadSelector: {labels: {app: somebody-else}}
  egress: [{hosts: ["prod/*"]}]
"""
)

SELECTED = (
    SIDECAR
    + """
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: client, namespace: default}
spec:
  workloadSelector: {labels: {app: client}}
  outboundTrafficPolicy: {mode: REGISTRY_ONLY}
  egress:
  - port: {number: 7777, protocol: HTTP, name: http}
    hosts: ["prod/open.prod.svc.cluster.local"]
  - hosts: ["./*"]
"""
)

WORLDS = (World("exportTo", YAML), World("Sidecar", SIDECAR), World("Sidecar by labels", SELECTED))


def _to(world: str, host: str, cluster: str, port: int = 9080, **expected: str) -> Case:
    return case(world, f"{host} at {port}", Call(host, port=port), kind="forward", cluster=cluster, **expected)


OPEN, FOR_US = outbound("open", namespace="prod"), outbound("for-us", namespace="prod")

CASES = (
    _to("exportTo", "open.prod", OPEN, route="default"),
    _to("exportTo", "closed.prod", "PassthroughCluster"),
    _to("exportTo", "for-us.prod", OPEN, route="ours"),
    _to("Sidecar", "local", outbound("local")),
    _to("Sidecar", "open.prod", "PassthroughCluster"),
    # The service is imported, and with it the VirtualService of its host.
    _to("Sidecar", "for-us.prod", OPEN, route="ours"),
    _to("Sidecar by labels", "local", outbound("local")),
    case("Sidecar by labels", "REGISTRY_ONLY", Call("for-us.prod"), kind="respond", status=502),
)
