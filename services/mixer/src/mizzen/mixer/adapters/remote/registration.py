"""From `kind: adapter` and `kind: handler` to the parameters of a remote handler, and to what it sends as config."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import DecodeError
from google.protobuf.struct_pb2 import Struct

from mizzen.mixer.adapter import AdapterError


def params_of(adapter: Mapping[str, object], handler: Mapping[str, object]) -> dict[str, object]:
    """The parameters for the adapter `remote`, from the specs of an adapter resource and of a handler that names it.

    Fields that do not occur in either are left to the check of the parameters.
    """
    names = {"session_based": "sessionBased", "sessionBased": "sessionBased", "config": "config"}
    params: dict[str, object] = {names[key]: value for key, value in adapter.items() if key in names}
    templates = adapter.get("templates")
    if isinstance(templates, list):
        # A reference to a template may carry kind and namespace; only Istio's own templates are known here.
        params["templates"] = [str(reference).split(".", 1)[0] for reference in templates]
    connection = handler.get("connection")
    if isinstance(connection, Mapping):
        params |= connection
    if handler.get("params") is not None:
        params["params"] = handler["params"]
    return params


def config_of(params: Mapping[str, Any], descriptors: str) -> AnyMessage:
    """What an adapter gets as its configuration; raises AdapterError.

    With `descriptors` (a FileDescriptorSet in base64, as in `kind: adapter`) it is the message Params in them;
    without, a google.protobuf.Struct.
    """
    if not descriptors:
        struct = Struct()
        struct.update(dict(params))
        config = AnyMessage()
        config.Pack(struct)
        return config
    try:
        files = descriptor_pb2.FileDescriptorSet.FromString(base64.b64decode(descriptors, validate=True))
        pool = descriptor_pool.DescriptorPool()
        for file in _in_order(files):
            pool.Add(file)
        name = next(_full_name(file) for file in files.file if any(m.name == "Params" for m in file.message_type))
        message = message_factory.GetMessageClass(pool.FindMessageTypeByName(name))()
    except (binascii.Error, DecodeError, TypeError, KeyError) as error:
        raise AdapterError(f"config: must be a FileDescriptorSet in base64 with all that it imports: {error}") from None
    except StopIteration:
        raise AdapterError("config: no message Params in it") from None
    try:
        json_format.ParseDict(dict(params), message)
    except json_format.ParseError as error:
        raise AdapterError(f"params: {error}") from None
    return AnyMessage(type_url=f"type.googleapis.com/{name}", value=message.SerializeToString())


def _full_name(file: descriptor_pb2.FileDescriptorProto) -> str:
    return f"{file.package}.Params" if file.package else "Params"


def _in_order(files: descriptor_pb2.FileDescriptorSet) -> list[descriptor_pb2.FileDescriptorProto]:
    """Files after those that they import; Google's own come from here when they were left out."""
    given = {file.name: file for file in files.file}
    ordered: dict[str, descriptor_pb2.FileDescriptorProto] = {}

    def add(name: str) -> None:
        if name in ordered:
            return
        if name in given:
            file = given.pop(name)
        else:
            file = descriptor_pb2.FileDescriptorProto()
            descriptor_pool.Default().FindFileByName(name).CopyToProto(file)
        for imported in file.dependency:
            add(imported)
        ordered[name] = file

    for name in list(given):
        add(name)
    return list(ordered.values())
