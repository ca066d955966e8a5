"""A whole agent with a worker, against an ADS server that says what the test wants."""

from __future__ import annotations

import json
import os
import signal
import socket
from types import SimpleNamespace
from typing import Any

import pytest
from envoy.admin.v3 import clusters_pb2, config_dump_pb2, config_dump_shared_pb2
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import base_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.extensions.filters.http.jwt_authn.v3 import config_pb2 as jwt_pb2
from envoy.extensions.filters.http.router.v3 import router_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2
from fake_pilot import FakePilot
from google.protobuf import json_format

from mizzen.proto import status_pb2
from mizzen.proxy.app import servers
from mizzen.proxy.engine.control import Stats

CLUSTER = "inbound|9080||"


def cluster() -> Any:
    return json_format.ParseDict({"name": CLUSTER, "type": "STATIC"}, cluster_pb2.Cluster())


def listener(port: int, status: int = 418) -> Any:
    """Answers everything itself."""
    assert router_pb2
    route = {"match": {"prefix": "/"}, "direct_response": {"status": status}}
    manager = {
        "@type": f"type.googleapis.com/{hcm_pb2.HttpConnectionManager.DESCRIPTOR.full_name}",
        "stat_prefix": "web",
        "route_config": {"name": "web", "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        "http_filters": [
            {"name": "r", "typed_config": {"@type": f"type.googleapis.com/{router_pb2.Router.DESCRIPTOR.full_name}"}}
        ],
    }
    plain = {
        "name": f"127.0.0.1_{port}",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [{"filters": [{"name": "h", "typed_config": manager}]}],
    }
    return json_format.ParseDict(plain, listener_pb2.Listener())


async def configured(pilot: FakePilot, agent: SimpleNamespace, app: SimpleNamespace) -> int:
    """Send a first configuration and wait for its ACKs; the port that it serves."""
    port: int = app.unused_port()
    pilot.send(cluster(), nonce="c1")
    pilot.send(listener(port), nonce="l1")
    await app.until(lambda: bool(pilot.answers("Listener")))
    return port


async def test_ready_when_the_first_configuration_runs(
    pilot: FakePilot, agent: SimpleNamespace, app: SimpleNamespace
) -> None:
    before = await agent.get("/ready")
    assert (before.status, before.body) == (503, "PRE_INITIALIZING\n")
    port = await configured(pilot, agent, app)
    assert (await app.fetch("127.0.0.1", port)).status == 418
    for answer in (await agent.get("/ready"), await agent.get("/healthz/ready", port=agent.status)):
        assert (answer.status, answer.body) == (200, "LIVE\n")
    node = pilot.requests[0].node
    assert node.id == "sidecar~127.0.0.1~web-1.default~default.svc.cluster.local"
    assert node.metadata["MIZZEN_PROXY"] == "1"


async def test_a_listener_takes_and_gives_up_its_socket(
    pilot: FakePilot, agent: SimpleNamespace, app: SimpleNamespace
) -> None:
    port = await configured(pilot, agent, app)
    handed = listener(port)
    handed.bind_to_port.value = False
    for number, message, served in ((2, handed, False), (3, listener(port), True), (4, handed, False)):
        pilot.send(message, nonce=f"l{number}")
        await app.until(lambda number=number: len(pilot.answers("Listener")) == number)
        assert not pilot.answers("Listener")[-1].error_detail.message
        if served:
            assert (await app.fetch("127.0.0.1", port)).status == 418
        else:
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port), timeout=5)
    os.kill(agent.agent.state.workers.pids[0], signal.SIGKILL)
    await app.until(lambda: agent.agent.state.workers.restarts == 1 and bool(agent.agent.state.workers.pids))
    pilot.send(listener(port), nonce="l5")
    await app.until(lambda: len(pilot.answers("Listener")) == 5)
    assert (await app.fetch("127.0.0.1", port)).status == 418


async def test_a_bad_change_is_refused_and_the_good_one_serves(
    pilot: FakePilot, agent: SimpleNamespace, app: SimpleNamespace
) -> None:
    port = await configured(pilot, agent, app)
    bad = listener(port)
    bad.filter_chains[0].ClearField("filters")
    pilot.send(bad, nonce="l2")
    await app.until(lambda: len(pilot.answers("Listener")) == 2)
    nack = pilot.answers("Listener")[1]
    assert nack.response_nonce == "l2"
    assert nack.error_detail.message == f"Listener 127.0.0.1_{port}: filter_chains[0].filters: is empty"
    assert (await app.fetch("127.0.0.1", port)).status == 418


async def test_a_port_that_becomes_free_is_taken_and_acknowledged(
    pilot: FakePilot, agent: SimpleNamespace, app: SimpleNamespace
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port: int = other.getsockname()[1]
        pilot.send(listener(port), nonce="l1")
        await app.until(lambda: len(pilot.answers("Listener")) == 1)
        reason = f"Listener 127.0.0.1_{port}: address 127.0.0.1:{port} is in use"
        assert pilot.answers("Listener")[0].error_detail.message == reason
        dump = json.loads((await agent.get("/config_dump?resource=dynamic_listeners")).body)
        assert dump["configs"][0]["error_state"] == {"details": reason}
    await app.until(lambda: len(pilot.answers("Listener")) == 2)
    ack = pilot.answers("Listener")[1]
    assert (ack.response_nonce, ack.HasField("error_detail")) == ("l1", False)
    assert (await app.fetch("127.0.0.1", port)).status == 418


async def test_a_listener_that_was_never_accepted_is_shown_with_its_error(
    pilot: FakePilot, agent: SimpleNamespace, app: SimpleNamespace
) -> None:
    bad = listener(app.unused_port())
    bad.filter_chains[0].ClearField("filters")
    pilot.send(bad, nonce="l1")
    await app.until(lambda: len(pilot.answers("Listener")) == 1)
    (shown,) = json.loads((await agent.get("/config_dump?resource=dynamic_listeners")).body)["configs"]
    assert shown["error_state"] == {"details": f"Listener {bad.name}: filter_chains[0].filters: is empty"}


async def test_pages(pilot: FakePilot, agent: SimpleNamespace, app: SimpleNamespace) -> None:
    port = await configured(pilot, agent, app)
    await app.fetch("127.0.0.1", port)
    assert "http.web.downstream_rq_total: 1\n" in (await agent.get("/stats?filter=rq_total")).body
    assert "server.live: 1\n" in (await agent.get("/stats?usedonly")).body
    for answer in (
        await agent.get("/stats/prometheus"),
        await agent.get("/stats?format=prometheus"),
        await agent.get("/stats/prometheus", port=agent.prometheus),
    ):
        assert 'envoy_http_downstream_rq_total{envoy_http_conn_manager_prefix="web"} 1\n' in answer.body
    assert (await agent.get("/listeners")).body == f"127.0.0.1_{port}::127.0.0.1:{port}\n"
    info = json.loads((await agent.get("/server_info")).body)
    assert (info["state"], info["node"]["cluster"]) == ("LIVE", "web.default")
    assert (await agent.get("/stats?filter=(")).status == 400
    assert "/config_dump" in (await agent.get("/help")).body


async def test_dumps_are_envoys_messages(pilot: FakePilot, agent: SimpleNamespace, app: SimpleNamespace) -> None:
    port = await configured(pilot, agent, app)
    dump = json.loads((await agent.get("/config_dump")).body)
    sections = {section["@type"].rpartition(".")[2]: section for section in dump["configs"]}
    ours = sections.pop("ProxyStatus")
    assert ours["unsupported"] == []
    message = json_format.ParseDict({"configs": list(sections.values())}, config_dump_pb2.ConfigDump())
    listeners = config_dump_shared_pb2.ListenersConfigDump()
    assert any(packed.Unpack(listeners) for packed in message.configs)
    (active,) = listeners.dynamic_listeners
    shown = listener_pb2.Listener()
    assert active.active_state.listener.Unpack(shown)
    assert shown == listener(port)
    (chosen,) = json.loads((await agent.get("/config_dump?resource=dynamic_active_clusters")).body)["configs"]
    assert chosen["cluster"]["name"] == CLUSTER
    assert (await agent.get("/config_dump?resource=nothing")).status == 404
    clusters = (await agent.get("/clusters?format=json")).body
    assert json_format.Parse(clusters, clusters_pb2.Clusters()).cluster_statuses[0].name == CLUSTER


@pytest.mark.parametrize(("key", "is_shown"), [({"kty": "oct", "k": "c2VjcmV0"}, False), ({"kty": "RSA"}, True)])
async def test_no_page_shows_what_signs_tokens(
    key: dict[str, str], is_shown: bool, pilot: FakePilot, agent: SimpleNamespace, app: SimpleNamespace
) -> None:
    keys = json.dumps({"keys": [key]})
    message = listener(app.unused_port())
    packed = message.filter_chains[0].filters[0].typed_config
    manager = hcm_pb2.HttpConnectionManager.FromString(packed.value)
    tokens = jwt_pb2.JwtAuthentication()
    tokens.providers["p"].local_jwks.inline_string = keys
    filters = [manager.http_filters.add(name="jwt"), manager.http_filters.add()]
    filters[0].typed_config.Pack(tokens)
    filters[1].CopyFrom(manager.http_filters[0])
    del manager.http_filters[0]
    packed.Pack(manager)
    pilot.send(message, nonce="l1")
    await app.until(lambda: bool(pilot.answers("Listener")))
    body = (await agent.get("/config_dump")).body
    assert ("c2VjcmV0" in body, json.dumps(keys) in body) == (False, is_shown)
    assert ("[redacted]" in body) is not is_shown


async def test_what_has_no_effect_is_shown_and_reported(
    pilot: FakePilot, agent: SimpleNamespace, app: SimpleNamespace
) -> None:
    port = app.unused_port()
    special = listener(port)
    special.tcp_backlog_size.value = 7
    pilot.send(cluster(), nonce="c1")
    pilot.send(special, nonce="l1")
    await app.until(lambda: any(item.type_url.endswith("ProxyStatus") for item in pilot.requests))
    field = "envoy.config.listener.v3.Listener.tcp_backlog_size"
    assert json.loads((await agent.get("/unsupported")).body) == {
        "unsupported": [{"field": field, "origin": "", "count": 1}]
    }
    (report,) = [item for item in pilot.requests if item.type_url.endswith("ProxyStatus")]
    status = status_pb2.ProxyStatus()
    assert report.error_detail.details[0].Unpack(status)
    assert [item.field for item in status.unsupported] == [field]


async def test_commands_need_post(agent: SimpleNamespace) -> None:
    for path in ("/logging", "/quitquitquit", "/drain_listeners"):
        answer = await agent.get(path)
        assert (answer.status, answer.headers["Allow"]) == (405, "POST")
    assert not agent.lifecycle.stopping
    await agent.get("/quitquitquit", "POST")
    assert agent.lifecycle.reason == "/quitquitquit"


async def test_log_levels(agent: SimpleNamespace, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("WARNING")  # put back after the test
    answer = await agent.get("/logging?level=debug", "POST")
    assert answer.body == "active loggers:\n  agent: debug\n  workers: debug\n"
    assert (await agent.get("/logging", "POST")).body == answer.body
    assert (await agent.get("/logging?level=loud", "POST")).status == 400


async def test_a_dying_worker_takes_at_most_a_second_of_its_counters_along(
    pilot: FakePilot, agent: SimpleNamespace, app: SimpleNamespace
) -> None:
    port = await configured(pilot, agent, app)
    workers = agent.agent.state.workers
    await app.fetch("127.0.0.1", port)
    (slot,) = workers._slots
    await app.until(lambda: slot._last.counters.get(("http", "web", "downstream_rq_total")) == 1)
    os.kill(workers.pids[0], signal.SIGKILL)
    await app.until(lambda: workers.restarts == 1 and bool(workers.pids))
    assert "http.web.downstream_rq_total: 1\n" in (await agent.get("/stats?filter=rq_total")).body


async def test_a_fault_in_counting_is_not_the_end(
    pilot: FakePilot,
    agent: SimpleNamespace,
    app: SimpleNamespace,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    stats = agent.agent.state.workers.stats
    asked = 0

    async def stumble() -> Stats:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise LookupError("unforeseen")
        return await stats()  # type: ignore[no-any-return]

    monkeypatch.setattr(agent.agent.state.workers, "stats", stumble)
    await app.until(lambda: asked >= 2)
    assert "unforeseen" in caplog.text


async def test_drained_listeners_take_no_more(pilot: FakePilot, agent: SimpleNamespace, app: SimpleNamespace) -> None:
    port = await configured(pilot, agent, app)
    await agent.get("/drain_listeners?graceful", "POST")
    answer = await app.fetch("127.0.0.1", port)
    assert (answer.status, answer.headers["connection"]) == (418, "close")
    await app.until(lambda: not agent.agent.state.deliverer.listeners)
    with pytest.raises(ConnectionRefusedError):
        await app.fetch("127.0.0.1", port)


async def test_only_inbound_listeners_are_drained_when_that_is_wished(
    pilot: FakePilot, agent: SimpleNamespace, app: SimpleNamespace
) -> None:
    inbound, outbound = listener(app.unused_port()), listener(app.unused_port())
    inbound.traffic_direction = base_pb2.INBOUND
    outbound.traffic_direction = base_pb2.OUTBOUND
    pilot.send(inbound, outbound, nonce="l1")
    await app.until(lambda: bool(pilot.answers("Listener")))
    assert (await agent.get("/drain_listeners?skip_exit", "POST")).status == 400
    await agent.get("/drain_listeners?graceful&skip_exit", "POST")
    await agent.get("/drain_listeners?inboundonly", "POST")
    assert agent.agent.state.deliverer.listeners.keys() == {outbound.name}
    pilot.send(inbound, outbound, nonce="l2")
    await app.until(lambda: len(pilot.answers("Listener")) == 2)
    assert agent.agent.state.deliverer.listeners.keys() == {outbound.name}


async def test_a_drain_goes_on_when_its_request_has_waited_long_enough(
    pilot: FakePilot, agent: SimpleNamespace, app: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    await configured(pilot, agent, app)
    monkeypatch.setattr(servers, "ANSWER_SECONDS", 0.05)
    deliverer = agent.agent.state.deliverer
    async with deliverer._busy:
        assert (await agent.get("/drain_listeners", "POST")).status == 503
    await app.until(lambda: not deliverer.listeners)


async def test_pilot_gone_traffic_stays(pilot: FakePilot, agent: SimpleNamespace, app: SimpleNamespace) -> None:
    port = await configured(pilot, agent, app)
    await pilot.close()
    await app.until(lambda: not agent.agent.state.client.connected)
    assert (await app.fetch("127.0.0.1", port)).status == 418
    assert (await agent.get("/ready")).status == 200
