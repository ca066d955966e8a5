"""One SDS stream without I/O: requests in, responses out, in the state-of-the-world form and the delta form alike.

A name that has no secret yet is answered when it has one: Envoy waits meanwhile, and so does what needs the secret.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

from envoy.service.discovery.v3 import discovery_pb2
from google.protobuf import any_pb2

log = logging.getLogger(__name__)

TYPE_URL: Final = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
MAX_NAMES: Final = 1000
"""Of one stream: more are not meant."""


class Versioned(NamedTuple):
    """A secret as it goes out."""

    version: str
    secret: Any
    """envoy.extensions.transport_sockets.tls.v3.Secret."""


Find = Callable[[str], Versioned | None]
"""The present secret of a name, None where there is none yet."""


class InvalidRequest(ValueError):
    """A request that this stream cannot go on after; the message says why."""


class SecretSession(ABC):
    """What one client asked for and was given. `receive` and `changed` return what is to be sent, or None."""

    def __init__(self, find: Find) -> None:
        self._find = find
        self._given: dict[str, str] = {}
        """Versions by name; "" for a name that is waiting."""
        self._sent = 0

    def changed(self) -> Any | None:
        """After secrets were renewed."""
        return self._due()

    @abstractmethod
    def receive(self, request: Any) -> Any | None:
        """What a request is answered; raises InvalidRequest."""

    @abstractmethod
    def _response(self, news: dict[str, Versioned], nonce: str) -> Any:
        """A message with these, or with more."""

    def _check(self, request: Any) -> None:
        if request.type_url not in ("", TYPE_URL):
            raise InvalidRequest(f"this serves secrets alone, not {request.type_url}")
        if request.HasField("error_detail"):
            log.warning("Envoy refuses the secrets %s: %s", ", ".join(self._given), request.error_detail.message)

    def _want(self, names: Iterable[str]) -> None:
        for name in names:
            self._given.setdefault(name, "")
        if len(self._given) > MAX_NAMES:
            raise InvalidRequest(f"more than {MAX_NAMES} secrets are asked for")

    def _due(self) -> Any | None:
        found = {name: self._find(name) for name in self._given}
        news = {name: each for name, each in found.items() if each is not None and each.version != self._given[name]}
        if not news:
            return None
        self._given |= {name: each.version for name, each in news.items()}
        self._sent += 1
        return self._response(news, str(self._sent))


class SotwSession(SecretSession):
    """A stream of StreamSecrets."""

    def receive(self, request: discovery_pb2.DiscoveryRequest) -> Any | None:
        self._check(request)
        if request.response_nonce and request.response_nonce != str(self._sent):
            return None  # it has not seen the last response yet, and will answer that
        names = set(request.resource_names)
        self._given = {name: version for name, version in self._given.items() if name in names}
        self._want(request.resource_names)
        return self._due()

    def _response(self, news: dict[str, Versioned], nonce: str) -> Any:
        """All that is asked for and there, since clients take it for the whole state."""
        found = [each for each in map(self._find, self._given) if each is not None]
        version = ",".join(each.version for each in found)
        resources = [_packed(each.secret) for each in found]
        return discovery_pb2.DiscoveryResponse(
            version_info=version, type_url=TYPE_URL, resources=resources, nonce=nonce
        )


class DeltaSession(SecretSession):
    """A stream of DeltaSecrets."""

    def receive(self, request: discovery_pb2.DeltaDiscoveryRequest) -> Any | None:
        self._check(request)
        for name in request.resource_names_unsubscribe:
            self._given.pop(name, None)
        for name in request.resource_names_subscribe:
            self._given[name] = request.initial_resource_versions.get(name, "")
        self._want(())
        return self._due()

    def _response(self, news: dict[str, Versioned], nonce: str) -> Any:
        resources = [
            discovery_pb2.Resource(name=name, version=each.version, resource=_packed(each.secret))
            for name, each in news.items()
        ]
        return discovery_pb2.DeltaDiscoveryResponse(type_url=TYPE_URL, resources=resources, nonce=nonce)


def _packed(secret: Any) -> any_pb2.Any:
    return any_pb2.Any(type_url=TYPE_URL, value=secret.SerializeToString(deterministic=True))
