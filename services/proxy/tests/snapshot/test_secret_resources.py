"""Secrets over ADS: asked for because something names them, waited for, kept, and told of when they are no good."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from envoy.config.core.v3 import base_pb2
from envoy.extensions.transport_sockets.tls.v3 import secret_pb2, tls_pb2
from google.protobuf.json_format import ParseDict
from tls_authority import TestAuthority

from mizzen.proxy.engine.tls_plan import SecretPlan
from mizzen.proxy.snapshot.ads_session import AdsSession
from mizzen.proxy.snapshot.compiler import compile_resource
from mizzen.proxy.snapshot.result import Compiled
from mizzen.proxy.snapshot.store import SECRET_SECONDS, TYPE_URLS

Make = dict[str, Callable[..., Any]]
ROOT = TestAuthority()
NAME = "kubernetes://shop"
ADS = {"ads": {}, "resource_api_version": "V3"}


def secret(plan: SecretPlan, name: str = NAME) -> Any:
    message = secret_pb2.Secret(name=name)
    message.tls_certificate.certificate_chain.inline_bytes = plan.chain.encode()
    message.tls_certificate.private_key.inline_bytes = plan.key.encode()
    return message


def context(kind: Any, *names: str) -> Any:
    """A TLS context with this certificate."""
    common = {"tls_certificate_sds_secret_configs": [{"name": name, "sds_config": ADS} for name in names]}
    return ParseDict({"common_tls_context": common}, kind())


def https(make: Make, name: str = NAME, listener: str = "l") -> Any:
    hosts = [{"name": "all", "domains": ["*"]}]
    message = make["listener"](listener, route_config={"name": "r", "virtual_hosts": hosts})
    message.filter_chains[0].transport_socket.name = "tls"
    message.filter_chains[0].transport_socket.typed_config.Pack(context(tls_pb2.DownstreamTlsContext, name))
    return message


class Conversation:
    """A session, and workers that take everything."""

    def __init__(self) -> None:
        self.session = AdsSession(base_pb2.Node(id="router~127.1.0.1~a.b~c"))
        self.session.open()
        self.plans: list[str] = []

    def hear(self, response: Any) -> list[tuple[str, str, str]]:
        self.session.receive(response)
        return self.deliver()

    def deliver(self) -> list[tuple[str, str, str]]:
        """(type, nonce answered and what is wrong, names subscribed and unsubscribed) of each request."""
        delivery = self.session.take()
        if delivery is not None:
            self.plans += [plan.name for plan in delivery.plans]
            self.plans += [f"-{name}" for _, name in delivery.removed]
            self.session.delivered(delivery, (), 0.0)
        return [
            (
                request.type_url.rpartition(".")[2],
                request.response_nonce + request.error_detail.message,
                ",".join([*request.resource_names_subscribe, *(f"-{n}" for n in request.resource_names_unsubscribe)]),
            )
            for request in self.session.requests()
        ]


def test_a_listener_waits_for_its_secret_and_so_does_its_ack(make: Make) -> None:
    talk = Conversation()
    assert talk.hear(make["response"]("1", https(make))) == [("Secret", "", NAME)]
    assert talk.plans == []
    answers = talk.hear(make["response"]("2", secret(ROOT.secret("shop"))))
    assert answers == [("Listener", "1", ""), ("Secret", "2", "")]
    assert talk.plans == [NAME, "l"]
    assert talk.session.open()[-1].resource_names_subscribe == [NAME]


def test_a_listener_goes_on_without_a_secret_that_nobody_has(make: Make) -> None:
    talk = Conversation()
    talk.hear(make["response"]("1", https(make)))
    url = TYPE_URLS["secret"]
    assert talk.hear(make["response"]("2", removed=(NAME,), kind=url)) == [("Listener", "1", ""), ("Secret", "2", "")]
    assert talk.plans == ["l"]


def test_a_listener_does_not_wait_for_ever(make: Make) -> None:
    talk = Conversation()
    talk.hear(make["response"]("1", https(make)))
    assert not talk.session.retry(100.0)
    assert not talk.session.retry(100.0 + SECRET_SECONDS - 0.1)
    assert talk.session.retry(100.0 + SECRET_SECONDS)
    assert talk.deliver() == [("Listener", "1", "")]
    assert talk.plans == ["l"]


def test_a_secret_that_goes_bad_leaves_the_last_good_one(make: Make) -> None:
    talk = Conversation()
    talk.hear(make["response"]("1", https(make)))
    talk.hear(make["response"]("2", secret(ROOT.secret("shop"))))
    bad = secret(ROOT.secret("shop"))
    bad.tls_certificate.private_key.inline_bytes = ROOT.secret("other").key.encode()
    ((kind, answer, _),) = talk.hear(make["response"]("3", bad))
    assert kind == "Secret"
    assert answer.startswith(f"3Secret {NAME}: tls_certificate: is no certificate with its key in PEM")
    assert "PRIVATE" not in answer
    assert talk.plans == [NAME, "l"]
    talk.hear(make["response"]("4", secret(ROOT.secret("shop"))))
    assert talk.plans == [NAME, "l", NAME]


def test_a_secret_that_is_taken_away_stays_while_it_is_used(make: Make) -> None:
    talk = Conversation()
    talk.hear(make["response"]("1", https(make)))
    talk.hear(make["response"]("2", secret(ROOT.secret("shop"))))
    talk.hear(make["response"]("3", removed=(NAME,), kind=TYPE_URLS["secret"]))
    assert talk.plans == [NAME, "l"]
    answers = talk.hear(make["response"]("4", removed=("l",), kind=TYPE_URLS["listener"]))
    assert answers == [("Listener", "4", ""), ("Secret", "", f"-{NAME}")]
    assert talk.plans == [NAME, "l", "-l", f"-{NAME}"]


def test_routes_wait_for_clusters_that_wait_for_their_secrets(make: Make) -> None:
    cluster = make["cluster"]("api", type="STATIC", eds_cluster_config=None)
    cluster.transport_socket.name = "tls"
    cluster.transport_socket.typed_config.Pack(context(tls_pb2.UpstreamTlsContext, NAME))
    talk = Conversation()
    assert talk.hear(make["response"]("1", cluster)) == [("Secret", "", NAME)]
    talk.hear(make["response"]("2", make["listener"]("l")))
    talk.hear(make["response"]("3", make["routes"]("routes", "api")))
    assert talk.plans == []
    talk.hear(make["response"]("4", secret(ROOT.secret("shop"))))
    assert talk.plans == [NAME, "api", "routes", "l"]


def test_the_agents_own_secrets_are_not_asked_of_pilot(make: Make) -> None:
    agent = {"api_config_source": {"grpc_services": [{"envoy_grpc": {"cluster_name": "sds-grpc"}}]}}
    message = https(make)
    own = tls_pb2.DownstreamTlsContext()
    config = own.common_tls_context.tls_certificate_sds_secret_configs.add(name="default")
    ParseDict(agent, config.sds_config)
    message.filter_chains[0].transport_socket.typed_config.Pack(own)
    talk = Conversation()
    assert talk.hear(make["response"]("1", message)) == [("Listener", "1", "")]
    assert talk.session.store.secret_names() == {"default"}


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ({}, "type: must be tls_certificate or validation_context"),
        ({"generic_secret": {}}, "generic_secret: must be"),
        ({"tls_certificate": {"certificate_chain": {"filename": "/a"}}}, "must have its contents in it, not filename"),
        ({"tls_certificate": {"password": {"inline_string": "x"}}}, "password: is not supported in a Secret"),
        ({"validation_context": {}}, "has neither roots nor revocations"),
        ({"validation_context": {"trusted_ca": {"inline_string": "x"}}}, "trusted_ca: cannot be read"),
        ({"validation_context": {"allow_expired_certificate": True}}, "is not supported in a Secret"),
    ],
)
def test_what_is_no_secret_is_rejected(message: dict[str, Any], reason: str) -> None:
    rejected = compile_resource(ParseDict({"name": "s"} | message, secret_pb2.Secret()))
    assert str(rejected).startswith("Secret s: ")
    assert reason in str(rejected)


def test_roots_come_with_what_they_revoked() -> None:
    client = ROOT.secret("client")
    message = secret_pb2.Secret(name="s")
    message.validation_context.trusted_ca.inline_string = ROOT.roots().roots
    revoked = message.validation_context.crl.inline_string = ROOT.revoked(client)
    compiled = compile_resource(message)
    assert isinstance(compiled, Compiled)
    assert compiled.plan == SecretPlan("s", roots=ROOT.roots().roots, crl=revoked)
