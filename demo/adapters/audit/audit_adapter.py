"""An adapter in a process of its own: writes log entries into a file, a line of JSON each.

Run it with `python audit_adapter.py --address localhost:9070`. It needs grpcio and mizzen-proto, and no other part of
Mizzen; docs/adapters/remote.md is all that one has to know.
"""

from __future__ import annotations

import argparse
import base64
import ipaddress
import itertools
import json
import signal
import threading
from concurrent import futures
from pathlib import Path
from typing import Any, TextIO

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.struct_pb2 import Struct

from mizzen.proto import adapter_logentry_pb2 as logentry
from mizzen.proto import adapter_model_pb2 as model
from mizzen.proto.adapter_value_pb2 import Value

INVALID_ARGUMENT = 3
REMEMBERED = 10_000


class Audit:
    """The files of all sessions. gRPC calls from several threads, so everything happens under one lock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._files: dict[str, TextIO] = {}
        self._ids = itertools.count(1)
        self._written: dict[str, None] = {}  # ids of requests, the oldest first

    def validate(self, request: model.ValidateRequest, context: grpc.ServicerContext) -> model.ValidateResponse:
        """A handler is about to be built: are its parameters good."""
        answer = model.ValidateResponse()
        problem = _problem(_path(request.adapter_config))
        if problem:
            answer.status.code, answer.status.message = INVALID_ARGUMENT, problem
        return answer

    def create(self, request: model.CreateSessionRequest, context: grpc.ServicerContext) -> model.CreateSessionResponse:
        """A handler begins."""
        path = _path(request.adapter_config)
        answer = model.CreateSessionResponse()
        try:
            with self._lock:
                answer.session_id = f"audit-{next(self._ids)}"
                self._files[answer.session_id] = Path(path).open("a")  # noqa: SIM115 - open as long as the session
        except OSError as error:
            answer.status.code, answer.status.message = INVALID_ARGUMENT, f"file: {error}"
        return answer

    def close(self, request: model.CloseSessionRequest, context: grpc.ServicerContext) -> model.CloseSessionResponse:
        """A handler goes."""
        with self._lock:
            file = self._files.pop(request.session_id, None)
            if file is not None:
                file.close()
        return model.CloseSessionResponse()

    def report(self, request: logentry.HandleLogEntryRequest, context: grpc.ServicerContext) -> model.ReportResult:
        """Requests happened."""
        session = request.adapter_config.value.decode(errors="replace")
        with self._lock:
            file = self._files.get(session)
            if file is None:
                context.abort(grpc.StatusCode.NOT_FOUND, f"no session {session}")
            elif request.dedup_id not in self._written:
                file.writelines(_line(entry) for entry in request.instances)
                file.flush()
                self._remember(request.dedup_id)
        return model.ReportResult()

    def _remember(self, dedup_id: str) -> None:
        self._written[dedup_id] = None
        if len(self._written) > REMEMBERED:
            del self._written[next(iter(self._written))]


def _path(config: AnyMessage) -> str:
    """The parameter `file`."""
    struct = Struct()
    if not config.Unpack(struct) or "file" not in struct:
        return ""
    return str(struct["file"])


def _problem(path: str) -> str:
    if not path:
        return "file: is required"
    return "" if Path(path).parent.is_dir() else f"file: there is no folder {Path(path).parent}"


def _line(entry: logentry.InstanceMsg) -> str:
    time = entry.timestamp.value.ToJsonString()
    line: dict[str, object] = {"instance": entry.name, "time": time, "severity": entry.severity}
    line |= {name: _plain(value) for name, value in sorted(entry.variables.items())}
    return json.dumps(line) + "\n"


def _plain(value: Value) -> object:
    """What JSON has for a value."""
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    plain = getattr(value, kind)
    if kind in ("string_value", "int64_value", "double_value", "bool_value"):
        return plain
    if kind == "ip_address_value":
        size = len(plain.value)
        return str(ipaddress.ip_address(plain.value)) if size in (4, 16) else base64.b64encode(plain.value).decode()
    if kind in ("timestamp_value", "duration_value"):
        return plain.value.ToJsonString()
    return dict(plain.value) if kind == "string_map_value" else plain.value


def services(audit: Audit) -> list[grpc.GenericRpcHandler]:
    """What gRPC has to know of the two services: each call's name, its messages, and who takes it."""

    def unary(call: object, request: Any, response: Any) -> grpc.RpcMethodHandler:
        return grpc.unary_unary_rpc_method_handler(call, request.FromString, response.SerializeToString)

    sessions = {
        "Validate": unary(audit.validate, model.ValidateRequest, model.ValidateResponse),
        "CreateSession": unary(audit.create, model.CreateSessionRequest, model.CreateSessionResponse),
        "CloseSession": unary(audit.close, model.CloseSessionRequest, model.CloseSessionResponse),
    }
    entries = {"HandleLogEntry": unary(audit.report, logentry.HandleLogEntryRequest, model.ReportResult)}
    return [
        grpc.method_handlers_generic_handler("istio.mixer.adapter.model.v1beta1.InfrastructureBackend", sessions),
        grpc.method_handlers_generic_handler("logentry.HandleLogEntryService", entries),
    ]


def main() -> None:
    """Serve until the process is told to stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", default="localhost:9070", help="host and port, or unix:///path (%(default)s)")
    address = parser.parse_args().address
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
    server.add_generic_rpc_handlers(services(Audit()))
    server.add_insecure_port(address)
    server.start()
    print(f"listening on {address}", flush=True)  # noqa: T201 - for whoever started it
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: server.stop(grace=1))
    server.wait_for_termination()


if __name__ == "__main__":
    main()
