"""`mizzen mixer explain`: what is asked of Mixer's debug server, and what a person reads of its story."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from typer.testing import CliRunner

from mizzen.attributes.compressed import decode
from mizzen.cli.__main__ import app
from mizzen.cli.errors import UserError
from mizzen.cli.local import layout
from mizzen.cli.local.home import Home
from mizzen.cli.local.mixer import EMBEDDED_CONFIG
from mizzen.cli.mixer.client import MixerClient
from mizzen.proto import mixer_pb2 as pb

OK = {"code": "OK", "message": ""}
NO = {"code": "PERMISSION_DENIED", "message": "deny.denier.default:Not allowed"}
STORY: dict[str, Any] = {
    "generated": {},
    "rules": [
        {
            "rule": "logs.rule.default",
            "match": "",
            "matched": True,
            "instances": [
                {
                    "variety": "report",
                    "instance": "log.logentry.default",
                    "template": "logentry",
                    "handler": "stdio.default",
                    "fields": {"severity": "info"},
                },
                {
                    "variety": "generate",
                    "instance": "more.kubernetes.default",
                    "template": "kubernetes",
                    "handler": "env.default",
                    "fields": {"source_uid": "u"},
                },
            ],
        },
        {"rule": "no.rule.default", "match": "b", "matched": False},
        {
            "rule": "deny.rule.default",
            "match": 'request.path == "/no"',
            "matched": True,
            "instances": [
                {
                    "instance": "version.listentry.default",
                    "variety": "check",
                    "template": "listentry",
                    "handler": "deny.denier.default",
                    "fields": {"value": "v3", "more": {"a": 1}},
                    "answer": {"status": {"code": "PERMISSION_DENIED", "message": "Not allowed"}},
                },
                {
                    "instance": "count.quota.default",
                    "variety": "quota",
                    "template": "quota",
                    "handler": "memquota.default",
                    "fields": {},
                    "answer": {"amount": 3, "status": OK},
                },
                {
                    "instance": "other.quota.default",
                    "variety": "quota",
                    "template": "quota",
                    "handler": "memquota.default",
                    "fields": {},
                },
                {
                    "instance": "who.kubernetes.default",
                    "variety": "generate",
                    "template": "kubernetes",
                    "handler": "env.default",
                },
                {
                    "instance": "log.logentry.default",
                    "variety": "report",
                    "template": "logentry",
                    "handler": "stdio.default",
                    "fields": {"severity": "info"},
                },
                {
                    "instance": "bad.metric.default",
                    "variety": "report",
                    "template": "metric",
                    "handler": "prom.default",
                    "error": "lookup failed: 'x'",
                },
            ],
        },
        {"rule": "odd.rule.default", "match": "a == 1", "matched": False, "reason": "lookup failed: 'a'"},
        {"rule": "edit.rule.default", "match": "true", "matched": True, "instances": []},
    ],
    "verdict": {"status": NO, "valid_duration": "0:00:05", "valid_use_count": 1000},
}


class Server(HTTPServer):
    story: Any = STORY
    asked: list[pb.CheckRequest]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        assert parts.path == "/debug/explain"
        [text] = parse_qs(parts.query)["check"]
        self.server.asked.append(pb.CheckRequest.FromString(base64.urlsafe_b64decode(text)))
        body = json.dumps(self.server.story).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing: the test reads standard error."""


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server(("127.0.0.1", 0), Handler)
    server.asked = []
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def explain(server: Server, *arguments: str) -> Any:
    return CliRunner().invoke(app, ["mixer", "explain", "-m", f"127.0.0.1:{server.server_port}", *arguments])


def test_a_story_of_a_refusal(server: Server) -> None:
    result = explain(server, "-a", "request.path=/no", "-q", "count=3")
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "PERMISSION_DENIED (deny.denier.default:Not allowed), valid for 0:00:05 and 1000 uses",
        '- deny.rule.default matches (request.path == "/no")',
        "    version.listentry.default -> deny.denier.default: PERMISSION_DENIED (Not allowed)",
        "      value = v3",
        '      more = {"a": 1}',
        "    count.quota.default -> memquota.default: grants 3, OK",
        "    other.quota.default -> memquota.default: not asked, charge it with -q",
        "    who.kubernetes.default -> env.default: asked for attributes",
        "    log.logentry.default -> stdio.default: not sent",
        "    bad.metric.default -> prom.default: error: lookup failed: 'x'",
        "- edit.rule.default matches (true)",
        "- logs.rule.default matches (true)",
        "    log.logentry.default -> stdio.default: not sent",
        "    more.kubernetes.default -> env.default: asked for attributes",
        "- no.rule.default does not match (b)",
        "- odd.rule.default does not match (a == 1): lookup failed: 'a'",
    ]
    [request] = server.asked
    assert decode(request.attributes) == {"request.path": "/no"}
    assert request.quotas["count"].amount == 3


def test_the_values_of_reports_are_there_for_those_who_ask(server: Server) -> None:
    shown = explain(server, "--values").stdout
    assert shown.count("      severity = info") == 2
    assert "      source_uid = u" in shown


def test_a_verdict_that_is_kept_for_less_than_handlers_say(server: Server) -> None:
    verdict = {**STORY["verdict"], "valid_duration": "0:00:01", "uncapped_duration": "0:00:05"}
    server.story = {"rules": [], "verdict": verdict}
    valid = "valid for 0:00:01 (Mixer's limit; 0:00:05 by what handlers say) and 1000 uses"
    assert explain(server).stdout == f"PERMISSION_DENIED (deny.denier.default:Not allowed), {valid}\n"


def test_headers_and_what_checks_give_for_them(server: Server) -> None:
    answer = {"status": OK, "valid_duration": "0:00:00", "valid_use_count": 0, "output": {"tier": "gold"}}
    check = {
        "variety": "check",
        "instance": "user.listentry.default",
        "template": "listentry",
        "handler": "tiers.handler.default",
        "fields": {"value": "jason"},
        "answer": answer,
    }
    edits = {
        "request_headers": [{"name": "x-tier", "value": "gold", "action": "REPLACE"}],
        "response_headers": [{"name": "x-old", "value": "", "action": "REMOVE"}],
    }
    server.story = {
        "rules": [{"rule": "r.rule.default", "match": "", "matched": True, "instances": [check]}],
        "verdict": {"status": OK, "valid_duration": "0:01:00", "valid_use_count": 1, **edits},
    }
    assert explain(server).stdout.splitlines() == [
        "OK, valid for 0:01:00 and 1 uses",
        "request header x-tier: REPLACE gold",
        "response header x-old: REMOVE",
        "- r.rule.default matches (true)",
        "    user.listentry.default -> tiers.handler.default: OK, output tier = gold",
        "      value = jason",
    ]


def test_a_quota_that_is_not_granted_is_a_refusal(server: Server) -> None:
    away = {"amount": 0, "status": {"code": "UNAVAILABLE", "message": "Redis failed: no answer"}}
    quota = {
        "instance": "count.quota.default",
        "variety": "quota",
        "template": "quota",
        "handler": "redis.default",
        "answer": away,
    }
    server.story = {
        "rules": [{"rule": "r.rule.default", "match": "", "matched": True, "instances": [quota]}],
        "verdict": {"status": OK, "valid_duration": "0:01:00", "valid_use_count": 1},
        "left_out": {"handler bad.denier.default": "status.mesage: unknown field"},
    }
    result = explain(server)
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "OK, valid for 0:01:00 and 1 uses",
        "The quota count.quota.default is not granted",
        "- r.rule.default matches (true)",
        "    count.quota.default -> redis.default: grants 0, UNAVAILABLE (Redis failed: no answer)",
        "- handler bad.denier.default is not in force: status.mesage: unknown field",
    ]


def test_a_request_that_may_go_on(server: Server) -> None:
    server.story = {"rules": [], "verdict": {"status": OK, "valid_duration": "0:01:00", "valid_use_count": 10000}}
    result = explain(server, "-o", "json")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == server.story


def test_a_check_that_fails_is_no_pass(server: Server) -> None:
    server.story = {"rules": [], "error": "performing check operation failed"}
    result = explain(server)
    assert (result.exit_code, result.stdout) == (1, "The check fails: performing check operation failed\n")


def test_no_mixer(server: Server) -> None:
    result = CliRunner().invoke(app, ["mixer", "explain", "-m", "127.0.0.1"])
    assert result.exit_code == 2
    assert "127.0.0.1" in result.stderr


@pytest.fixture
def embedding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mesh whose proxies have Mixer in them."""
    monkeypatch.setenv("MIZZEN_HOME", str(tmp_path))
    Home.locate().mesh_config.write_text(EMBEDDED_CONFIG)


@pytest.mark.usefixtures("embedding")
def test_where_mixer_is_embedded_the_gateways_explains(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "GATEWAY_ADMIN", "127.0.0.1")
    monkeypatch.setattr(layout, "ADMIN_PORT", server.server_port)
    result = CliRunner().invoke(app, ["mixer", "explain", "-a", "request.path=/no", "-q", "count=3"])
    assert result.exit_code == 1, result.output


@pytest.mark.usefixtures("embedding")
@pytest.mark.parametrize("command", ["check", "report"])
def test_where_mixer_is_embedded_there_is_no_server(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise UserError("connection refused")

    monkeypatch.setattr(MixerClient, "_call", refuse)
    result = CliRunner().invoke(app, ["mixer", command, "-a", "request.path=/"])
    assert result.exit_code == 2
    assert "`mizzen mixer explain` asks the gateway's" in result.output
    named = CliRunner().invoke(app, ["mixer", command, "-m", "127.0.0.1:1", "-a", "request.path=/"])
    assert named.exit_code == 2
    assert "connection refused" in named.output
