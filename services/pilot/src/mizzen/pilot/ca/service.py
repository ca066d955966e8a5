"""The gRPC service `istio.v1.auth.IstioCertificateService`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeAlias

import grpc
from cryptography import x509

from mizzen.identity.callers.tokens import CannotTell, NotAuthenticated, Verifier
from mizzen.identity.request import InvalidRequest, requested_key
from mizzen.identity.spiffe import SpiffeId
from mizzen.pilot.ca.authority import Authority, CannotSign
from mizzen.proto import ca_pb2

log = logging.getLogger(__name__)

SERVICE: Final = "istio.v1.auth.IstioCertificateService"
_BEARER: Final = "bearer "


@dataclass(frozen=True, slots=True)
class Lives:
    """How long certificates are good."""

    usual: timedelta = timedelta(hours=24)
    longest: timedelta = timedelta(days=90)


Account: TypeAlias = tuple[str, str]
"""Namespace and service account."""


class CertificateService:
    """Signs for whoever has proved who they are, and for nobody else whatever the request says."""

    def __init__(
        self,
        authority: Callable[[], Authority],
        tokens: Verifier | None,
        peer: Callable[[str], SpiffeId | None],
        lives: Lives | None = None,
        hosts: Mapping[Account, tuple[str, ...]] | None = None,
    ) -> None:
        """`peer` gives the identity that a gRPC peer's certificate has proved.

        `hosts` are DNS names that the certificates of an account have besides its identity, for clients that know no
        identities (gRPC's own compare DNS names alone).
        """
        self._authority = authority
        self._tokens = tokens
        self._peer = peer
        self._lives = lives or Lives()
        self._hosts = hosts or {}
        self.issued = 0
        self.refused = 0
        self.last_end = datetime.now(UTC)
        """Until when something that was signed here is good."""

    def handler(self) -> Any:
        """To be added to a grpc.aio server."""
        method = grpc.unary_unary_rpc_method_handler(
            self._create,
            request_deserializer=ca_pb2.IstioCertificateRequest.FromString,
            response_serializer=ca_pb2.IstioCertificateResponse.SerializeToString,
        )
        return grpc.method_handlers_generic_handler(SERVICE, {"CreateCertificate": method})

    async def _create(self, request: Any, context: Any) -> Any:
        now = datetime.now(UTC)
        try:
            identity = await self._authenticate(context, now)
            authority = self._authority()
            leaf = await asyncio.to_thread(self._sign, authority, request, identity, now)
        except NotAuthenticated as error:
            await self._refuse(context, grpc.StatusCode.UNAUTHENTICATED, error)
        except CannotTell as error:
            await self._refuse(context, grpc.StatusCode.UNAVAILABLE, error)
        except InvalidRequest as error:
            await self._refuse(context, grpc.StatusCode.INVALID_ARGUMENT, error)
        except CannotSign as error:
            await self._refuse(context, grpc.StatusCode.INTERNAL, error)
        self.issued += 1
        self.last_end = max(self.last_end, leaf.not_valid_after_utc)
        log.info("Signed a certificate of %s", identity)
        return ca_pb2.IstioCertificateResponse(cert_chain=authority.chain(leaf))

    async def _refuse(self, context: Any, code: grpc.StatusCode, error: Exception) -> None:
        self.refused += 1
        log.warning("Refused a certificate to %s: %s", context.peer(), error)
        await context.abort(code, str(error))

    async def _authenticate(self, context: Any, now: datetime) -> SpiffeId:
        """By the certificate of the connection, else by the token of the call; raises NotAuthenticated, CannotTell."""
        identity = self._peer(context.peer())
        if identity is not None:
            return identity
        for name, value in context.invocation_metadata():
            if name == "authorization" and value.lower().startswith(_BEARER):
                if self._tokens is None:
                    raise NotAuthenticated("tokens are not accepted here: nobody who would verify them is configured")
                return await self._tokens.verify(value[len(_BEARER) :].strip(), now)
        raise NotAuthenticated(
            "neither a client certificate nor a token (authorization: Bearer ...) came with the call"
        )

    def _sign(self, authority: Authority, request: Any, identity: SpiffeId, now: datetime) -> x509.Certificate:
        """In a thread: it changes nothing here."""
        if "ImpersonatedIdentity" in request.metadata.fields:
            raise NotAuthenticated("nobody may ask for another's certificate")
        seconds = request.validity_duration or self._lives.usual.total_seconds()
        longest = self._lives.longest.total_seconds()
        if not 0 < seconds <= longest:
            raise InvalidRequest(f"validity_duration must be between 1 s and {longest:.0f} s")
        hosts = self._hosts.get((identity.namespace, identity.service_account), ())
        return authority.issue(requested_key(request.csr), identity, timedelta(seconds=seconds), now, hosts)
