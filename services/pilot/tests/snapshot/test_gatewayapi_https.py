"""HTTPS listeners of the Gateway API: what they show, who permits it, and what is said of those that are not served."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml

from mizzen.identity.keys import key_to_pem, new_key
from mizzen.pilot.ca.authority import self_signed
from mizzen.pilot.generate.affects import affected_types
from mizzen.pilot.generate.api import generate
from mizzen.pilot.generate.typeurls import LISTENER, ROUTE, SECRET
from mizzen.pilot.snapshot.diff import difference


def issued() -> tuple[str, str]:
    """A certificate and its key."""
    key = new_key()
    return self_signed(key, "shop", datetime.now(UTC)).bundle, key_to_pem(key)


CERTIFICATE, KEY = issued()
OTHER_KEY = issued()[1]


def secret(name: str, namespace: str = "default", **values: str) -> str:
    """Names of values are written with `_` in place of the dot."""
    text = {key.replace("_", "."): value for key, value in values.items()}
    metadata = {"name": name, "namespace": namespace}
    return yaml.safe_dump({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": text})


def good(name: str = "shop", namespace: str = "default") -> str:
    return secret(name, namespace, tls_crt=CERTIFICATE, tls_key=KEY)


def listener(name: str = "https", protocol: str = "HTTPS", tls: str = "", **more: Any) -> str:
    """One listener; `tls` is what stands inside of it."""
    stated = {"name": name, "port": 443, "protocol": protocol, "allowedRoutes": {"namespaces": {"from": "All"}}} | more
    if protocol != "HTTP":
        stated["tls"] = yaml.safe_load(f"{{{tls or 'certificateRefs: [{name: shop}]'}}}")
    return str(yaml.safe_dump(stated, default_flow_style=True, width=1000)).strip()


def gateway(*listeners: str, name: str = "edge", namespace: str = "default", created: str = "2024-01-01") -> str:
    about = f'{{name: {name}, namespace: {namespace}, creationTimestamp: "{created}T00:00:00Z"}}'
    return (
        f"apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {about}\n"
        f"spec: {{gatewayClassName: istio, listeners: [{', '.join(listeners)}]}}\n"
    )


def grant(of: str = "vault", to: str = "{group: '', kind: Secret}", **source: str) -> str:
    """Lets Gateways of default refer to Secrets, unless told otherwise."""
    stated = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "namespace": "default"} | source
    return (
        "apiVersion: gateway.networking.k8s.io/v1beta1\nkind: ReferenceGrant\n"
        f"metadata: {{name: it, namespace: {of}}}\n"
        f"spec: {{from: [{stated}], to: [{to}]}}\n"
    )


def route(parent: str, host: str = "", namespace: str = "default") -> str:
    about = f"{{name: of-{parent}, namespace: {namespace}}}"
    redirect = f"{{type: RequestRedirect, requestRedirect: {{hostname: {parent}.example}}}}"
    return (
        f"apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {about}\n"
        f"spec: {{parentRefs: [{{name: {parent}}}], hostnames: [{host}], rules: [{{filters: [{redirect}]}}]}}\n"
    )


def said(made: Any, index: int = 0, name: str = "edge") -> dict[str, str]:
    """The conditions of a listener, as `status reason`."""
    (state,) = [s for key, s in made.mesh.translation.states.items() if key.name == name and s.listeners]
    return {each.type: f"{each.status} {each.reason}" for each in state.listeners[index].conditions}


def servers(made: Any) -> dict[str, Any]:
    """What stands for listeners, by name."""
    return {resource.metadata.name: resource.spec.servers[0] for resource in made.mesh.translation.gateways}


def redirected(routes: dict[str, Any]) -> list[str]:
    """Where routes lead to."""
    found = [entry for message in routes.values() for host in message.virtual_hosts for entry in host.routes]
    return [entry.redirect.host_redirect for entry in found]


def test_a_listener_becomes_a_server_with_a_credential(world: Any) -> None:
    made = world(gateway(listener(hostname="Shop.Example")), good())
    server = servers(made)["edge~https"]
    assert (server.port.number, server.port.protocol, server.hosts) == (443, "HTTPS", ("shop.example",))
    assert server.tls.mode == "SIMPLE"
    assert server.tls.credential_name == "kubernetes-gateway://default/shop"
    assert set(said(made).values()) == {
        "True Accepted",
        "False NoConflicts",
        "True ResolvedRefs",
        "True Programmed",
    }
    assert made.problems == []


def test_several_certificates(world: Any) -> None:
    both = "certificateRefs: [{name: shop}, {name: rsa, namespace: vault}]"
    made = world(gateway(listener(tls=both)), good(), good("rsa", "vault"), grant())
    tls = servers(made)["edge~https"].tls
    assert tls.credential_names == ("kubernetes-gateway://default/shop", "kubernetes-gateway://vault/rsa")


@pytest.mark.parametrize(
    ("tls", "more", "expected"),
    [
        ("certificateRefs: [{name: gone}]", (), "InvalidCertificateRef: Secret default/gone does not exist"),
        ("mode: Terminate", (), "InvalidCertificateRef: tls.certificateRefs must name a Secret"),
        (
            "certificateRefs: [{name: shop}, {name: gone}]",
            (),
            "InvalidCertificateRef: Secret default/gone does not exist",
        ),
        (
            "certificateRefs: [{group: a.b, kind: Vault, name: shop}]",
            (),
            "InvalidCertificateRef: Vault shop cannot be a certificate; Secrets can",
        ),
        (
            "certificateRefs: [{name: bad}]",
            (secret("bad", tls_crt=CERTIFICATE, tls_key=OTHER_KEY),),
            "InvalidCertificateRef: Secret default/bad: tls.key is not the key of the first certificate in tls.crt",
        ),
        (
            "certificateRefs: [{name: bad}]",
            (secret("bad", tls_crt="Hello", tls_key=KEY),),
            "InvalidCertificateRef: Secret default/bad: tls.crt is not a certificate in PEM",
        ),
        (
            "certificateRefs: [{name: shop-cacert}]",
            (secret("shop-cacert", ca_crt=CERTIFICATE),),
            "InvalidCertificateRef: Secret default/shop-cacert: names that end with -cacert are those of authorities",
        ),
    ],
)
def test_what_is_no_certificate(world: Any, tls: str, more: tuple[str, ...], expected: str) -> None:
    made = world(gateway(listener(tls=tls)), good(), *more)
    reason = expected.partition(":")[0]
    assert (said(made)["ResolvedRefs"], said(made)["Programmed"]) == (f"False {reason}", "False Invalid")
    assert said(made)["Accepted"] == "True Accepted"
    assert servers(made) == {}
    assert any(expected in problem for problem in made.problems)
    assert not any("PRIVATE" in problem for problem in made.problems)


@pytest.mark.parametrize(
    ("grants", "is_served"),
    [
        ((grant(),), True),
        ((grant(to="{group: '', kind: Secret, name: shop}"),), True),
        ((), False),
        ((grant(of="default"),), False),
        ((grant(to="{group: '', kind: Secret, name: other}"),), False),
        ((grant(to="{group: '', kind: Service}"),), False),
        ((grant(namespace="other"),), False),
        ((grant(kind="HTTPRoute"),), False),
        ((grant(group="networking.istio.io"),), False),
    ],
)
def test_a_secret_of_another_namespace(world: Any, router: Any, grants: tuple[str, ...], is_served: bool) -> None:
    made = world(
        gateway(listener(tls="certificateRefs: [{name: shop, namespace: vault}]")), good("shop", "vault"), *grants
    )
    assert said(made)["ResolvedRefs"] == ("True ResolvedRefs" if is_served else "False RefNotPermitted")
    name = "kubernetes-gateway://vault/shop"
    given = generate(SECRET, replace(router(), verified=True), made.mesh, frozenset({name}))
    assert (name in given.resources) == is_served
    assert (given.failures.get(name) == "no Gateway and no DestinationRule of this proxy names it") == (not is_served)


@pytest.mark.parametrize(("home", "is_given"), [("istio-system", True), ("default", True), ("elsewhere", False)])
def test_who_calls_itself_the_ingress_gateway_gets_no_secret(
    world: Any, router: Any, home: str, is_given: bool
) -> None:
    """Labels are what a node says of itself; only its namespace was proved."""
    made = world(
        gateway(listener(tls="certificateRefs: [{name: shop, namespace: vault}]")), good(namespace="vault"), grant()
    )
    name = "kubernetes-gateway://vault/shop"
    given = generate(SECRET, replace(router(namespace=home), verified=True), made.mesh, frozenset({name}))
    assert (name in given.resources) is is_given
    assert (
        "proxies of namespace elsewhere may not have Secret vault/shop" in given.failures.get(name, "")
    ) is not is_given


def test_that_a_secret_exists_is_not_told_to_those_who_may_not_refer_to_it(world: Any) -> None:
    edge = gateway(listener(tls="certificateRefs: [{name: shop, namespace: vault}]"))
    assert world(edge).problems == world(edge, good("shop", "vault")).problems


@pytest.mark.parametrize(
    ("stated", "reason", "message"),
    [
        (
            listener(tls="mode: Passthrough"),
            "UnsupportedValue",
            "tls.mode Passthrough is not served for HTTPS, Terminate is",
        ),
        (
            listener(protocol="TLS", tls="mode: Passthrough"),
            "UnsupportedProtocol",
            "TLS is not served, HTTP and HTTPS are; Istio's Gateway can pass TLS on",
        ),
        (
            listener(tls="certificateRefs: [{name: shop}], options: {gateway.istio.io/tls-terminate-mode: MUTUAL}"),
            "UnsupportedValue",
            "tls.options are not known by this version: gateway.istio.io/tls-terminate-mode",
        ),
    ],
)
def test_what_is_not_served(world: Any, stated: str, reason: str, message: str) -> None:
    made = world(gateway(stated), good())
    assert (said(made)["Accepted"], said(made)["Programmed"]) == (f"False {reason}", "False Invalid")
    assert servers(made) == {}
    assert any(message in problem for problem in made.problems)


def test_https_and_tls_share_a_port_and_http_does_not(world: Any) -> None:
    passed = listener("tls", "TLS", "mode: Passthrough", hostname="b.example")
    made = world(gateway(listener(hostname="a.example"), passed), good())
    assert [said(made, index)["Programmed"] for index in (0, 1)] == ["True Programmed", "False Invalid"]
    mixed = world(gateway(listener(), listener("http", "HTTP")), good())
    assert [said(mixed, index)["Conflicted"] for index in (0, 1)] == ["True ProtocolConflict"] * 2


def test_each_name_has_its_certificate_and_its_routes(world: Any, router: Any) -> None:
    shop = listener("shop", hostname="shop.example")
    rest = listener("rest", tls="certificateRefs: [{name: rest}]", hostname="*.example")
    made = world(gateway(shop, rest), route("edge", "shop.example"), good(), good("rest"))
    (found,) = made.listeners(router()).values()
    names = [list(chain.filter_chain_match.server_names) for chain in found.filter_chains]
    assert sorted(names) == [["*.example"], ["shop.example"]]
    served = made.routes(router(), "https.443.shop.edge~shop.default", "https.443.rest.edge~rest.default")
    assert {name: [d for h in each.virtual_hosts for d in h.domains if h.routes] for name, each in served.items()} == {
        "https.443.shop.edge~shop.default": ["shop.example"],
        "https.443.rest.edge~rest.default": [],
    }


def test_a_route_of_https_is_not_served_in_plain_text(world: Any, router: Any) -> None:
    """Another Gateway has the port for HTTP, and is the older one."""
    plain = gateway(listener("http", "HTTP"), name="plain", created="2023-01-01")
    made = world(plain, gateway(listener()), route("plain", "a.example"), route("edge", "a.example"), good())
    assert redirected(made.routes(router(), "http.443")) == ["plain.example"]
    assert said(made) == {
        "Accepted": "True Accepted",
        "Conflicted": "True ProtocolConflict",
        "ResolvedRefs": "True ResolvedRefs",
        "Programmed": "False Invalid",
    }
    assert said(made, name="plain")["Programmed"] == "True Programmed"


@pytest.mark.parametrize(
    ("host", "conflict"),
    [("shop.example", "True HostnameConflict"), ("*.example", "False NoConflicts"), ("", "False NoConflicts")],
)
def test_one_name_has_one_certificate(world: Any, router: Any, host: str, conflict: str) -> None:
    """Though routes of another namespace could come under it with a Gateway of their own."""
    second = gateway(
        listener(**({"hostname": host} if host else {})), name="second", namespace="other", created="2025-01-01"
    )
    first = gateway(listener(hostname="shop.example"))
    routes = (route("edge"), route("second", "shop.example", "other"))
    made = world(second, first, *routes, good(), good(namespace="other"))
    assert said(made)["Conflicted"] == "False NoConflicts"
    assert said(made, name="second")["Conflicted"] == conflict
    assert ("second~https" in servers(made)) == (conflict == "False NoConflicts")
    assert redirected(made.routes(router(), "https.443.https.edge~https.default")) == ["edge.example"]


def test_http_listeners_of_several_gateways_share_a_host(world: Any) -> None:
    both = [gateway(listener("http", "HTTP"), name=name) for name in ("edge", "second")]
    assert set(servers(world(*both))) == {"edge~http", "second~http"}


def test_a_secret_that_comes_and_goes(world: Any, router: Any, sidecar: Any) -> None:
    edge = gateway(listener())
    old = world(edge)
    new = world(edge, good(), previous=old.mesh)
    for before, after in ((old, new), (new, world(edge, previous=new.mesh))):
        change = difference(before.mesh, after.mesh)
        found = affected_types(change, router(), before.mesh, after.mesh)
        assert set(found) >= {LISTENER, ROUTE, SECRET}
        assert affected_types(change, sidecar(), before.mesh, after.mesh) == ()
    assert [said(made)["Programmed"] for made in (old, new)] == ["False Invalid", "True Programmed"]


def test_another_certificate_changes_the_secret_alone(world: Any, router: Any) -> None:
    old = world(gateway(listener()), good())
    certificate, key = issued()
    renewed = secret("shop", tls_crt=certificate, tls_key=key)
    new = world(gateway(listener()), renewed, previous=old.mesh)
    change = difference(old.mesh, new.mesh)
    assert affected_types(change, router(), old.mesh, new.mesh) == (SECRET,)
