"""The port of mutual TLS with real gRPC clients: with a certificate, without, of another mesh, and as somebody else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import Any

import grpc
import pytest
from envoy.service.accesslog.v3 import als_pb2
from envoy.service.auth.v3 import external_auth_pb2
from mixer_authority import HOST, MIXER, REVIEWS, Authority
from prometheus_client import CollectorRegistry

from mizzen.attributes.batch import ReportEncoder
from mizzen.attributes.compressed import encode
from mizzen.identity.spiffe import SpiffeId
from mizzen.mixer.server.calls import Calls
from mizzen.mixer.server.peer import Watch
from mizzen.mixer.server.secure import SecureDoor
from mizzen.mixer.server.server import MixerServer
from mizzen.proto.mixer_pb2 import CheckRequest, CheckResponse, ReportResponse
from mizzen.runtime.address import Address

SECONDS = 10
UID = "kubernetes://reviews-1.default"
INBOUND = {"context.reporter.kind": "inbound", "context.reporter.uid": UID, "destination.uid": UID}
FORGED = INBOUND | {"context.reporter.uid": "kubernetes://bank-1.shop"}


@dataclass
class Site:
    """A server, and the authority of its mesh."""

    server: MixerServer
    door: SecureDoor
    authority: Authority

    def connect(self, credentials: grpc.ChannelCredentials) -> grpc.aio.Channel:
        options = (("grpc.ssl_target_name_override", HOST), ("grpc.use_local_subchannel_pool", 1))
        return grpc.aio.secure_channel(str(self.server.address), credentials, options)

    async def check(
        self, credentials: grpc.ChannelCredentials, attributes: dict[str, Any] = INBOUND
    ) -> tuple[str, str]:
        """The code of the call and what it says."""
        async with self.connect(credentials) as channel:
            return await check(channel, attributes)


async def check(channel: grpc.aio.Channel, attributes: dict[str, Any] = INBOUND) -> tuple[str, str]:
    call = channel.unary_unary("/istio.mixer.v1.Mixer/Check", CheckRequest.SerializeToString, CheckResponse.FromString)
    return await outcome(call(CheckRequest(attributes=encode(attributes)), timeout=SECONDS))


async def outcome(call: Any) -> tuple[str, str]:
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return error.code().name, error.details() or ""
    return "OK", ""


@pytest.fixture
async def site(policy: Any, make_calls: Callable[..., Calls]) -> AsyncIterator[Site]:
    authority, calls = Authority(), make_calls()
    watch = Watch(calls.metrics.impostors, lambda: 0.0)
    door = SecureDoor({"cluster.local"}, authority.proof(MIXER, hosts=(HOST,)), watch)
    server = MixerServer(policy, calls, door)
    await server.start(Address("127.0.0.1", 0))
    yield Site(server, door, authority)
    await server.close()


async def test_a_workload_of_the_mesh_is_served(site: Site, policy: Any) -> None:
    assert await site.check(site.authority.proof(REVIEWS).for_channels()) == ("OK", "")
    assert policy.checked[0][0].values == INBOUND


async def test_without_a_certificate_nobody_is(site: Site, policy: Any) -> None:
    code, _ = await site.check(grpc.ssl_channel_credentials(site.authority.roots.encode()))
    assert code == "UNAVAILABLE"
    async with grpc.aio.insecure_channel(str(site.server.address)) as channel:
        assert (await check(channel))[0] == "UNAVAILABLE"
    assert not policy.checked


async def test_a_certificate_of_another_root_is_none(site: Site, policy: Any) -> None:
    stranger = Authority().proof(REVIEWS, roots=site.authority.roots)
    assert (await site.check(stranger.for_channels()))[0] == "UNAVAILABLE"
    assert not policy.checked


@pytest.mark.parametrize(
    ("identities", "expected"),
    [
        ((SpiffeId("other.example", "default", "reviews"),), ("PERMISSION_DENIED", "is of another mesh")),
        ((REVIEWS, MIXER), ("UNAUTHENTICATED", "the certificate has 2 URIs")),
    ],
)
async def test_the_root_alone_is_not_enough(
    site: Site, policy: Any, identities: tuple[SpiffeId, ...], expected: tuple[str, str]
) -> None:
    code, details = await site.check(site.authority.proof(*identities).for_channels())
    assert (code, expected[1] in details) == (expected[0], True)
    assert not policy.checked


async def test_a_check_for_another_workload_is_refused_and_counted(
    site: Site, policy: Any, registry: CollectorRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    code, details = await site.check(site.authority.proof(REVIEWS).for_channels(), FORGED)
    assert code == "PERMISSION_DENIED"
    assert "context.reporter.uid must be a Pod of namespace default" in details
    assert not policy.checked
    assert registry.get_sample_value("mizzen_mixer_impostors_total") == 1
    assert "spiffe://cluster.local/ns/default/sa/reviews speaks for another" in caplog.text


async def test_of_a_report_the_senders_own_entries_count(site: Site, policy: Any, registry: CollectorRegistry) -> None:
    encoder = ReportEncoder()
    for attributes in (INBOUND | {"request.path": "/a"}, FORGED, INBOUND | {"request.path": "/b"}, {}):
        encoder.add(attributes)
    async with site.connect(site.authority.proof(REVIEWS).for_channels()) as channel:
        report = channel.unary_unary("/istio.mixer.v1.Mixer/Report", None, ReportResponse.FromString)
        code, details = await outcome(report(encoder.finish(), timeout=SECONDS))
    assert code == "PERMISSION_DENIED"
    assert "bank-1.shop" in details
    assert [bag.get("request.path") for bag in policy.reports[0]] == ["/a", "/b"]
    assert registry.get_sample_value("mizzen_mixer_impostors_total") == 2


@pytest.mark.parametrize(("uid", "expected"), [(UID, "OK"), ("kubernetes://bank-1.shop", "PERMISSION_DENIED")])
async def test_an_envoy_asks_for_itself_alone(site: Site, uid: str, expected: str) -> None:
    request = external_auth_pb2.CheckRequest()
    request.attributes.context_extensions.update({"context.reporter.kind": "inbound", "context.reporter.uid": uid})
    request.attributes.destination.principal = str(REVIEWS)
    async with site.connect(site.authority.proof(REVIEWS).for_channels()) as channel:
        method = channel.unary_unary(
            "/envoy.service.auth.v3.Authorization/Check",
            external_auth_pb2.CheckRequest.SerializeToString,
            external_auth_pb2.CheckResponse.FromString,
        )
        assert (await outcome(method(request, timeout=SECONDS)))[0] == expected


async def test_an_envoy_reports_for_itself_alone(site: Site, policy: Any, registry: CollectorRegistry) -> None:
    message = als_pb2.StreamAccessLogsMessage()
    message.identifier.node.id = "sidecar~10.1.1.1~reviews-1.default~default.svc.cluster.local"
    for path, namespace in (("/a", "default"), ("/b", "shop")):
        entry = message.http_logs.log_entry.add()
        entry.request.path = path
        tags = {"context.reporter.kind": "inbound", "destination.namespace": namespace}
        entry.common_properties.custom_tags.update(tags)
    async with site.connect(site.authority.proof(REVIEWS).for_channels()) as channel:
        stream = channel.stream_unary(
            "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs",
            als_pb2.StreamAccessLogsMessage.SerializeToString,
            als_pb2.StreamAccessLogsResponse.FromString,
        )(timeout=SECONDS)
        await stream.write(message)
        await stream.done_writing()
        await stream
    assert [bag.get("request.path") for bag in policy.reports[0]] == ["/a"]
    assert registry.get_sample_value("mizzen_mixer_access_log_entries_total", {"outcome": "refused"}) == 1


async def test_a_stream_of_another_mesh_is_refused(site: Site) -> None:
    stranger = site.authority.proof(SpiffeId("other.example", "default", "reviews"))
    async with site.connect(stranger.for_channels()) as channel:
        stream = channel.stream_unary(
            "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs",
            als_pb2.StreamAccessLogsMessage.SerializeToString,
            als_pb2.StreamAccessLogsResponse.FromString,
        )(timeout=SECONDS)
        assert (await outcome(stream))[0] == "PERMISSION_DENIED"


async def test_a_revoked_certificate_counts_no_more_even_on_an_open_connection(site: Site) -> None:
    revoked, good = site.authority.proof(REVIEWS), site.authority.proof(REVIEWS)
    async with site.connect(revoked.for_channels()) as open_connection:
        assert await check(open_connection) == ("OK", "")
        lists = site.authority.revoking(revoked.credentials.leaf)
        site.door.renew(replace(site.authority.proof(MIXER, hosts=(HOST,)), revoked=lists))
        nonsense = "-----BEGIN X509 CRL-----\n!\n-----END X509 CRL-----"
        for _ in range(2):
            code, details = await check(open_connection)
            assert (code, "does not count: it was revoked" in details) == ("UNAUTHENTICATED", True)
            site.door.renew(replace(site.authority.proof(MIXER, hosts=(HOST,)), revoked=nonsense))  # is passed over
        assert await site.check(good.for_channels()) == ("OK", "")


async def test_new_connections_see_a_new_certificate_and_open_ones_stay(site: Site) -> None:
    """Of a new authority: clients that trust the old one alone do not come in any more, but nobody is thrown out."""
    new = Authority("new")
    both = site.authority.roots + new.roots
    client = site.authority.proof(REVIEWS)
    async with site.connect(client.for_channels()) as before:
        assert await check(before) == ("OK", "")
        site.door.renew(new.proof(MIXER, hosts=(HOST,), roots=both))
        assert await check(before) == ("OK", "")
        assert (await site.check(client.for_channels()))[0] == "UNAVAILABLE"
        assert await site.check(site.authority.proof(REVIEWS, roots=both).for_channels()) == ("OK", "")
        site.door.renew(new.proof(MIXER, hosts=(HOST,)))
        assert (await site.check(site.authority.proof(REVIEWS, roots=both).for_channels()))[0] == "UNAVAILABLE"
        assert await site.check(new.proof(REVIEWS).for_channels()) == ("OK", "")
        assert await check(before) == ("OK", "")
