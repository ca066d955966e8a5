"""The pages of docs/adapters say what is, and their examples work."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import re
import sys
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
import yaml

from mizzen.api.parse import parse
from mizzen.api.store.watch import FolderStore
from mizzen.api.types import Model, camel_case
from mizzen.attributes.bag import DictBag
from mizzen.mixer.adapter import AdapterError, CheckResult, QuotaArgs, QuotaResult
from mizzen.mixer.adapters import registry
from mizzen.mixer.adapters.params import read
from mizzen.mixer.adapters.python.declare import KINDS
from mizzen.mixer.adapters.remote import params_of
from mizzen.mixer.config.config import load
from mizzen.mixer.runtime.engine import RuleEngine
from mizzen.mixer.status import Status
from mizzen.mixer.templates import ListEntry, LogEntry
from mizzen.runtime.address import unused_port

ROOT = Path(__file__).parents[4]
DOCS = ROOT / "docs" / "adapters"
AUDIT = ROOT / "demo" / "adapters" / "audit"
NAMES = sorted({registry.find(name).name for name in registry.names()})


def page(name: str) -> str:
    return (DOCS / f"{'list' if name == 'listchecker' else name}.md").read_text()


def params_model(name: str) -> type[Model]:
    return sys.modules[type(registry.find(name)).__module__].Params


def resources(text: str) -> list[dict]:
    blocks = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    return [document for block in blocks for document in yaml.safe_load_all(block)]


def handlers() -> list[tuple[str, dict]]:
    found = []
    for path in sorted(DOCS.glob("*.md")):
        documents = resources(path.read_text())
        adapters = {d["metadata"]["name"]: d["spec"] for d in documents if d["kind"] == "adapter"}
        for document in documents:
            spec = document.get("spec") or {}
            if document["kind"] in registry.names():
                found.append((document["kind"], spec))
            elif "compiledAdapter" in spec:
                found.append((spec["compiledAdapter"], spec.get("params", {})))
            elif document["kind"] == "handler":
                found.append(("remote", params_of(adapters[spec["adapter"]], spec)))
    return found


@pytest.mark.parametrize("name", NAMES)
def test_each_adapter_has_a_page_with_an_example_and_a_word_on_failure(name):
    text = page(name)
    assert "**Failure**" in text
    assert any(name in (d["kind"], (d.get("spec") or {}).get("compiledAdapter")) for d in resources(text))
    assert f"({page_name(name)})" in (DOCS / "README.md").read_text()
    for template in registry.find(name).templates:
        assert "every template" in text or template in text


def page_name(name: str) -> str:
    return "list.md" if name == "listchecker" else f"{name}.md"


@pytest.mark.parametrize("name", NAMES)
def test_each_page_names_every_parameter(name):
    text = page(name)
    for field in _fields(params_model(name)):
        assert re.search(rf"[`.\]]({field}|{camel_case(field)})\b", text), field


def _fields(model: type[Model]) -> set[str]:
    return set(model.model_fields) - {"metrics", "quotas"}


@pytest.mark.parametrize(("name", "params"), handlers(), ids=lambda value: value if isinstance(value, str) else "")
def test_the_parameters_of_the_examples_are_good(name, params):
    assert read(params_model(name), params) is not None


@pytest.mark.parametrize("path", sorted(DOCS.glob("*.md")), ids=lambda path: path.stem)
def test_the_examples_of_a_page_are_whole(path):
    for block in re.findall(r"```yaml\n(.*?)```", path.read_text(), re.DOTALL):
        parsed = parse(block, file=path.name)
        config = load([item for item in parsed.resources if item.group == "config.istio.io"], registry.find)
        problems = [str(problem) for problem in (*parsed.problems, *config.problems)]
        assert [problem for problem in problems if "is deprecated" not in problem] == []  # roles of Istio 1.0 are
        rules = {
            f"{item.metadata.name}.rule.{item.metadata.namespace}" for item in parsed.resources if item.kind == "rule"
        }
        assert {rule.name for rule in config.rules} == rules


@pytest.mark.parametrize("name", ["memquota", "redisquota"])
def test_quotas_are_charged_in_the_examples(name):
    kinds = {document["kind"]: document for document in resources(page(name))}
    assert {name, "quota", "rule", "QuotaSpec", "QuotaSpecBinding"} == kinds.keys()
    (charged,) = kinds["QuotaSpec"]["spec"]["rules"][0]["quotas"]
    assert charged["quota"] == kinds["quota"]["metadata"]["name"]
    assert kinds["QuotaSpecBinding"]["spec"]["quotaSpecs"] == [{"name": kinds["QuotaSpec"]["metadata"]["name"]}]


@pytest.mark.parametrize(("template", "kind"), sorted(KINDS.items()))
def test_the_python_page_lists_the_fields_of_each_template(template, kind):
    (row,) = (line for line in page("python").splitlines() if line.startswith(f"| {template} | `{kind.__name__}` |"))
    own = [field.name for field in dataclasses.fields(kind) if field.name != "name"]
    assert all(f"`{name}`" in row for name in own), row
    assert own or "none" in row


@pytest.mark.parametrize("kind", [Status, CheckResult, QuotaArgs, QuotaResult])
def test_the_python_page_lists_the_fields_of_what_goes_with_them(kind):
    (row,) = (line for line in page("python").splitlines() if line.startswith(f"| `{kind.__name__}` |"))
    assert all(f"`{field.name}`: " in row for field in dataclasses.fields(kind)), row


def test_there_are_examples():
    assert len(handlers()) >= len(NAMES)


async def test_the_python_pages_audit_file(build, tmp_path):
    code, weekdays, _ = re.findall(r"```python\n(.*?)```", page("python"), re.DOTALL)
    (tmp_path / "audit.py").write_text(code)
    out = tmp_path / "audit.jsonl"
    handler = await build("python", {"file": str(tmp_path / "audit.py"), "params": {"path": str(out)}})
    variables = {"from": "productpage-v1", "to": "reviews.default.svc.cluster.local", "method": "GET",
                 "path": "/reviews/0", "status": 200}  # fmt: skip
    await handler.report([LogEntry("call", variables, datetime(2018, 7, 31, 12, tzinfo=UTC))])
    await handler.close()
    assert out.read_text() in page("python")

    (tmp_path / "weekdays.py").write_text(weekdays)
    handler = await build("python", {"file": str(tmp_path / "weekdays.py")})
    assert (await handler.check(ListEntry("l", "Monday"))).status.message == ""
    assert (await handler.check(ListEntry("l", "Sunday"))).status.message == "come back on Monday"


async def test_the_python_pages_headers(tmp_path):
    *_, code = re.findall(r"```python\n(.*?)```", page("python"), re.DOTALL)
    *_, rules = re.findall(r"```yaml\n(.*?)```", page("python"), re.DOTALL)
    (tmp_path / "tier.py").write_text(code)
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "tier.yaml").write_text(rules.replace("/etc/mizzen/adapters", str(tmp_path)))
    engine = RuleEngine(FolderStore(tmp_path / "rules"))
    await engine.load()
    for user, request, response in (("jason", "gold", ["gold"]), ("eve", "basic", [])):
        asked = {"context.protocol": "http", "context.reporter.kind": "inbound", "request.headers": {"end-user": user}}
        verdict = await engine.check(DictBag(asked), {}, "")
        assert [(edit.name, edit.value) for edit in verdict.request_headers] == [("x-tier", request)]
        assert [edit.value for edit in verdict.response_headers] == response
    await engine.close()


async def test_the_sample_adapter_outside_of_mixer(build, tmp_path):
    adapter, handler_resource = list(yaml.safe_load_all((AUDIT / "audit.yaml").read_text()))[:2]
    address = f"127.0.0.1:{unused_port()}"
    out = tmp_path / "audit.jsonl"
    spec = {**handler_resource["spec"], "connection": {"address": address}, "params": {"file": str(out)}}
    params = params_of(adapter["spec"], spec)

    process = await _start(address)
    with pytest.raises(AdapterError, match="params: the adapter says: file: is required"):
        await build("remote", params_of(adapter["spec"], {**spec, "params": {}}))
    handler = await build("remote", params)
    variables = {"status": 200, "took": timedelta(seconds=1.5), "ip": ip_address("10.0.0.1"), "labels": {"a": "b"}}
    entry = LogEntry("call.logentry.istio-system", variables, datetime(2018, 7, 31, 12, tzinfo=UTC), "info")
    await handler.report([entry, entry])
    await _lines(out, 2)

    process.terminate()
    assert await process.wait() == 0
    process = await _start(address)
    await handler.report([entry])  # in a session of which the new process knows nothing
    lines = await _lines(out, 3)
    await handler.close()
    process.terminate()
    assert await process.wait() == 0
    assert [json.loads(line) for line in lines] == 3 * [
        {
            "instance": "call.logentry.istio-system", "time": "2018-07-31T12:00:00Z", "severity": "info",
            "ip": "10.0.0.1", "labels": {"a": "b"}, "status": 200, "took": "1.500s",
        }
    ]  # fmt: skip


async def _start(address: str) -> asyncio.subprocess.Process:
    command = (sys.executable, str(AUDIT / "audit_adapter.py"), "--address", address)
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    async with asyncio.timeout(30):
        assert await process.stdout.readline() == f"listening on {address}\n".encode()
    return process


async def _lines(path: Path, count: int) -> list[str]:
    async with asyncio.timeout(30):
        while len(lines := _read_lines(path)) < count:  # noqa: ASYNC110 - another process writes
            await asyncio.sleep(0.01)
    return lines


def _read_lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []
