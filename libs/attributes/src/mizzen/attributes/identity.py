"""Who calls, as attributes: the workload by its certificate, the user by a token. Each was proved before it came here.

Source: istio/proxy, src/istio/control/http/attributes_builder.cc and src/istio/utils/utils.cc at 1.3.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from mizzen.attributes.values import Value

Claims: TypeAlias = Mapping[str, object]


def connection_attributes(principal: str, own: str = "", server_name: str = "") -> dict[str, Value]:
    """Of a connection: identities in certificates of the client and of this side, and the name asked for (SNI).

    An identity is `spiffe://TRUST_DOMAIN/ns/NAMESPACE/sa/ACCOUNT`, "" for none.
    """
    attributes: dict[str, Value] = {"connection.mtls": bool(principal)}
    if principal:
        name = principal.removeprefix("spiffe://")
        attributes["source.principal"] = attributes["source.user"] = name
        _, found, rest = name.partition("/ns/")
        if found:
            attributes["source.namespace"] = rest.split("/", 1)[0]
    if own:
        attributes["destination.principal"] = own.removeprefix("spiffe://")
    if server_name:
        attributes["connection.requested_server_name"] = server_name
    return attributes


def token_attributes(claims: Claims) -> dict[str, Value]:
    """What the claims of a JWT say; the issuer is among them."""
    return {name: value for name, read in TOKEN.items() if (value := read(claims))}


def _principal(claims: Claims) -> str:
    return f"{claims['iss']}/{claims.get('sub', '')}"


def _audience(claims: Claims) -> str:
    """The first one."""
    stated = claims.get("aud", "")
    first = stated[0] if isinstance(stated, list) and stated else stated
    return first if isinstance(first, str) else ""


def _presenter(claims: Claims) -> str:
    stated = claims.get("azp", "")
    return stated if isinstance(stated, str) else ""


def _texts(claims: Claims) -> dict[str, str]:
    return {name: claim for name, claim in claims.items() if isinstance(claim, str) and claim}


def _raw(claims: Claims) -> str:
    return json.dumps(claims, ensure_ascii=False, separators=(",", ":"))


TOKEN: Final[Mapping[str, Callable[[Claims], Value]]] = {
    "request.auth.principal": _principal,
    "request.auth.audiences": _audience,
    "request.auth.presenter": _presenter,
    "request.auth.claims": _texts,
    "request.auth.raw_claims": _raw,
}
"""By attribute, how it is read."""
PROVED: Final = frozenset({"connection.mtls", "source.principal", "source.user", *TOKEN})
"""What nobody is believed who only says so."""
