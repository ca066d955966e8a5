"""TLS of gateways: filter chains as Istio generates them for each mode, and clients whose fate is known."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulation.harness.tls import Hello, Outcome, Server

SHOP, BANK, OPTIONAL, REVOKING = "shop.example", "*.bank.example", "optional.example", "revoking.example"
PINNED, OLD, INNER = "pinned.example", "old.example", "inner.example"


@dataclass(frozen=True)
class TlsCase:
    """A client, and what comes of it."""

    name: str
    hello: Hello
    expected: Outcome


def served(name: str, *client: str, protocol: str | None = None, version: str = "TLSv1.3") -> Outcome:
    return Outcome(name, 200, protocol, version, client)


REFUSED = Outcome()
KNOWN = ("Hash", "Cert", "Subject", "URI=spiffe://shop/client", "DNS=client.example")
HTTP = ("http/1.1",)


def servers(folder: Path, digest: str) -> tuple[Server, ...]:
    """`folder` has the certificates; `digest` is that of the client's."""

    def context(
        name: str, *, requires: bool = False, checks: dict[str, Any] | None = None, **params: Any
    ) -> dict[str, Any]:
        chain, key = ({"filename": f"{folder}/{name}.{kind}"} for kind in ("crt", "key"))
        pair = {"certificate_chain": chain, "private_key": key}
        common: dict[str, Any] = {"alpn_protocols": list(HTTP), "tls_certificates": [pair], "tls_params": params}
        if checks is not None:
            common["validation_context"] = {"trusted_ca": {"filename": f"{folder}/root.pem"}} | checks
        return {"common_tls_context": common, "require_client_certificate": requires}

    named = {"match_typed_subject_alt_names": [{"san_type": "DNS", "matcher": {"exact": "client.example"}}]}
    return (
        Server(SHOP, context("shop")),
        Server(BANK, context("bank", requires=True, checks=named)),
        Server(OPTIONAL, context("shop", checks={}), "APPEND_FORWARD"),
        Server(REVOKING, context("shop", requires=True, checks={"crl": {"filename": f"{folder}/crl.pem"}})),
        Server(PINNED, context("shop", requires=True, checks={"verify_certificate_hash": [digest]})),
        Server(
            OLD,
            context(
                "shop",
                tls_maximum_protocol_version="TLSv1_2",
                cipher_suites=["ECDHE-ECDSA-AES256-GCM-SHA384"],
            ),
        ),
        Server(INNER),
    )


CASES = (
    TlsCase("by name", Hello(SHOP), served("shop.example")),
    TlsCase("whatever its case", Hello("Shop.Example"), served("shop.example")),
    TlsCase("by wildcard", Hello("a.bank.example", "client"), served("*.bank.example", *KNOWN)),
    TlsCase("by wildcard, two labels", Hello("a.b.bank.example", "client"), served("*.bank.example", *KNOWN)),
    TlsCase("not the wildcard's own domain", Hello("bank.example", "client"), REFUSED),
    TlsCase("nobody's name", Hello("nobody.example"), REFUSED),
    TlsCase("a certificate that is not asked for", Hello(SHOP, "client"), served("shop.example")),
    TlsCase("HTTP/1.1 agreed on", Hello(SHOP, protocols=HTTP), served("shop.example", protocol="http/1.1")),
    TlsCase("a protocol of nobody", Hello(SHOP, protocols=("spdy/3",)), served("shop.example")),
    TlsCase("mutual, no certificate", Hello("a.bank.example"), REFUSED),
    TlsCase("mutual, another name", Hello("a.bank.example", "other"), REFUSED),
    TlsCase("mutual, another root", Hello("a.bank.example", "stranger"), REFUSED),
    TlsCase("mutual, over", Hello("a.bank.example", "ended"), REFUSED),
    TlsCase("optional, no certificate", Hello(OPTIONAL), served("shop.example")),
    TlsCase("optional, one", Hello(OPTIONAL, "client"), served("shop.example", "By=forged", *KNOWN)),
    TlsCase("optional, one of another root", Hello(OPTIONAL, "stranger"), REFUSED),
    TlsCase("not revoked", Hello(REVOKING, "client"), served("shop.example", *KNOWN)),
    TlsCase("revoked", Hello(REVOKING, "other"), REFUSED),
    TlsCase("pinned", Hello(PINNED, "client"), served("shop.example", *KNOWN)),
    TlsCase("another one is pinned", Hello(PINNED, "other"), REFUSED),
    TlsCase("an old version", Hello(OLD), served("shop.example", version="TLSv1.2")),
    TlsCase("no cipher in common", Hello(OLD, ciphers="ECDHE-ECDSA-AES128-GCM-SHA256"), REFUSED),
    TlsCase("passed through", Hello(INNER), served("inner.example", "By=forged")),
)
