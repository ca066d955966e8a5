"""bypass: the adapter of Istio's own tests for calling adapters over gRPC; `remote` with other parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from google.protobuf import json_format
from google.protobuf.any_pb2 import Any as AnyMessage
from pydantic import Field

from mizzen.api.types import Base64, Bool, Model
from mizzen.mixer.adapter import AdapterError, Environment, Handler
from mizzen.mixer.adapters.params import read
from mizzen.mixer.adapters.remote.adapter import connect
from mizzen.mixer.adapters.remote.backend import Endpoint

SECONDS = 1.0
QUEUE = 10_000


class Params(Model):
    """`params` is a google.protobuf.Any: `@type` and fields of a known type, or typeUrl and a value in base64."""

    backend_address: Annotated[str, Field(min_length=1)]
    params: dict[str, Any] = Field(default_factory=dict)
    session_based: Bool = False


class Encoded(Model):
    """An Any as it is on the wire."""

    type_url: str
    value: Base64 = b""


class Bypass:
    """Builds handlers that pass everything on."""

    name: ClassVar[str] = "bypass"
    templates: ClassVar[frozenset[str]] = frozenset({"checknothing", "reportnothing", "metric", "quota"})

    async def build(self, params: Mapping[str, object], environment: Environment) -> Handler:
        known = read(Params, params)
        config = _any(known.params)
        endpoint = Endpoint(environment.name, known.backend_address, config, known.session_based, SECONDS)
        return await connect(endpoint, environment, QUEUE)


def _any(params: Mapping[str, Any]) -> AnyMessage:
    if not params:
        return AnyMessage()
    if "@type" not in params:
        encoded = read(Encoded, params)
        return AnyMessage(type_url=encoded.type_url, value=encoded.value)
    try:
        return json_format.ParseDict(dict(params), AnyMessage())
    except (json_format.ParseError, TypeError) as error:
        raise AdapterError(f"params: {error}; give typeUrl and value for a type that is not known here") from None


ADAPTER = Bypass()
