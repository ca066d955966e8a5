"""HTTPS through a whole agent with a worker: certificates from Pilot and from files, and what pages show of them."""

from __future__ import annotations

import asyncio
import http.client
import json
import ssl
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from envoy.admin.v3 import config_dump_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.extensions.filters.http.router.v3 import router_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2
from envoy.extensions.transport_sockets.tls.v3 import secret_pb2, tls_pb2
from fake_pilot import FakePilot
from google.protobuf import json_format
from tls_authority import TestAuthority

from mizzen.proxy.engine.tls_plan import SecretPlan

ROOT = TestAuthority()
TLS = f"type.googleapis.com/{tls_pb2.DownstreamTlsContext.DESCRIPTOR.full_name}"
ADS = {"ads": {}, "resource_api_version": "V3"}
AGENT = {"api_config_source": {"api_type": "GRPC", "grpc_services": [{"envoy_grpc": {"cluster_name": "sds-grpc"}}]}}


def https(port: int, name: str, source: dict[str, Any]) -> Any:
    """A listener that answers 418 itself, with this certificate."""
    route = {"match": {"prefix": "/"}, "direct_response": {"status": 418}}
    router = {"@type": f"type.googleapis.com/{router_pb2.Router.DESCRIPTOR.full_name}"}
    manager = {
        "@type": f"type.googleapis.com/{hcm_pb2.HttpConnectionManager.DESCRIPTOR.full_name}",
        "stat_prefix": "web",
        "route_config": {"name": "web", "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        "http_filters": [{"name": "r", "typed_config": router}],
    }
    common = {"tls_certificate_sds_secret_configs": [{"name": name, "sds_config": source}]}
    chain = {
        "filters": [{"name": "hcm", "typed_config": manager}],
        "transport_socket": {"name": "tls", "typed_config": {"@type": TLS, "common_tls_context": common}},
    }
    plain = {
        "name": f"127.0.0.1_{port}",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [chain],
    }
    return json_format.ParseDict(plain, listener_pb2.Listener())


def secret(name: str, plan: SecretPlan) -> Any:
    message = secret_pb2.Secret(name=name)
    message.tls_certificate.certificate_chain.inline_bytes = plan.chain.encode()
    message.tls_certificate.private_key.inline_bytes = plan.key.encode()
    return message


async def shown_certificate(port: int) -> str:
    """The certificate of the server, after a good request; "" when there was none."""

    def ask() -> str:
        context = ssl.create_default_context(cadata=ROOT.roots().roots)
        connection = http.client.HTTPSConnection("localhost", port, timeout=10, context=context)
        try:
            connection.request("GET", "/", headers={"Connection": "close"})
            shown = connection.sock.getpeercert(True)
            assert connection.getresponse().status == 418
        except OSError:
            return ""
        finally:
            connection.close()
        return ssl.DER_cert_to_PEM_cert(shown)

    return await asyncio.to_thread(ask)


def is_leaf(shown: str, plan: SecretPlan) -> bool:
    return ssl.PEM_cert_to_DER_cert(shown) == ssl.PEM_cert_to_DER_cert(plan.chain) if shown else False


async def eventually_shows(port: int, plan: SecretPlan) -> None:
    async with asyncio.timeout(30):
        while not is_leaf(await shown_certificate(port), plan):  # noqa: ASYNC110 - files have no events here
            await asyncio.sleep(0.02)


async def test_a_certificate_from_pilot_and_the_next_one(
    pilot: FakePilot, agent: SimpleNamespace, app: SimpleNamespace
) -> None:
    port, first, second = app.unused_port(), ROOT.server("localhost"), ROOT.server("localhost")
    assert "server.days_until_first_cert_expiring: 4294967295\n" in (await agent.get("/stats")).body
    pilot.send(https(port, "kubernetes://shop", ADS), nonce="l")
    await app.until(lambda: any(list(r.resource_names_subscribe) == ["kubernetes://shop"] for r in pilot.requests))
    assert pilot.answers("Listener") == []
    pilot.send(secret("kubernetes://shop", first), nonce="s1")
    await app.until(lambda: pilot.answers("Listener") and pilot.answers("Secret"))
    assert is_leaf(await shown_certificate(port), first)
    assert "server.days_until_first_cert_expiring: 0\n" in (await agent.get("/stats")).body  # less than one
    pilot.send(secret("kubernetes://shop", second), nonce="s2")
    await app.until(lambda: len(pilot.answers("Secret")) == 2)
    assert is_leaf(await shown_certificate(port), second)


async def test_a_certificate_in_files_and_the_next_one(
    pilot: FakePilot, agent: SimpleNamespace, app: SimpleNamespace, tmp_path: Path
) -> None:
    port, first, second = app.unused_port(), ROOT.server("localhost"), ROOT.server("localhost")
    crt, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    crt.write_text(first.chain)
    key.write_text(first.key)
    name = f"file-cert:{crt}~{key}"
    pilot.send(https(port, name, AGENT), nonce="l")
    await app.until(lambda: pilot.answers("Listener"))
    assert is_leaf(await shown_certificate(port), first)
    crt.write_text(second.chain)
    key.write_text(second.key)
    await eventually_shows(port, second)


async def test_a_listener_whose_files_come_later(
    pilot: FakePilot, agent: SimpleNamespace, app: SimpleNamespace, tmp_path: Path
) -> None:
    port, plan = app.unused_port(), ROOT.server("localhost")
    crt, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    pilot.send(https(port, f"file-cert:{crt}~{key}", AGENT), nonce="l")
    await app.until(lambda: pilot.answers("Listener"))
    assert await shown_certificate(port) == ""
    dump = json.loads((await agent.get("/config_dump?resource=dynamic_warming_secrets")).body)
    assert "No such file" in dump["configs"][0]["error_state"]["details"]
    crt.write_text(plan.chain)
    key.write_text(plan.key)
    await eventually_shows(port, plan)


async def test_no_page_shows_a_key(pilot: FakePilot, agent: SimpleNamespace, app: SimpleNamespace) -> None:
    port, plan = app.unused_port(), ROOT.server("localhost")
    pilot.send(https(port, "kubernetes://shop", ADS), nonce="l")
    pilot.send(secret("kubernetes://shop", plan), nonce="s")
    await app.until(lambda: pilot.answers("Listener"))
    body = (await agent.get("/config_dump")).body
    (section,) = (each for each in json.loads(body)["configs"] if each["@type"].endswith(".SecretsConfigDump"))
    (entry,) = section["dynamic_active_secrets"]
    assert (entry["name"], entry["version_info"]) == ("kubernetes://shop", "v1")
    assert "PRIVATE" not in body
    packed = json_format.ParseDict(section | {"@type": section["@type"]}, config_dump_pb2.ConfigDump().configs.add())
    assert packed.type_url.endswith("SecretsConfigDump")
    assert entry["secret"]["tls_certificate"]["private_key"] == {"inline_string": "[redacted]"}
