"""Authorizers that speak gRPC, and an agent that knows where one is and how it is spoken to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from envoy.service.auth.v3 import external_auth_pb2
from tls_proxies import static

from mizzen.proxy.app.extauthz.desk import InquiryDesk
from mizzen.proxy.engine.control import Inquiry, InquiryAnswer
from mizzen.proxy.engine.match_plan import StringMatch
from mizzen.proxy.engine.plan import ClusterPlan, EndpointPlan
from mizzen.proxy.engine.tls_plan import PLAINTEXT, ClientTlsPlan, NameMatch, SecretPlan, SocketsPlan, TlsPlan

Check = Callable[[Any, Any], Awaitable[Any]]


def asked_as(account: str, *protocols: str) -> SocketsPlan:
    """Mutual TLS with whoever proves to be this account."""
    name = NameMatch("URI", StringMatch("exact", f"spiffe://cluster.local/ns/default/sa/{account}"))
    common = TlsPlan("default", "ROOTCA", (name,), protocols or ("istio",))
    return SocketsPlan(otherwise=ClientTlsPlan(common, "outbound_.80_._.a"))


@dataclass
class Asker:
    """A proxy's agent and what it knows."""

    port: int
    sockets: SocketsPlan = PLAINTEXT
    secrets: dict[str, SecretPlan] = field(default_factory=dict)

    def healthy(self, cluster: str) -> tuple[ClusterPlan, list[EndpointPlan]]:
        if not self.port:
            raise LookupError(f"cluster {cluster} has no endpoint")
        return static(cluster, self.port, self.sockets), [EndpointPlan("127.0.0.1", self.port)]

    def learn(self, *secrets: SecretPlan) -> None:
        self.secrets |= {secret.name: secret for secret in secrets}

    @asynccontextmanager
    async def desk(self) -> AsyncIterator[InquiryDesk]:
        made = InquiryDesk(self, lambda: self.secrets, lambda: 0.0)  # type: ignore[arg-type]
        try:
            yield made
        finally:
            await made.close()

    async def ask(self, inquiry: Inquiry) -> InquiryAnswer:
        async with self.desk() as desk:
            return await desk.ask(inquiry)


@asynccontextmanager
async def serve(check: Check, credentials: grpc.ServerCredentials | None = None, port: int = 0) -> AsyncIterator[int]:
    """A gRPC server; its port."""
    server = grpc.aio.server()
    handler = grpc.unary_unary_rpc_method_handler(
        check,
        request_deserializer=external_auth_pb2.CheckRequest.FromString,
        response_serializer=external_auth_pb2.CheckResponse.SerializeToString,
    )
    service = grpc.method_handlers_generic_handler("envoy.service.auth.v3.Authorization", {"Check": handler})
    server.add_generic_rpc_handlers((service,))
    if credentials is None:
        port = server.add_insecure_port(f"127.0.0.1:{port}")
    else:
        port = server.add_secure_port(f"127.0.0.1:{port}", credentials)
    await server.start()
    try:
        yield port
    finally:
        await server.stop(0)
