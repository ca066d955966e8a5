"""remote and bypass: against real gRPC servers that speak Istio's protocol for adapters."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import grpc
import grpc.aio
import pytest
from google.protobuf import descriptor_pb2, duration_pb2, json_format, struct_pb2, timestamp_pb2
from google.protobuf.any_pb2 import Any

from mizzen.attributes.values import ValueType
from mizzen.mixer import templates
from mizzen.mixer.adapter import AdapterError, CheckResult, QuotaArgs, QuotaResult, Use
from mizzen.mixer.adapters import metrics
from mizzen.mixer.adapters.python.declare import KINDS
from mizzen.mixer.adapters.remote import params_of
from mizzen.mixer.adapters.remote.messages import fill_instance
from mizzen.mixer.adapters.remote.registration import config_of
from mizzen.mixer.adapters.remote.services import BY_TEMPLATE, SERVICES
from mizzen.mixer.status import Code, Status
from mizzen.proto import adapter_kubernetes_pb2 as kubernetes
from mizzen.proto import adapter_model_pb2 as model

TIME = datetime(2018, 7, 31, 12, tzinfo=UTC)
INFRASTRUCTURE = "/istio.mixer.adapter.model.v1beta1.InfrastructureBackend/"
_INFRASTRUCTURE_CALLS = {
    "Validate": model.ValidateRequest,
    "CreateSession": model.CreateSessionRequest,
    "CloseSession": model.CloseSessionRequest,
}


class Process(grpc.GenericRpcHandler):
    """An adapter: takes every call, keeps it, and answers what the test has put under its path."""

    def __init__(self) -> None:
        self.calls: asyncio.Queue[tuple[str, object]] = asyncio.Queue()
        self.answers: dict[str, object] = {}
        self.address = ""
        self._requests = {service.path: service.request for service in BY_TEMPLATE.values()} | {
            INFRASTRUCTURE + name: request for name, request in _INFRASTRUCTURE_CALLS.items()
        }

    def service(self, call):
        path = call.method

        async def answer(request, context):
            self.calls.put_nowait((path, request))
            answer = self.answers.get(path)
            if callable(answer):
                answer = answer(request)
            if isinstance(answer, grpc.StatusCode):
                await context.abort(answer, "as told")
            return answer

        return grpc.unary_unary_rpc_method_handler(
            answer, self._requests[path].FromString, lambda message: message.SerializeToString()
        )


@pytest.fixture
async def process() -> AsyncIterator[Process]:
    process = Process()
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((process,))
    process.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    yield process
    await server.stop(None)


def test_paths_are_istios():
    paths = {template: service.path for template, service in BY_TEMPLATE.items()}
    assert paths == {
        "apikey": "/apikey.HandleApiKeyService/HandleApiKey",
        "authorization": "/authorization.HandleAuthorizationService/HandleAuthorization",
        "checknothing": "/checknothing.HandleCheckNothingService/HandleCheckNothing",
        "edge": "/edge.HandleEdgeService/HandleEdge",
        "kubernetes": "/adapter.template.kubernetes.HandleKubernetesService/HandleKubernetes",
        "listentry": "/listentry.HandleListEntryService/HandleListEntry",
        "logentry": "/logentry.HandleLogEntryService/HandleLogEntry",
        "metric": "/metric.HandleMetricService/HandleMetric",
        "quota": "/quota.HandleQuotaService/HandleQuota",
        "reportnothing": "/reportnothing.HandleReportNothingService/HandleReportNothing",
        "tracespan": "/tracespan.HandleTraceSpanService/HandleTraceSpan",
    }
    assert set(KINDS) == set(BY_TEMPLATE)


INSTANCES = [
    (templates.ApiKey("n", "api", "v1", "op", "key", TIME),
     {"name": "n", "api": "api", "apiVersion": "v1", "apiOperation": "op", "apiKey": "key",
      "timestamp": {"value": "2018-07-31T12:00:00Z"}}),
    (templates.Authorization("n", templates.Subject("anna", "staff", {"app": "x"}),
                             templates.Action("default", "ratings", "GET", "/r", {"n": 1})),
     {"name": "n", "subject": {"user": "anna", "groups": "staff", "properties": {"app": {"stringValue": "x"}}},
      "action": {"namespace": "default", "service": "ratings", "method": "GET", "path": "/r",
                 "properties": {"n": {"int64Value": "1"}}}}),
    (templates.CheckNothing("n"), {"name": "n"}),
    (templates.ListEntry("n", ip_address("10.0.0.1")), {"name": "n", "value": "10.0.0.1"}),
    (templates.Edge("n", TIME, "ns", "w", "o", "u", "dns", "dw", "do", "du", "http", "grpc"),
     {"name": "n", "timestamp": {"value": "2018-07-31T12:00:00Z"}, "sourceWorkloadNamespace": "ns",
      "sourceWorkloadName": "w", "sourceOwner": "o", "sourceUid": "u", "destinationWorkloadNamespace": "dns",
      "destinationWorkloadName": "dw", "destinationOwner": "do", "destinationUid": "du", "contextProtocol": "http",
      "apiProtocol": "grpc"}),
    (templates.Kubernetes("n", "uid", ip_address("10.0.0.1"), "", templates.NO_ADDRESS, 80),
     {"name": "n", "sourceUid": "uid", "sourceIp": {"value": "CgAAAQ=="}, "destinationPort": "80"}),
    (templates.LogEntry("n", {
        "s": "x", "i": 5, "d": 0.5, "b": True, "t": TIME, "ip": ip_address("::1"), "du": timedelta(seconds=1.5),
        "m": {"a": "b"}, "mail": "a@b", "host": "h", "uri": "http://h/", "raw": b"\x01"}, TIME, "info"),
     {"name": "n", "severity": "info", "timestamp": {"value": "2018-07-31T12:00:00Z"}, "variables": {
         "s": {"stringValue": "x"}, "i": {"int64Value": "5"}, "d": {"doubleValue": 0.5}, "b": {"boolValue": True},
         "t": {"timestampValue": {"value": "2018-07-31T12:00:00Z"}},
         "ip": {"ipAddressValue": {"value": "AAAAAAAAAAAAAAAAAAAAAQ=="}},
         "du": {"durationValue": {"value": "1.500s"}}, "m": {"stringMapValue": {"value": {"a": "b"}}},
         "mail": {"emailAddressValue": {"value": "a@b"}}, "host": {"dnsNameValue": {"value": "h"}},
         "uri": {"uriValue": {"value": "http://h/"}}, "raw": {"ipAddressValue": {"value": "AQ=="}}}}),
    (templates.Metric("n", timedelta(milliseconds=5), {"a": "b"}, "UNSPECIFIED", {"z": 1}),
     {"name": "n", "value": {"durationValue": {"value": "0.005s"}}, "dimensions": {"a": {"stringValue": "b"}},
      "monitoredResourceType": "UNSPECIFIED", "monitoredResourceDimensions": {"z": {"int64Value": "1"}}}),
    (templates.Quota("n", {"a": "b"}), {"name": "n", "dimensions": {"a": {"stringValue": "b"}}}),
    (templates.ReportNothing("n"), {"name": "n"}),
    (templates.TraceSpan("n", "1", "2", "3", "/", TIME, templates.NO_TIME, {"a": 1}, 200, True, False),
     {"name": "n", "traceId": "1", "spanId": "2", "parentSpanId": "3", "spanName": "/",
      "startTime": {"value": "2018-07-31T12:00:00Z"}, "spanTags": {"a": {"int64Value": "1"}},
      "httpStatusCode": "200", "clientSpan": True}),
]  # fmt: skip


@pytest.mark.parametrize(("instance", "message"), INSTANCES, ids=lambda value: type(value).__name__)
def test_instances_as_messages(instance, message):
    request = SERVICES[type(instance)].request()
    target = request.instances.add() if hasattr(request, "instances") else request.instance
    types = {"variables.mail": ValueType.EMAIL_ADDRESS, "variables.host": ValueType.DNS_NAME,
             "variables.uri": ValueType.URI}  # fmt: skip
    fill_instance(target, instance, types)
    assert json_format.MessageToDict(target) == message
    assert target.DESCRIPTOR.fields_by_name["name"].number == 72295727


def test_every_template_was_tried():
    assert {type(instance) for instance, _ in INSTANCES} == set(SERVICES)


async def test_a_check_without_sessions(build, process):
    path = BY_TEMPLATE["listentry"].path
    answer = model.CheckResult(valid_duration=duration_pb2.Duration(seconds=5), valid_use_count=3)
    answer.status.code, answer.status.message = 7, "no"
    process.answers[path] = answer
    handler = await build("remote", {"address": process.address, "params": {"file": "/audit.log", "depth": 2}})
    verdict = await handler.check(templates.ListEntry("l.instance.default", "v1"))
    assert verdict == CheckResult(Status(Code.PERMISSION_DENIED, "no"), timedelta(seconds=5), 3)
    called, request = await process.calls.get()
    assert (called, request.instance.name, request.instance.value) == (path, "l.instance.default", "v1")
    config = struct_pb2.Struct()
    assert request.adapter_config.Unpack(config)
    assert dict(config) == {"file": "/audit.log", "depth": 2}
    assert request.dedup_id.isdecimal()


async def test_reports_go_together_by_template(build, process):
    for template in ("metric", "logentry"):
        process.answers[BY_TEMPLATE[template].path] = model.ReportResult()
    handler = await build("remote", {"address": process.address})
    await handler.report([templates.Metric("m", 1), templates.LogEntry("l"), templates.Metric("m", 2)])
    calls = dict([await process.calls.get(), await process.calls.get()])
    assert [i.value.int64_value for i in calls[BY_TEMPLATE["metric"].path].instances] == [1, 2]
    assert len(calls[BY_TEMPLATE["logentry"].path].instances) == 1


async def test_a_report_that_failed_is_sent_again_under_its_id(build, process):
    path = BY_TEMPLATE["metric"].path
    replies = iter([grpc.StatusCode.UNAVAILABLE, model.ReportResult()])
    process.answers[path] = lambda _: next(replies)
    handler = await build("remote", {"address": process.address})
    await handler.report([templates.Metric("m", 1)])
    (_, first), (_, second) = await process.calls.get(), await process.calls.get()
    assert first == second


async def test_quota(build, process):
    answer = model.QuotaResult()
    answer.quotas["q.instance.default"].granted_amount = 2
    answer.quotas["q.instance.default"].valid_duration.FromSeconds(3)
    process.answers[BY_TEMPLATE["quota"].path] = answer
    handler = await build("remote", {"address": process.address})
    granted = await handler.quota(templates.Quota("q.instance.default"), QuotaArgs(5, True, "call-1q"))
    assert granted == QuotaResult(2, timedelta(seconds=3))
    _, request = await process.calls.get()
    assert request.dedup_id == "call-1q"
    params = request.quota_request.quotas["q.instance.default"]
    assert (params.amount, params.best_effort) == (5, True)
    with pytest.raises(AdapterError, match="says nothing of the quota other"):
        await handler.quota(templates.Quota("other"), QuotaArgs(5))


async def test_attributes_are_generated(build, process):
    output = kubernetes.OutputMsg(source_pod_name="reviews", source_labels={"app": "reviews"})
    output.source_pod_ip.value = ip_address("::ffff:10.0.0.7").packed
    process.answers[BY_TEMPLATE["kubernetes"].path] = output
    handler = await build("remote", {"address": process.address})
    assert await handler.generate(templates.Kubernetes("k")) == {
        "source_pod_name": "reviews", "source_labels": {"app": "reviews"}, "source_pod_ip": ip_address("10.0.0.7"),
    }  # fmt: skip


async def test_a_session(build, process):
    process.answers = {
        f"{INFRASTRUCTURE}Validate": model.ValidateResponse(),
        f"{INFRASTRUCTURE}CreateSession": model.CreateSessionResponse(session_id="s-1"),
        f"{INFRASTRUCTURE}CloseSession": model.CloseSessionResponse(),
        BY_TEMPLATE["checknothing"].path: model.CheckResult(),
    }
    types = {"value": ValueType.INT64, "dimensions.source.app": ValueType.STRING}
    uses = (Use("m.instance.default", "metric", types), Use("a.instance.default", "authorization",
            {"action.properties.app": ValueType.STRING}))  # fmt: skip
    params = {"address": process.address, "sessionBased": True, "params": {"a": "b"}}
    handler = await build("remote", params, uses=uses)
    for name in ("Validate", "CreateSession"):
        path, request = await process.calls.get()
        assert path == INFRASTRUCTURE + name
        inferred = request.inferred_types["m.instance.default"]
        assert inferred.type_url == "type.googleapis.com/metric.Type"
        message = BY_TEMPLATE["metric"].types()
        assert inferred.Unpack(message)
        assert (message.value, dict(message.dimensions)) == (2, {"source.app": 1})
        assert request.inferred_types["a.instance.default"].Unpack(message := BY_TEMPLATE["authorization"].types())
        assert dict(message.action.properties) == {"app": 1}
    await handler.check(templates.CheckNothing("c"))
    config = (await process.calls.get())[1].adapter_config
    assert (config.type_url, config.value) == ("google.protobuf.Any.type_url", b"s-1")
    await handler.close()
    assert (await process.calls.get())[1].session_id == "s-1"


async def test_a_session_is_opened_again_for_an_adapter_that_forgot_it(build, process):
    sessions = iter(["s-1", "s-2"])
    process.answers = {
        f"{INFRASTRUCTURE}Validate": model.ValidateResponse(),
        f"{INFRASTRUCTURE}CreateSession": lambda _: model.CreateSessionResponse(session_id=next(sessions)),
        f"{INFRASTRUCTURE}CloseSession": model.CloseSessionResponse(),
        BY_TEMPLATE["checknothing"].path: lambda request: (
            grpc.StatusCode.NOT_FOUND if request.adapter_config.value == b"s-1" else model.CheckResult()
        ),
    }
    handler = await build("remote", {"address": process.address, "sessionBased": True})
    assert await handler.check(templates.CheckNothing("c")) == CheckResult()
    assert await handler.check(templates.CheckNothing("c")) == CheckResult()
    assert process.calls.qsize() == 6


async def test_an_adapter_may_refuse_its_parameters(build, process):
    answer = model.ValidateResponse()
    answer.status.code, answer.status.message = 3, "file: is required"
    process.answers[f"{INFRASTRUCTURE}Validate"] = answer
    with pytest.raises(AdapterError, match="params: the adapter says: file: is required"):
        await build("remote", {"address": process.address, "sessionBased": True})


async def test_an_adapter_may_come_later(build, caplog):
    handler = await build("remote", {"address": "127.0.0.1:1", "session_based": True})
    assert "no session yet" in caplog.text
    with pytest.raises(AdapterError, match=r"the adapter at 127\.0\.0\.1:1 failed: UNAVAILABLE"):
        await handler.check(templates.CheckNothing("c"))


async def test_an_adapter_that_hangs_is_given_up(build, process, request):
    async def hang(call, context):
        await asyncio.Event().wait()

    process.service = lambda call: grpc.unary_unary_rpc_method_handler(hang)
    handler = await build("remote", {"address": process.address, "timeout": "20ms"})
    with pytest.raises(AdapterError, match="DEADLINE_EXCEEDED"):
        await handler.check(templates.CheckNothing("c"))
    name = f"{request.node.name}.remote.istio-system"
    assert metrics.CALLS.labels(name, "timeout")._value.get() == 1


async def test_unix_sockets(build, tmp_path):
    process = Process()
    process.answers[BY_TEMPLATE["checknothing"].path] = model.CheckResult()
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((process,))
    server.add_insecure_port(f"unix:{tmp_path}/adapter.sock")
    await server.start()
    handler = await build("remote", {"address": f"unix:{tmp_path}/adapter.sock"})
    assert await handler.check(templates.CheckNothing("c")) == CheckResult()
    await server.stop(None)


def _descriptors(*imports: str) -> str:
    file = descriptor_pb2.FileDescriptorProto(name="config.proto", package="audit", syntax="proto3")
    file.dependency.append("google/protobuf/duration.proto")
    message = file.message_type.add(name="Params")
    message.field.add(name="file_path", number=1, type=9, label=1)
    message.field.add(name="every", number=2, type=11, label=1, type_name=".google.protobuf.Duration")
    files = descriptor_pb2.FileDescriptorSet(file=[file])
    return base64.b64encode(files.SerializeToString()).decode()


def test_parameters_by_the_adapters_own_message():
    config = config_of({"filePath": "/a", "every": "1.5s"}, _descriptors())
    assert config.type_url == "type.googleapis.com/audit.Params"
    every = duration_pb2.Duration(seconds=1, nanos=500_000_000).SerializeToString()
    assert config.value == b"\x0a\x02/a\x12" + bytes([len(every)]) + every


@pytest.mark.parametrize(
    ("params", "descriptors", "message"),
    [
        ({"colour": "blue"}, _descriptors(), "params: "),
        ({}, "!", "config: must be a FileDescriptorSet in base64"),
        ({}, base64.b64encode(b"\xff\xff").decode(), "config: must be a FileDescriptorSet"),
        ({}, "", None),
        ({}, base64.b64encode(descriptor_pb2.FileDescriptorSet().SerializeToString()).decode() or "CgA=",
         "config: no message Params in it"),
    ],
)  # fmt: skip
def test_parameters_that_do_not_fit(params, descriptors, message):
    if message is None:
        assert config_of(params, descriptors).type_url.endswith("google.protobuf.Struct")
        return
    with pytest.raises(AdapterError, match=message):
        config_of(params, descriptors)


def test_istios_own_resources_become_parameters():
    adapter = {"description": "", "session_based": True, "templates": ["metric", "logentry.template.istio-system"],
               "config": "CgA="}  # fmt: skip
    handler = {"adapter": "audit", "connection": {"address": "audit:9070", "timeout": "2s"}, "params": {"file": "x"}}
    assert params_of(adapter, handler) == {
        "sessionBased": True, "templates": ["metric", "logentry"], "config": "CgA=", "address": "audit:9070",
        "timeout": "2s", "params": {"file": "x"},
    }  # fmt: skip
    assert params_of({}, {}) == {}


@pytest.mark.parametrize(
    ("params", "uses", "message"),
    [
        ({}, (), "address: is required"),
        ({"address": "audit"}, (), "address: an address is <host>:<port>"),
        ({"address": "a:1", "templates": ["metrics"]}, (), "templates: 'metrics' is not a template; did you mean"),
        ({"address": "a:1", "templates": ["metric"]}, (Use("q", "quota", {}),), "does not take quota"),
    ],
)
async def test_wrong_parameters_are_named(build, params, uses, message):
    with pytest.raises(AdapterError) as raised:
        await build("remote", params, uses=uses)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    "params",
    [
        {"@type": "type.googleapis.com/google.protobuf.Timestamp", "value": "1970-01-01T00:00:05Z"},
        {"type_url": "type.googleapis.com/google.protobuf.Timestamp", "value": "CAU="},
    ],
)
async def test_bypass_passes_on_what_it_was_given(build, process, params):
    process.answers[BY_TEMPLATE["checknothing"].path] = model.CheckResult()
    handler = await build("bypass", {"backend_address": process.address, "params": params})
    await handler.check(templates.CheckNothing("c"))
    _, request = await process.calls.get()
    expected = Any()
    expected.Pack(timestamp_pb2.Timestamp(seconds=5))
    assert request.adapter_config == expected


async def test_bypass_names_a_type_that_is_not_known(build):
    with pytest.raises(AdapterError, match="give typeUrl and value"):
        await build("bypass", {"backend_address": "a:1", "params": {"@type": "type.googleapis.com/x.Params"}})
