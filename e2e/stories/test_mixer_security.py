"""Mixer's port of mutual TLS: proxies use it, and whoever else comes may speak for himself at most."""

from __future__ import annotations

import asyncio
import http.client
from contextlib import closing
from pathlib import Path

import grpc
import pytest
from support.identity import certified
from support.mesh import REVIEWS, Mesh, eventually, get

from mizzen.attributes.compressed import encode
from mizzen.proto.mixer_pb2 import CheckRequest, CheckResponse

pytestmark = pytest.mark.runtime("local", reason="tokens of workloads are at hand there")
HOST = "istio-policy.istio-system.svc.cluster.local"
SECONDS = 10
RECEIVED = "grpc_server_msg_received_total"


def mixers(name: str) -> float:
    """A number of Mixer's, over all labels."""
    monitoring = http.client.HTTPConnection("127.0.1.2", 15014, timeout=SECONDS)
    with closing(monitoring):
        lines = get("/metrics", connection=monitoring).body.decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith((f"{name} ", f"{name}{{")))


def connections(port: int) -> int:
    """How many clients have one to this port of Mixer's."""
    tables = [Path(f"/proc/net/{name}").read_text().splitlines()[1:] for name in ("tcp", "tcp6")]
    established = [words for table in tables for words in map(str.split, table) if words[3] == "01"]
    return sum(words[2].endswith(f"0201007F:{port:04X}") for words in established)


async def asked(credentials: grpc.ChannelCredentials, pod: str) -> str:
    """The code of a check in the name of a Pod."""
    uid = f"kubernetes://{pod}"
    attributes = {"context.reporter.kind": "inbound", "context.reporter.uid": uid, "destination.uid": uid}
    options = (("grpc.ssl_target_name_override", HOST),)
    async with grpc.aio.secure_channel("127.0.1.2:15004", credentials, options) as channel:
        call = channel.unary_unary(
            "/istio.mixer.v1.Mixer/Check", CheckRequest.SerializeToString, CheckResponse.FromString
        )
        try:
            await call(CheckRequest(attributes=encode(attributes)), timeout=SECONDS)
        except grpc.aio.AioRpcError as error:
            return error.code().name
    return "OK"


def test_who_shows_no_certificate_is_not_heard_and_nobody_speaks_for_another(mesh: Mesh) -> None:
    async def story() -> None:
        proof = await certified(mesh.home, "reviews-v1-1")
        assert str(proof.credentials.identity) == "spiffe://cluster.local/ns/default/sa/bookinfo-reviews"
        mine, nothing = proof.for_channels(), grpc.ssl_channel_credentials(proof.roots.encode())
        assert await asked(nothing, "reviews-v1-1.default") == "UNAVAILABLE"
        assert await asked(mine, "reviews-v1-1.default") == "OK"
        assert await asked(mine, "istio-ingressgateway-1.istio-system") == "PERMISSION_DENIED"

    refused = mixers("mizzen_mixer_impostors_total")
    asyncio.run(story())
    assert mixers("mizzen_mixer_impostors_total") == refused + 1


def test_proxies_speak_mutual_tls_with_mixer_and_none_is_taken_for_another(mesh: Mesh) -> None:
    refused = mixers("mizzen_mixer_impostors_total")
    told = mixers(RECEIVED)
    assert get(REVIEWS).status == 200
    eventually(lambda: mixers(RECEIVED) > told, "reports at Mixer")
    assert mixers("mizzen_mixer_impostors_total") == refused
    assert (connections(15004) > 0, connections(9091)) == (True, 0)
