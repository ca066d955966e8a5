"""The ingress gateway as the platform's objects: every local mesh has this one, and nobody has to write it."""

from __future__ import annotations

from mizzen.api.parse import parse
from mizzen.api.resource import Resource
from mizzen.cli.local.layout import GATEWAY
from mizzen.pilot.ingest.registry.objects import Serving

NAMESPACE = "istio-system"
NAME = "istio-ingressgateway"
LABELS = {"istio": "ingressgateway", "app": NAME}

SERVICE_YAML = f"""\
apiVersion: v1
kind: Service
metadata:
  name: {NAME}
  namespace: {NAMESPACE}
  labels: {{istio: ingressgateway, app: {NAME}}}
spec:
  selector: {{istio: ingressgateway, app: {NAME}}}
  ports:
  - {{name: http2, port: 80, targetPort: 8080}}
  - {{name: https, port: 443, targetPort: 8443}}
  - {{name: http-8080, port: 8080, targetPort: 8080}}
"""


def gateway_service() -> Resource:
    """The Service, which Pilot needs to know the gateway's ports."""
    parsed = parse(SERVICE_YAML, file="<ingress gateway>")
    if parsed.problems:
        raise ValueError(f"the ingress gateway's own Service is wrong: {parsed.problems[0]}")
    return parsed.resources[0]


def gateway_pod(ready: bool) -> Serving:
    """The gateway's pod."""
    return Serving(NAMESPACE, f"{NAME}-1", GATEWAY, LABELS, ready, deployment=NAME)
