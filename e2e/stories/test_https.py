"""The page over HTTPS: certificates by name and from files, clients that must prove who they are, and TLS passed on."""

from __future__ import annotations

import http.client
import socket
import ssl
from pathlib import Path

import pytest
import yaml
from support.certificates import Authority, tls_secret
from support.mesh import GATEWAY_TLS, Mesh, eventually, in_force

SHOP, BANK = "shop.example", "a.bank.example"
GATEWAY = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: secure, namespace: default}}
spec:
  selector: {{istio: ingressgateway}}
  servers:
  - port: {{number: 443, name: https-shop, protocol: HTTPS}}
    hosts: [shop.example]
    tls: {{mode: SIMPLE, serverCertificate: {folder}/shop.crt, privateKey: {folder}/shop.key}}
  - port: {{number: 443, name: https-bank, protocol: HTTPS}}
    hosts: ["*.bank.example"]
    tls:
      mode: MUTUAL
      serverCertificate: {folder}/bank.crt
      privateKey: {folder}/bank.key
      caCertificates: {folder}/clients.pem
      subjectAltNames: [client.example]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: secure, namespace: default}}
spec:
  hosts: [shop.example, a.bank.example]
  gateways: [secure]
  http: [{{route: [{{destination: {{host: productpage, port: {{number: 9080}}}}}}]}}]
"""

CREDENTIAL = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: secret, namespace: default}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 443, name: https-shop, protocol: HTTPS}
    hosts: [shop.example]
    tls: {mode: SIMPLE, credentialName: shop}
  - port: {number: 443, name: https-bank, protocol: HTTPS}
    hosts: ["*.bank.example"]
    tls: {mode: MUTUAL, credentialName: bank}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: secret, namespace: default}
spec:
  hosts: [shop.example, a.bank.example]
  gateways: [secret]
  http: [{route: [{destination: {host: productpage, port: {number: 9080}}}]}]
"""

LISTENERS = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge, namespace: default}
spec:
  gatewayClassName: istio
  listeners:
  - {name: shop, port: 443, protocol: HTTPS, hostname: shop.example, tls: {certificateRefs: [{name: shop}]}}
  - name: bank
    port: 443
    protocol: HTTPS
    hostname: "*.bank.example"
    tls: {certificateRefs: [{name: bank, namespace: istio-system}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: edge, namespace: default}
spec:
  parentRefs: [{name: edge}]
  rules: [{backendRefs: [{name: productpage, port: 9080}]}]
"""
GRANT = """
apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: {name: edge, namespace: istio-system}
spec:
  from: [{group: gateway.networking.k8s.io, kind: Gateway, namespace: default}]
  to: [{group: "", kind: Secret, name: bank}]
"""


class Visitor:
    """A client that believes one authority, and may have a certificate."""

    def __init__(self, authority: Authority, *certificate: Path) -> None:
        self._context = ssl.create_default_context(cadata=authority.pem)
        if certificate:
            self._context.load_cert_chain(*certificate)

    def visit(self, name: str) -> tuple[int, str]:
        """Status of the page, and serial number of the gateway's certificate; 0 where there was no answer."""
        connection = http.client.HTTPSConnection(name, timeout=10, context=self._context)
        try:
            # The name goes into SNI and is checked; the address is this machine's.
            raw = socket.create_connection(GATEWAY_TLS, 10)
            connection.sock = self._context.wrap_socket(raw, server_hostname=name)
            serial = connection.sock.getpeercert()["serialNumber"]
            connection.request("GET", "/productpage", headers={"Host": name})
            response = connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException):
            return 0, ""
        else:
            return response.status, str(serial)
        finally:
            connection.close()

    def is_served(self, name: str) -> bool:
        return self.visit(name)[0] == 200


@pytest.mark.runtime("local", reason="the certificates are in files of this machine")
def test_the_page_over_https(mesh: Mesh, tmp_path: Path) -> None:
    authority, clients = Authority(tmp_path, "root"), Authority(tmp_path, "clients")
    authority.issue(SHOP, into="shop")
    authority.issue("*.bank.example", into="bank")
    anybody = Visitor(authority)
    known = Visitor(authority, *clients.issue("client.example", into="client"))
    other = Visitor(authority, *clients.issue("other.example", into="other"))
    with in_force(mesh, GATEWAY.format(folder=tmp_path)):
        eventually(lambda: anybody.is_served(SHOP), "the page over HTTPS")
        eventually(lambda: known.is_served(BANK), "the page for a client that proves who it is")
        assert not anybody.is_served(BANK)
        assert not other.is_served(BANK)
        assert not anybody.is_served("nobody.example")
        before = anybody.visit(SHOP)[1]
        authority.issue(SHOP, into="shop")
        eventually(lambda: anybody.visit(SHOP)[1] not in ("", before), "the next certificate shown")
        assert known.is_served(BANK)


def test_the_page_over_https_with_certificates_in_secrets(mesh: Mesh, tmp_path: Path) -> None:
    authority, clients = Authority(tmp_path, "root"), Authority(tmp_path, "clients")
    anybody = Visitor(authority)
    known = Visitor(authority, *clients.issue("client.example", into="client"))

    def shop() -> str:
        certificate, key = authority.issue(SHOP, into="shop")
        return tls_secret("shop", tls_crt=certificate, tls_key=key)

    certificate, key = authority.issue("*.bank.example", into="bank")
    bank = tls_secret("bank", cert=certificate, key=key, cacert=clients.roots)
    with in_force(mesh, f"{shop()}---\n{bank}---\n{CREDENTIAL}"):
        eventually(lambda: anybody.is_served(SHOP), "the page over HTTPS")
        eventually(lambda: known.is_served(BANK), "the page for a client that proves who it is")
        assert not anybody.is_served(BANK)
        before = anybody.visit(SHOP)[1]
        mesh.ok("apply", "-f", "-", stdin=shop())
        eventually(lambda: anybody.visit(SHOP)[1] not in ("", before), "the next certificate shown")


@pytest.mark.runtime("local", "compose", reason="kubectl shows what it is given")
def test_a_key_is_not_shown(mesh: Mesh, tmp_path: Path) -> None:
    certificate, key = Authority(tmp_path, "root").issue(SHOP, into="shop")
    with in_force(mesh, tls_secret("shop", tls_crt=certificate, tls_key=key)):
        shown = str(mesh.ok("get", "secret", "shop", "-n", "istio-system", "-o", "yaml"))
        assert "tls.key" in shown
        assert "PRIVATE KEY" not in shown


def test_a_secret_that_comes_late(mesh: Mesh, tmp_path: Path) -> None:
    authority = Authority(tmp_path, "root")
    anybody = Visitor(authority)
    certificate, key = authority.issue(SHOP, into="shop")
    gateway, routes = yaml.safe_load_all(CREDENTIAL.replace("credentialName: shop", "credentialName: late"))
    # A stock Envoy waits up to 15 seconds for each Secret that a port's servers name.
    del gateway["spec"]["servers"][1]
    with in_force(mesh, yaml.safe_dump_all([gateway, routes])):
        assert not anybody.is_served(SHOP)
        with in_force(mesh, tls_secret("late", tls_crt=certificate, tls_key=key)):
            eventually(lambda: anybody.is_served(SHOP), "the page with the Secret that came late")


def test_the_page_over_https_by_the_gateway_api(mesh: Mesh, tmp_path: Path) -> None:
    authority = Authority(tmp_path, "root")
    anybody = Visitor(authority)

    def pair(name: str, host: str, namespace: str) -> str:
        certificate, key = authority.issue(host, into=name)
        return tls_secret(name, namespace, tls_crt=certificate, tls_key=key)

    bank = pair("bank", "*.bank.example", "istio-system")
    with mesh.gateway_api(), in_force(mesh, f"{LISTENERS}---\n{bank}"):
        with in_force(mesh, pair("shop", SHOP, "default")):
            eventually(lambda: anybody.is_served(SHOP), "the page with the Secret that came late")
            assert not anybody.is_served(BANK), "nobody lets the Gateway have it"
            before = anybody.visit(SHOP)[1]
            mesh.ok("apply", "-f", "-", stdin=pair("shop", SHOP, "default"))
            eventually(lambda: anybody.visit(SHOP)[1] not in ("", before), "the next certificate shown")
            with in_force(mesh, GRANT):
                eventually(lambda: anybody.is_served(BANK), "the Secret of the other namespace")
            eventually(lambda: not anybody.is_served(BANK), "the permission taken back")
            assert anybody.is_served(SHOP)
        eventually(lambda: not anybody.is_served(SHOP), "the listener gone with its Secret")
