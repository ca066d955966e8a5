"""A key set over HTTP: bounded in time and size, and reduced to what proxies need of it."""

from __future__ import annotations

import ipaddress
import json
import socket
from typing import Any, Final

import aiohttp
from aiohttp.client_reqrep import ClientResponse

from mizzen.pilot.base.keysource import KeySource

MAX_BYTES: Final = 256 * 1024
DISCOVERY: Final = "/.well-known/openid-configuration"
"""Behind an issuer (OpenID Connect Discovery 1.0 §4)."""
_PUBLIC: Final = ("kty", "kid", "alg", "n", "e", "crv", "x", "y")
"""What of a key goes to proxies: nothing that is secret, and no certificates."""
_KINDS: Final = frozenset({"RSA", "EC", "OKP"})
_METADATA: Final = frozenset(map(ipaddress.ip_address, ("100.100.100.200", "fd00:ec2::254", "168.63.129.16")))
"""Where clouds tell machines their secrets, besides link-local addresses."""


class FetchError(Exception):
    """Why there are no keys; the text never quotes what was answered."""


async def fetch_keys(source: KeySource, seconds: float) -> str:
    """The public keys of a source, the same text for the same keys; raises FetchError, within so many seconds."""
    try:
        limit = aiohttp.ClientTimeout(total=seconds)
        connector = aiohttp.TCPConnector(socket_factory=_open_socket, force_close=True)
        async with aiohttp.ClientSession(connector=connector, timeout=limit) as session:
            uri = source.uri
            if not uri:
                uri = _keys_uri(await _get(session, source.issuer.rstrip("/") + DISCOVERY))
            return public_keys(await _get(session, uri))
    except TimeoutError:
        raise FetchError(f"{source.shown} has not answered within {seconds:g} s") from None
    except (aiohttp.InvalidURL, aiohttp.TooManyRedirects) as error:
        # Their own words are the whole URL.
        raise FetchError(f"{source.shown} leads nowhere ({type(error).__name__})") from error
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise FetchError(f"{source.shown}: {error or type(error).__name__}") from error


def public_keys(document: bytes) -> str:
    """The public parts of a key set; raises ValueError when it is none, or has no public key."""
    try:
        stated = json.loads(document)["keys"]
        kept = [{name: key[name] for name in _PUBLIC if name in key} for key in stated if key["kty"] in _KINDS]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ValueError('the answer is not a JSON Web Key Set: {"keys": [{"kty": ...}]}') from None
    if not kept:
        raise ValueError("the answer has no public keys")
    return json.dumps({"keys": sorted(kept, key=json.dumps)}, separators=(",", ":"))


def _keys_uri(document: bytes) -> str:
    try:
        found = json.loads(document)["jwks_uri"]
    except (ValueError, KeyError, TypeError, RecursionError):
        found = None
    if not isinstance(found, str) or not found:
        raise ValueError("the issuer's discovery document has no jwks_uri")
    return found


async def _get(session: aiohttp.ClientSession, uri: str) -> bytes:
    async with session.get(uri) as response:
        if not 200 <= response.status < 300:
            raise ValueError(f"status {response.status}")
        return await _bounded(response)


async def _bounded(response: ClientResponse) -> bytes:
    found = bytearray()
    async for piece in response.content.iter_any():
        found += piece
        if len(found) > MAX_BYTES:
            raise ValueError(f"the answer has more than {MAX_BYTES} bytes")
    return bytes(found)


def _open_socket(info: tuple[Any, ...]) -> socket.socket:
    """A socket to an address, unless a key set has no business there: who may write policy must not read secrets."""
    family, kind, protocol, _, address = info
    if not is_allowed(address[0]):
        raise OSError(f"{address[0]} is not asked for keys: it is an address of the machine's own surroundings")
    return socket.socket(family=family, type=kind, proto=protocol)


def is_allowed(address: str) -> bool:
    """Whether keys may be fetched from there; link-local addresses and metadata services are not."""
    found = ipaddress.ip_address(address.partition("%")[0])
    found = getattr(found, "ipv4_mapped", None) or found
    return not found.is_link_local and found not in _METADATA
