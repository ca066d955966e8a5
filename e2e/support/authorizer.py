"""An authorizer that speaks gRPC, in a local mesh: behind a sidecar of its own."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
from envoy.service.auth.v3 import external_auth_pb2

from support.mesh import Mesh
from support.visitor import sidecar

PROVIDER = {"name": "sign-in", "envoyExtAuthzGrpc": {"service": "sign-in.default.svc.cluster.local", "port": 9000}}
"""As the mesh config has it."""
REGISTERED = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: sign-in, namespace: default}
spec:
  hosts: [sign-in.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 9000, name: grpc, protocol: GRPC}]
  workloadSelector: {labels: {app: sign-in}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: sign-in, namespace: default}
spec:
  address: 127.1.0.201
  serviceAccount: sign-in
  labels: {app: sign-in, security.istio.io/tlsMode: istio}
"""
PROXY, APPLICATION = "127.1.0.201", "127.2.0.201"
USER = "x-user"
_DENIED = grpc.StatusCode.PERMISSION_DENIED.value[0]


@contextmanager
def authorizer(mesh: Mesh, engine: str) -> Iterator[list[str]]:
    """It lets in who names a user. The paths that it was asked about; its proxy is of this data plane."""
    asked: list[str] = []

    def check(request: Any, context: Any) -> Any:
        made = request.attributes.request.http
        asked.append(made.path)
        response = external_auth_pb2.CheckResponse()
        response.status.code = 0 if made.headers.get(USER) else _DENIED
        return response

    handler = grpc.unary_unary_rpc_method_handler(
        check,
        request_deserializer=external_auth_pb2.CheckRequest.FromString,
        response_serializer=external_auth_pb2.CheckResponse.SerializeToString,
    )
    service = grpc.method_handlers_generic_handler("envoy.service.auth.v3.Authorization", {"Check": handler})
    with ThreadPoolExecutor(2) as threads:
        server = grpc.server(threads)
        server.add_generic_rpc_handlers((service,))
        server.add_insecure_port(f"{APPLICATION}:9000")
        server.start()
        try:
            with sidecar(mesh, "sign-in", engine, PROXY, APPLICATION):
                yield asked
        finally:
            server.stop(0).wait()
