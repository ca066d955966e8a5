"""Calls to Mixer."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import grpc

from mizzen.attributes.batch import ReportEncoder
from mizzen.attributes.compressed import encode
from mizzen.attributes.values import Value
from mizzen.attributes.words import WORDS
from mizzen.cli.errors import UserError
from mizzen.proto import mixer_pb2 as pb

SECONDS = 5.0


def check_request(values: Mapping[str, Value], quotas: Mapping[str, int]) -> pb.CheckRequest:
    """The request of a check, as a proxy would send it."""
    request = pb.CheckRequest(
        attributes=encode(values), global_word_count=len(WORDS), deduplication_id=str(uuid.uuid4())
    )
    for name, amount in quotas.items():
        request.quotas[name].amount = amount
        request.quotas[name].best_effort = True
    return request


def explain_path(request: pb.CheckRequest) -> str:
    """Where Mixer's debug server explains a check."""
    return f"/debug/explain?check={base64.urlsafe_b64encode(request.SerializeToString()).decode()}"


class MixerClient:
    """One connection to one Mixer; use as a context."""

    def __init__(self, server: str, seconds: float = SECONDS) -> None:
        self._server = server
        self._seconds = seconds
        # A proxy of another network has no business between here and Mixer.
        self._channel = grpc.insecure_channel(server, (("grpc.enable_http_proxy", 0),))

    def __enter__(self) -> MixerClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()

    def check(self, values: Mapping[str, Value], quotas: Mapping[str, int]) -> pb.CheckResponse:
        """Ask whether a request may go on; quotas are charged as far as they go. Raises UserError."""
        request = check_request(values, quotas)
        response: pb.CheckResponse = self._call("Check", request, pb.CheckResponse.FromString)
        return response

    def report(self, entries: Iterable[Mapping[str, Value]]) -> None:
        """Tell of requests that happened. Raises UserError."""
        encoder = ReportEncoder()
        for values in entries:
            encoder.add(values)
        self._call("Report", pb.ReportRequest.FromString(encoder.finish()), pb.ReportResponse.FromString)

    def _call(self, method: str, request: Any, read: Callable[[bytes], Any]) -> Any:
        call = self._channel.unary_unary(
            f"/istio.mixer.v1.Mixer/{method}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=read,
        )
        try:
            return call(request, timeout=self._seconds)
        except grpc.RpcError as error:
            code, details = error.code(), error.details()
            raise UserError(f"{method} RPC failed at {self._server}: {code.name}: {details}") from error
