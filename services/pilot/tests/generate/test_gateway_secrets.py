"""Credentials of gateways: who is given which, in which form, and what is said where there is none."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from envoy.extensions.transport_sockets.tls.v3 import secret_pb2
from google.protobuf import any_pb2

from mizzen.api.resource import ResourceKey
from mizzen.identity.certificate import certificate_to_pem
from mizzen.identity.keys import key_to_pem, new_key
from mizzen.pilot.generate.affects import affected_types
from mizzen.pilot.generate.api import generate
from mizzen.pilot.generate.typeurls import LISTENER, ROUTE, SECRET
from mizzen.pilot.snapshot.diff import difference

SHOP = "kubernetes://shop"
UNNAMED = "no Gateway and no DestinationRule of this proxy names it"


def issued(name: str) -> tuple[str, str]:
    """A certificate that signs itself, and its key."""
    key = new_key()
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    dated = builder.serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(days=1))
    return certificate_to_pem(dated.sign(key, hashes.SHA256())), key_to_pem(key)


CERTIFICATE, KEY = issued("shop.example")
OTHER_CERTIFICATE, OTHER_KEY = issued("other.example")


def secret(name: str = "shop", namespace: str = "istio-system", **values: str) -> str:
    """Names of values are written with `_` in place of the dot."""
    data = {key.replace("_", "."): base64.b64encode(text.encode()).decode() for key, text in values.items()}
    metadata = {"name": name, "namespace": namespace}
    return yaml.safe_dump({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data})


PAIR = secret(tls_crt=CERTIFICATE, tls_key=KEY)


def gateway(tls: str, namespace: str = "default") -> str:
    server = (
        f"{{port: {{number: 443, name: https, protocol: HTTPS}}, name: web, hosts: [shop.example], tls: {{{tls}}}}}"
    )
    return (
        f"apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {{name: edge, namespace: {namespace}}}\n"
        f"spec: {{selector: {{istio: ingressgateway}}, servers: [{server}]}}\n"
    )


SIMPLE = gateway("mode: SIMPLE, credentialName: shop")
MUTUAL = gateway("mode: MUTUAL, credentialName: shop")


def given(made: Any, proxy: Any, *names: str) -> dict[str, Any]:
    """Messages by name, and reasons where there is none."""
    found = generate(SECRET, proxy, made.mesh, frozenset(names))
    messages = {}
    for name, encoded in found.resources.items():
        message = secret_pb2.Secret()
        assert any_pb2.Any.FromString(encoded.body).Unpack(message)
        messages[name] = message
    return {**messages, **found.failures}


@pytest.fixture
def proved(router: Any) -> Any:
    return lambda **about: replace(router(**about), verified=True)


@pytest.mark.parametrize(
    "values",
    [
        {"tls_crt": CERTIFICATE, "tls_key": KEY},
        {"cert": CERTIFICATE, "key": KEY},
        {"cert": CERTIFICATE, "key": KEY, "tls_crt": OTHER_CERTIFICATE, "tls_key": OTHER_KEY},
    ],
)
def test_a_pair_in_either_layout(world: Any, proved: Any, values: dict[str, str]) -> None:
    message = given(world(SIMPLE, secret(**values)), proved(), SHOP)[SHOP]
    assert message.name == SHOP
    assert message.tls_certificate.certificate_chain.inline_bytes.decode() == CERTIFICATE
    assert message.tls_certificate.private_key.inline_bytes.decode() == KEY


@pytest.mark.parametrize(
    "secrets",
    [
        [secret(tls_crt=CERTIFICATE, tls_key=KEY, ca_crt=OTHER_CERTIFICATE, ca_crl="list")],
        [secret(cert=CERTIFICATE, key=KEY, cacert=OTHER_CERTIFICATE, crl="list")],
        [PAIR, secret("shop-cacert", ca_crt=OTHER_CERTIFICATE, ca_crl="list")],
        [PAIR, secret("shop-cacert", cacert=OTHER_CERTIFICATE, crl="list")],
    ],
)
def test_authorities_in_every_layout(world: Any, proved: Any, secrets: list[str]) -> None:
    found = given(world(MUTUAL, *secrets), proved(), SHOP, f"{SHOP}-cacert")
    context = found[f"{SHOP}-cacert"].validation_context
    assert context.trusted_ca.inline_bytes.decode() == OTHER_CERTIFICATE
    assert context.crl.inline_bytes == b"list"
    assert found[SHOP].HasField("tls_certificate")


def test_authorities_with_a_name_of_their_own(world: Any, proved: Any) -> None:
    named = gateway("mode: MUTUAL, credentialName: shop, caCertCredentialName: clients")
    made = world(named, PAIR, secret("clients", ca_crt=OTHER_CERTIFICATE))
    name = "kubernetes://clients-cacert"
    assert given(made, proved(), name)[name].validation_context.trusted_ca.inline_bytes.decode() == OTHER_CERTIFICATE


def test_a_stream_that_proves_nothing_is_given_nothing(world: Any, router: Any) -> None:
    said = given(world(SIMPLE, PAIR), router(), SHOP)[SHOP]
    assert said == "secrets are given over mutual TLS alone, and this stream is not (port 15012)"


def test_a_node_cannot_say_that_it_is_verified(router: Any) -> None:
    assert not router(VERIFIED="true", verified="true").verified


@pytest.mark.parametrize("name", ["kubernetes://bank", "kubernetes://shop-cacert", "kubernetes://default/shop"])
def test_what_no_gateway_names_is_not_given(world: Any, proved: Any, name: str) -> None:
    bank = secret("bank", tls_crt=CERTIFICATE, tls_key=KEY)
    assert given(world(SIMPLE, PAIR, bank), proved(), name)[name] == UNNAMED


def test_a_gateway_for_others_gives_nothing(world: Any, proved: Any, sidecar: Any) -> None:
    made = world(SIMPLE, PAIR)
    others = proved(LABELS={"istio": "egressgateway"})
    assert given(made, others, SHOP)[SHOP] == UNNAMED
    assert given(made, replace(sidecar(namespace="istio-system"), verified=True), SHOP)[SHOP] != ""


@pytest.mark.parametrize(
    ("stated", "home", "is_given"),
    [
        ("kubernetes://istio-system/shop", "default", True),
        ("kubernetes://bank/shop", "default", False),
        ("kubernetes-gateway://istio-system/shop", "istio-system", True),
        ("kubernetes-gateway://istio-system/shop", "default", False),
        ("kubernetes-gateway://bank/shop", "istio-system", False),
        ("kubernetes-gateway://bank/shop", "bank", False),
    ],
)
def test_secrets_of_other_namespaces_are_not_given(
    world: Any, proved: Any, stated: str, home: str, is_given: bool
) -> None:
    bank = secret(namespace="bank", tls_crt=CERTIFICATE, tls_key=KEY)
    made = world(gateway(f"mode: SIMPLE, credentialName: '{stated}'", home), PAIR, bank)
    said = given(made, proved(), stated)[stated]
    if is_given:
        assert said.HasField("tls_certificate")
    else:
        assert "proxies of namespace istio-system may not have Secret" in said
        assert said.startswith(f"Gateway {home}/edge, server 'web': ")


@pytest.mark.parametrize(
    ("secrets", "reason"),
    [
        ([], "Secret istio-system/shop does not exist"),
        ([secret(tls_crt=CERTIFICATE)], "it has neither tls.crt and tls.key nor cert and key"),
        ([secret(tls_crt="x", tls_key=KEY)], "tls.crt is not a certificate in PEM"),
        ([secret(tls_crt=CERTIFICATE, tls_key="x")], "tls.key is not an unencrypted private key in PEM"),
        ([secret(tls_crt=CERTIFICATE, tls_key=OTHER_KEY)], "tls.key is not the key of the first certificate"),
    ],
)
def test_what_cannot_be_used_is_told_and_does_no_harm(world: Any, proved: Any, secrets: list[str], reason: str) -> None:
    other = secret("bank", tls_crt=CERTIFICATE, tls_key=KEY)
    both = gateway("mode: SIMPLE, credentialNames: [shop, bank]")
    made = world(both, other, *secrets)
    found = given(made, proved(), SHOP, "kubernetes://bank")
    assert found["kubernetes://bank"].HasField("tls_certificate")
    assert reason in found[SHOP]
    assert found[SHOP].startswith("Gateway default/edge, server 'web': ")
    [problem] = made.mesh.problems
    assert problem.severity == "warning"
    assert "credential kubernetes://shop of server 'web' cannot be used" in problem.message
    assert not any(text in str(problem) + found[SHOP] for text in (KEY, base64.b64encode(KEY.encode()).decode()))


def test_a_changed_secret_concerns_those_who_use_it(world: Any, proved: Any, sidecar: Any) -> None:
    bank = secret("bank", tls_crt=CERTIFICATE, tls_key=KEY)
    old = world(MUTUAL, PAIR, bank).mesh

    def pushed(proxy: Any, *texts: str) -> tuple[str, ...]:
        new = world(*texts, previous=old).mesh
        return affected_types(difference(old, new), proxy, old, new)

    renewed = secret(tls_crt=OTHER_CERTIFICATE, tls_key=OTHER_KEY)
    roots = secret("shop-cacert", ca_crt=CERTIFICATE)
    other = secret("bank", tls_crt=OTHER_CERTIFICATE, tls_key=OTHER_KEY)
    assert pushed(proved(), MUTUAL, renewed, bank) == (SECRET,)
    assert pushed(proved(), MUTUAL, PAIR, bank, roots) == (SECRET,)
    assert pushed(proved(), MUTUAL, bank) == (SECRET,)
    assert pushed(proved(), MUTUAL, PAIR, other) == ()
    assert pushed(proved(namespace="edge"), MUTUAL, renewed, bank) == ()
    assert pushed(sidecar(), MUTUAL, renewed, bank) == ()
    assert pushed(proved(), SIMPLE, PAIR, bank) == (LISTENER, ROUTE, SECRET)


def test_values_are_not_in_what_people_see(world: Any) -> None:
    made = world(PAIR)
    shown = repr(made.mesh.resources[ResourceKey("Secret", "istio-system", "shop")])
    assert base64.b64encode(KEY.encode()).decode() not in shown
    assert KEY not in shown
