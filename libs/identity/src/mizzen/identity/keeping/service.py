"""The CA behind `istio.v1.auth.IstioCertificateService`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import grpc

from mizzen.identity.credentials import Credentials
from mizzen.identity.keeping.keeper import AskFailed
from mizzen.proto import ca_pb2

METHOD: Final = "/istio.v1.auth.IstioCertificateService/CreateCertificate"
CALL_SECONDS: Final = 10.0
MAX_TOKEN: Final = 8 * 1024


class CertificateService:
    """One call, over a connection of its own: there is one in many hours. Implements `keeper.Authority`."""

    def __init__(
        self,
        address: str,
        roots: Path,
        token: Path,
        server_name: str = "",
        life_seconds: int = 0,
        trusted: Callable[[Credentials], str] = lambda current: current.roots_pem,
    ) -> None:
        """`roots` and `token` are files, read at each call: both may be replaced. 0 seconds: as the CA likes.

        `trusted` are the roots (PEM) that the CA is checked by when there are credentials.
        """
        self._trusted = trusted
        self._address = address
        self._roots = roots
        self._token = token
        self._server_name = server_name
        self._life_seconds = life_seconds

    async def sign(self, request: str, current: Credentials | None) -> list[str]:
        """Show the certificate that there is; without one, the token."""
        try:
            roots = self._trusted(current) if current else self._roots.read_text()
            metadata = () if current else (("authorization", f"Bearer {self._read_token()}"),)
        except (OSError, UnicodeDecodeError) as error:
            raise AskFailed(f"what proves this workload's identity cannot be read: {error}") from error
        credentials = grpc.ssl_channel_credentials(
            roots.encode(),
            current.key_pem.encode() if current else None,
            current.chain_pem.encode() if current else None,
        )
        options = (("grpc.ssl_target_name_override", self._server_name),) if self._server_name else ()
        async with grpc.aio.secure_channel(self._address, credentials, options) as channel:
            call = channel.unary_unary(
                METHOD,
                request_serializer=ca_pb2.IstioCertificateRequest.SerializeToString,
                response_deserializer=ca_pb2.IstioCertificateResponse.FromString,
            )
            message = ca_pb2.IstioCertificateRequest(csr=request, validity_duration=self._life_seconds)
            try:
                response = await call(message, metadata=metadata, timeout=CALL_SECONDS)
            except grpc.aio.AioRpcError as error:
                raise AskFailed(f"{self._address}: {error.code().name}: {error.details()}") from error
        return list(response.cert_chain)

    def _read_token(self) -> str:
        token = self._token.read_text(encoding="ascii").strip()
        if not token or len(token) > MAX_TOKEN:
            raise OSError(f"{self._token} has no token in it")
        return token
