"""An ADS server that says what a test wants and keeps what it hears."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
from envoy.service.discovery.v3 import discovery_pb2

from mizzen.proxy.io.xds_client import METHOD


class FakePilot:
    """Sends what is put into `responses`, keeps what comes in `requests`. `start`, then `close`."""

    def __init__(self) -> None:
        self.requests: list[Any] = []
        self.responses: asyncio.Queue[Any] = asyncio.Queue()
        self.streams = 0
        """How many were opened."""
        self._server = grpc.aio.server()
        service, method = METHOD[1:].split("/")
        handler = grpc.stream_stream_rpc_method_handler(
            self._stream,
            request_deserializer=discovery_pb2.DeltaDiscoveryRequest.FromString,
            response_serializer=discovery_pb2.DeltaDiscoveryResponse.SerializeToString,
        )
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: handler}),))
        self.port = self._server.add_insecure_port("127.0.0.1:0")

    async def start(self) -> None:
        await self._server.start()

    async def close(self) -> None:
        await self._server.stop(0)

    def send(self, *messages: Any, nonce: str = "1") -> None:
        """One response with resources of one type."""
        response = discovery_pb2.DeltaDiscoveryResponse(nonce=nonce)
        for message in messages:
            resource = response.resources.add(name=message.name, version="v1")
            resource.resource.Pack(message)
            response.type_url = resource.resource.type_url
        self.responses.put_nowait(response)

    def answers(self, kind: str) -> list[Any]:
        """ACKs and NACKs for a type."""
        return [item for item in self.requests if item.type_url.endswith(f".{kind}") and item.response_nonce]

    async def _stream(self, requests: Any, context: Any) -> None:
        self.streams += 1
        reading = asyncio.create_task(self._read(requests))
        try:
            while True:
                await context.write(await self.responses.get())
        finally:
            reading.cancel()

    async def _read(self, requests: Any) -> None:
        async for request in requests:
            self.requests.append(request)
