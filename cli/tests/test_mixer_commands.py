"""`mizzen mixer` against a Mixer of the test: attributes of a command line on the wire, answers on the screen."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import grpc
import pytest
from typer.testing import CliRunner

from mizzen.attributes.batch import decode_report
from mizzen.attributes.compressed import decode
from mizzen.attributes.referenced import encode_references
from mizzen.cli.__main__ import app
from mizzen.cli.local.home import Home
from mizzen.cli.mixer.attributes import read_attributes, read_quotas
from mizzen.cli.policy import declared_attributes
from mizzen.proto import mixer_pb2 as pb

PERMISSION_DENIED = 7
DECLARED = declared_attributes({})


class Mixer:
    """Refuses paths that begin with /no, and grants three of any quota."""

    def __init__(self) -> None:
        self.checks: list[pb.CheckRequest] = []
        self.reports: list[pb.ReportRequest] = []
        self._server = grpc.server(ThreadPoolExecutor(1))
        handlers = {
            "Check": grpc.unary_unary_rpc_method_handler(
                self._check, pb.CheckRequest.FromString, pb.CheckResponse.SerializeToString
            ),
            "Report": grpc.unary_unary_rpc_method_handler(
                self._report, pb.ReportRequest.FromString, pb.ReportResponse.SerializeToString
            ),
        }
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("istio.mixer.v1.Mixer", handlers),))
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def stop(self) -> None:
        self._server.stop(0).wait()

    def _check(self, request: pb.CheckRequest, context: Any) -> pb.CheckResponse:
        self.checks.append(request)
        response = pb.CheckResponse()
        values = decode(request.attributes)
        if str(values.get("request.path", "")).startswith("/no"):
            response.precondition.status.code = PERMISSION_DENIED
            response.precondition.status.message = "deny.denier.istio-system:Not allowed"
        response.precondition.valid_use_count = 1000
        response.precondition.valid_duration.FromTimedelta(timedelta(seconds=2.5))
        references = {"request.path": True, ("source.labels", "app"): False}
        response.precondition.referenced_attributes.CopyFrom(encode_references(references))
        for name, asked in request.quotas.items():
            response.quotas[name].granted_amount = min(3, asked.amount)
            response.quotas[name].valid_duration.seconds = 1
        return response

    def _report(self, request: pb.ReportRequest, context: grpc.ServicerContext) -> pb.ReportResponse:
        self.reports.append(request)
        if any("broken" in entry for entry in decode_report(request).entries):
            context.abort(grpc.StatusCode.UNKNOWN, "a handler failed")
        return pb.ReportResponse()


@pytest.fixture
def mixer() -> Iterator[Mixer]:
    mixer = Mixer()
    yield mixer
    mixer.stop()


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["mixer", *arguments])


def test_a_request_that_may_go_on(mixer: Mixer) -> None:
    result = run("check", "-m", mixer.address, "-a", "request.path=/yes", "-q", "requests=2")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        "Check RPC completed successfully. Check status was OK",
        "  Valid use count: 1000, valid duration: 2.5s",
        "  Referenced attributes:",
        "    request.path EXACT",
        "    source.labels::app ABSENCE",
        "  Quota requests: granted amount 2, valid duration: 1s",
    ]
    [request] = mixer.checks
    assert decode(request.attributes) == {"request.path": "/yes"}
    assert (request.quotas["requests"].amount, request.quotas["requests"].best_effort) == (2, True)
    assert request.deduplication_id


def test_a_request_that_is_refused_has_a_status_of_its_own(mixer: Mixer) -> None:
    result = run("check", "-m", mixer.address, "-s", "request.path=/no")
    assert result.exit_code == 1
    assert "PERMISSION_DENIED (deny.denier.istio-system:Not allowed)" in result.stdout
    assert run("check", "-m", mixer.address, "-q", "requests=4").exit_code == 1


def test_programs_get_json(mixer: Mixer) -> None:
    result = run("check", "-m", mixer.address, "-a", "request.path=/no", "-o", "json", "-r", "2")
    first, second = json.loads(result.stdout)
    assert first == second
    assert first["status"] == {"code": "PERMISSION_DENIED", "message": "deny.denier.istio-system:Not allowed"}
    assert first["validDuration"] == "2.5s"
    assert first["referencedAttributes"] == ["request.path EXACT", "source.labels::app ABSENCE"]


def test_reports_carry_every_type(mixer: Mixer) -> None:
    result = run(
        *("report", "-m", mixer.address, "-r", "2", "-i", "a=1", "-d", "b=1.5", "-b", "c=true", "-s", "d=1"),
        *("-t", "e=2018-07-31T12:00:00Z", "--duration_attributes", "f=1m30s", "--bytes_attributes", "g=0a:00"),
        *("--stringmap_attributes", "h=x:1;:method:GET"),
    )
    assert result.exit_code == 0, result.output
    assert result.stdout == "Report RPC returned OK\n" * 2
    assert decode_report(mixer.reports[1]).entries == [
        {
            "a": 1,
            "b": 1.5,
            "c": True,
            "d": "1",
            "e": datetime(2018, 7, 31, 12, tzinfo=UTC),
            "f": timedelta(seconds=90),
            "g": b"\x0a\x00",
            "h": {"x": "1", ":method": "GET"},
        }
    ]


MANIFEST = """\
apiVersion: config.istio.io/v1alpha2
kind: attributemanifest
metadata: {name: ours, namespace: istio-system}
spec: {attributes: {shop.basket: {valueType: INT64}, shop.name: {valueType: STRING}, shop.site: {valueType: URI}}}
"""


def test_attributes_that_nobody_declares_are_warned_of(
    mixer: Mixer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIZZEN_HOME", str(tmp_path))
    given = ("-m", mixer.address, "-a", "sorce.name=a,shop.name=5,shop.site=x", "-i", "shop.basket=1")
    result = run("check", *given)
    assert result.exit_code == 0
    assert result.stderr.splitlines() == [
        "warning: unknown attribute sorce.name; did you mean source.name?",
        "warning: unknown attribute shop.name; attributes are declared in an attributemanifest",
        "warning: unknown attribute shop.site; attributes are declared in an attributemanifest",
        "warning: unknown attribute shop.basket; attributes are declared in an attributemanifest",
    ]
    Home.locate().config.mkdir(parents=True)
    (Home.locate().config / "ours.yaml").write_text(MANIFEST)
    assert "sorce.name" in run("report", *given).stderr
    result = run("report", *given[:2], "-a", "shop.basket=1,shop.name=5,shop.site=x")
    assert result.stderr == ""
    assert decode_report(mixer.reports[-1]).entries == [{"shop.basket": 1, "shop.name": "5", "shop.site": "x"}]


def test_no_answer_is_another_status_than_a_refusal(mixer: Mixer) -> None:
    failed = run("report", "-m", mixer.address, "-s", "broken=yes")
    assert failed.exit_code == 2
    assert "UNKNOWN: a handler failed" in failed.stderr
    mixer.stop()
    absent = run("check", "-m", mixer.address)
    assert absent.exit_code == 2
    assert "UNAVAILABLE" in absent.stderr
    typo = run("check", "-a", "response.code=many")
    assert typo.exit_code == 2
    assert "response.code is to be a whole number of 64 bits, not 'many'" in typo.stderr


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("", {}),
        ("source.ip=10.0.0.1", {"source.ip": ip_address("10.0.0.1")}),
        ("source.ip=0a:00:00:01", {"source.ip": ip_address("10.0.0.1")}),
        ("source.ip=2001:db8::1", {"source.ip": ip_address("2001:db8::1")}),
        ("source.name=5", {"source.name": "5"}),
        ("response.duration=1h2m3.5s", {"response.duration": timedelta(hours=1, minutes=2, seconds=3.5)}),
        ("source.labels=app:a;version:v1", {"source.labels": {"app": "a", "version": "v1"}}),
        ("x=5,y=5.5,z=TRUE", {"x": 5, "y": 5.5, "z": True}),
        ("x=-1s", {"x": timedelta(seconds=-1)}),
        ("x=0a:0b", {"x": b"\x0a\x0b"}),
        ("x=k:v", {"x": {"k": "v"}}),
        ("x=some text", {"x": "some text"}),
        ("x=a=b", {"x": "a=b"}),
        ("x=2018-07-31T12:00:00+02:00", {"x": datetime(2018, 7, 31, 10, tzinfo=UTC)}),
    ],
)
def test_attributes_have_the_type_they_are_known_to_have_or_look_like(text: str, values: dict[str, Any]) -> None:
    assert read_attributes(text, {}, DECLARED) == values


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("source.ip", "attributes are name=value"),
        ("=1", "attributes are name=value"),
        ("source.ip=here", "source.ip is to be an IP address"),
        ("connection.mtls=1", "connection.mtls is to be true or false"),
        ("request.time=today", "request.time is to be a time such as"),
        ("response.duration=5", "response.duration is to be a duration such as"),
        ("source.labels=app", "source.labels is to be a map such as"),
        ("destination.port=99999999999999999999", "destination.port is to be a whole number of 64 bits"),
    ],
)
def test_attributes_of_the_wrong_type_are_told(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_attributes(text, {}, DECLARED)


def test_amounts_of_quotas() -> None:
    assert read_quotas("a=1,b=2") == {"a": 1, "b": 2}
    with pytest.raises(ValueError, match="the amount of quota a is to be a whole number"):
        read_quotas("a=x")
