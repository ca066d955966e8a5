"""How Mixer and an adapter's process trust each other: `connection.authentication` of Istio 1.1's handlers.

Source: mixer/pkg/protobuf/yaml/dynamic/auth.go at Istio 1.4. Unlike there, `caCertificates` are the only ones that are
trusted where they are given, the adapter's name is always checked, and TLS needs no token.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

import grpc

from mizzen.api.mixer.handler import Authentication, AuthHeader, Mutual, Tls
from mizzen.mixer.adapter import AdapterError


@dataclass(frozen=True, slots=True)
class Security:
    """TLS to an adapter."""

    credentials: grpc.ChannelCredentials
    server_name: str
    """Whom the adapter's certificate must name; "" for the host of its address."""


def security_of(stated: Authentication | None) -> Security | None:
    """From files that are read now; None for plaintext. Raises AdapterError that names the field."""
    if stated is None:
        return None
    if stated.mutual is not None:
        return _mutual(stated.mutual)
    if stated.tls is not None:
        return _tls(stated.tls)
    raise AdapterError("authentication: must have tls or mutual")


def _tls(stated: Tls) -> Security:
    if stated.oauth is not None:
        raise AdapterError("authentication.tls.oauth: is not supported; use tokenPath")
    channel = grpc.ssl_channel_credentials(_roots(stated.ca_certificates, "authentication.tls"))
    if stated.token_path:
        path = Path(stated.token_path)
        _read(path, "authentication.tls.tokenPath")
        token = grpc.metadata_call_credentials(_Token(path, stated))
        channel = grpc.composite_channel_credentials(channel, token)
    return Security(channel, stated.server_name)


def _mutual(stated: Mutual) -> Security:
    at = "authentication.mutual"
    for name, value in (("clientCertificate", stated.client_certificate), ("privateKey", stated.private_key)):
        if not value:
            raise AdapterError(f"{at}.{name}: is required, the path of a file")
    certificate = _read(Path(stated.client_certificate), f"{at}.clientCertificate")
    key = _read(Path(stated.private_key), f"{at}.privateKey")
    try:
        # gRPC itself would only fail, again and again, when it connects.
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(
            stated.client_certificate, stated.private_key, password=""
        )
    except (ssl.SSLError, ValueError) as error:
        raise AdapterError(f"{at}: clientCertificate and privateKey are no pair in PEM form: {error}") from None
    return Security(
        grpc.ssl_channel_credentials(_roots(stated.ca_certificates, at), key, certificate), stated.server_name
    )


def _roots(path: str, at: str) -> bytes | None:
    """The certificates of a file; None, for the well-known ones, without a path."""
    if not path:
        return None
    certificates = _read(Path(path), f"{at}.caCertificates")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=certificates.decode("ascii"))
    except (ssl.SSLError, ValueError) as error:
        raise AdapterError(f"{at}.caCertificates: no certificates in PEM form in {path}: {error}") from None
    return certificates


def _read(path: Path, field: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise AdapterError(f"{field}: cannot read {path}: {error.strerror}") from None


class _Token(grpc.AuthMetadataPlugin):  # type: ignore[misc]  # gRPC has no types for it
    """Shows the token of a file with each call. The file is read anew, as whoever writes it may replace it."""

    def __init__(self, path: Path, stated: Tls) -> None:
        self._path = path
        self._header = stated.custom_header.lower() or "authorization"
        self._prefix = "Bearer " if stated.auth_header is AuthHeader.BEARER and not stated.custom_header else ""

    def __call__(self, context: grpc.AuthMetadataContext, callback: grpc.AuthMetadataPluginCallback) -> None:
        try:
            token = self._path.read_text(encoding="ascii").strip()
        except (OSError, ValueError) as error:
            callback((), error)
        else:
            callback(((self._header, self._prefix + token),), None)
