"""Plain values to and from Envoy's discovery messages.

Responses are put together from bytes: protobuf messages concatenate, so the resources are the cached bytes as they are
and only the few fields around them are serialised per response.
"""

from __future__ import annotations

from envoy.config.core.v3 import base_pb2
from envoy.service.discovery.v3 import discovery_pb2
from google.protobuf.message import DecodeError

from mizzen.pilot.generate.encoded import Encoded
from mizzen.pilot.xds.messages import DeltaRequest, Response, SotwRequest
from mizzen.proto import status_pb2

PROXY_STATUS = "type.googleapis.com/mizzen.status.v1.ProxyStatus"
CONTROL_PLANE = base_pb2.ControlPlane(identifier="mizzen-pilot")

RESOURCES_TAG = b"\x12"
"""Field 2, length-delimited: `resources` in both kinds of response, and `resource` in a delta Resource."""


def read_sotw(message: discovery_pb2.DiscoveryRequest) -> SotwRequest:
    """A request of the state-of-the-world variant."""
    error = message.error_detail.message if message.HasField("error_detail") else None
    names = frozenset(message.resource_names)
    return SotwRequest(message.type_url, names, message.response_nonce, error, message.version_info)


def read_delta(message: discovery_pb2.DeltaDiscoveryRequest) -> DeltaRequest:
    """A request of the delta variant."""
    return DeltaRequest(
        message.type_url,
        frozenset(message.resource_names_subscribe),
        frozenset(message.resource_names_unsubscribe),
        dict(message.initial_resource_versions),
        message.response_nonce,
        message.error_detail.message if message.HasField("error_detail") else None,
    )


def write_sotw(response: Response) -> bytes:
    """A serialised DiscoveryResponse."""
    head = discovery_pb2.DiscoveryResponse(
        version_info=response.version, type_url=response.type_url, nonce=response.nonce, control_plane=CONTROL_PLANE
    )
    parts = [head.SerializeToString()]
    for resource in response.resources:
        parts += (RESOURCES_TAG, _varint(len(resource.body)), resource.body)
    return b"".join(parts)


def write_delta(response: Response) -> bytes:
    """A serialised DeltaDiscoveryResponse."""
    head = discovery_pb2.DeltaDiscoveryResponse(
        system_version_info=response.version,
        type_url=response.type_url,
        nonce=response.nonce,
        removed_resources=response.removed,
        control_plane=CONTROL_PLANE,
    )
    parts = [head.SerializeToString()]
    for resource in response.resources:
        item = _delta_resource(resource)
        parts += (RESOURCES_TAG, _varint(len(item)), item)
    return b"".join(parts)


def _delta_resource(resource: Encoded) -> bytes:
    head = discovery_pb2.Resource(name=resource.name, version=resource.version).SerializeToString()
    return b"".join((head, RESOURCES_TAG, _varint(len(resource.body)), resource.body))


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def read_proxy_status(
    message: discovery_pb2.DiscoveryRequest | discovery_pb2.DeltaDiscoveryRequest,
) -> tuple[status_pb2.UnsupportedField, ...]:
    """The fields that a proxy of ours does not enforce; raises ValueError for anything but a ProxyStatus."""
    status = status_pb2.ProxyStatus()
    details = message.error_detail.details
    try:
        if not details or not details[0].Unpack(status):
            raise ValueError("a ProxyStatus request must carry one in error_detail.details")
    except DecodeError as error:
        raise ValueError(f"a ProxyStatus that cannot be decoded: {error}") from error
    return tuple(status.unsupported)
