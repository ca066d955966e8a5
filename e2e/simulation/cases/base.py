"""Services that most worlds have, and short ways to write cases."""

from __future__ import annotations

from typing import Any

from simulation.harness.call import Call, Case

SERVICES = """
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: default}
spec: {ports: [{name: http, port: 9080}], selector: {app: reviews}}
---
apiVersion: v1
kind: Service
metadata: {name: ratings, namespace: default}
spec: {ports: [{name: http, port: 9080}], selector: {app: ratings}}
---
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: prod}
spec: {ports: [{name: http, port: 9080}], selector: {app: reviews}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews, namespace: default}
spec:
  host: reviews
  subsets:
  - {name: v1, labels: {version: v1}}
  - {name: v2, labels: {version: v2}}
  - {name: v3, labels: {version: v3}}
---
"""

ROUTES_OF_REVIEWS = f"""{SERVICES}apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: reviews, namespace: default}}
spec:
  hosts: [reviews]
  http:
"""
"""Up to the first of its routes."""


def outbound(service: str, subset: str = "", port: int = 9080, namespace: str = "default") -> str:
    """The name of a Kubernetes service's cluster."""
    return f"outbound|{port}|{subset}|{service}.{namespace}.svc.cluster.local"


def case(world: str, name: str, call: Call, **expected: Any) -> Case:
    return Case(world, name, call, expected)


def named_headers(**named: str) -> dict[str, str]:
    """Headers by Python names: `end_user` stands for `end-user`."""
    return {name.replace("_", "-"): value for name, value in named.items()}
