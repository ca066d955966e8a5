"""Where the API server is, and how to log in."""

from __future__ import annotations

import base64
import re
import ssl
from pathlib import Path
from typing import Any

import pytest
import yaml

from mizzen.kubernetes.access import InCluster, access_to
from mizzen.kubernetes.kubeconfig import Kubeconfig
from mizzen.kubernetes.server import Server
from mizzen.runtime.errors import StartError

# Of nobody and for nothing but this test: a certificate, and its key.
AUTHORITY = """\
-----BEGIN CERTIFICATE-----
MIIBdjCCARugAwIBAgIUNNzKrWuvruBmOJaBTF4bdV7hcrIwCgYIKoZIzj0EAwIw
DzENMAsGA1UEAwwEdGVzdDAgFw0yNjExMjMwMzQzMDBaGA8yMDgxMDgyNjAzNDMw
MFowDzENMAsGA1UEAwwEdGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABAUi
EIPm1Kyj29CWVELpEUSRouS/bxMvbsDEmdi7rABEfWix3eg2rMMbT1s4AmGaM1xZ
BhPQmNH3EZVR33nEG1ejUzBRMB0GA1UdDgQWBBTRabBEN3v4ktJoypadfqSsemLg
XDAfBgNVHSMEGDAWgBTRabBEN3v4ktJoypadfqSsemLgXDAPBgNVHRMBAf8EBTAD
AQH/MAoGCCqGSM49BAMCA0kAMEYCIQD21Guvwfl+12xVMFA0KfTvuWZNgL3RNRLs
u+8mfCrHFAIhAK2t9SHww93P8yKAABP5eMxcH0qFQbzu/8sKuMIb2d00
-----END CERTIFICATE-----
"""
KEY = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgbX+cDsXVYxw6Astn
Ymev8qF5Tw5GcgOLgjfWPkVWISGhRANCAAQFIhCD5tSso9vQllRC6RFEkaLkv28T
L27AxJnYu6wARH1osd3oNqzDG09bOAJhmjNcWQYT0JjR9xGVUd95xBtX
-----END PRIVATE KEY-----
"""


def authority(path: Path) -> Path:
    path.write_text(AUTHORITY)
    return path


def kubeconfig(path: Path, user: dict[str, Any], **cluster: Any) -> Path:
    config = {
        "clusters": [{"name": "c", "cluster": {"server": "http://10.0.0.1:8080/", **cluster}}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path.write_text(yaml.safe_dump(config))
    return path


def test_in_cluster_reads_the_token_for_each_request(tmp_path: Path) -> None:
    authority(tmp_path / "ca.crt")
    (tmp_path / "token").write_text("one\n")
    access = InCluster("https://10.96.0.1:443", tmp_path)
    first = access.server()
    (tmp_path / "token").write_text("two\n")
    second = access.server()
    assert (first.url, second.url) == ("https://10.96.0.1:443",) * 2
    assert (first.authorization, second.authorization) == ("Bearer one", "Bearer two")
    assert first.tls is second.tls, "connections are reused while the authority is the same"
    assert "two" not in repr(second)
    (tmp_path / "ca.crt").write_text(AUTHORITY * 2)
    assert access.server().tls is not first.tls


def test_the_address_in_a_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority(tmp_path / "ca.crt")
    (tmp_path / "token").write_text("one")
    monkeypatch.setattr(InCluster.__init__, "__defaults__", (tmp_path,))
    environment = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}
    assert access_to("in-cluster", environment).server().url == "https://[fd00::1]:443"


@pytest.mark.parametrize(
    ("setting", "environment", "words"),
    [
        ("/nowhere/config", {}, "cannot use the Kubernetes API: .*/nowhere/config"),
        ("in-cluster", {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, "KUBERNETES_SERVICE_PORT are not set"),
        ("in-cluster", {"KUBERNETES_SERVICE_HOST": "a", "KUBERNETES_SERVICE_PORT": "1"}, "serviceaccount/token"),
    ],
)
def test_what_cannot_be_used_ends_the_start(setting: str, environment: dict[str, str], words: str) -> None:
    with pytest.raises(StartError, match=words):
        access_to(setting, environment)


def test_a_token_file_is_beside_the_kubeconfig_and_read_each_time(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("one\n")
    access = Kubeconfig(kubeconfig(tmp_path / "config", {"tokenFile": "token", "token": "other"}))
    assert access.server() == Server("http://10.0.0.1:8080", authorization="Bearer one")
    token.write_text("two\n")
    assert access.server().authorization == "Bearer two"


@pytest.mark.parametrize("embedded", [False, True])
def test_certificates_are_files_or_embedded(tmp_path: Path, embedded: bool) -> None:
    files = {"certificate-authority": AUTHORITY, "client-certificate": AUTHORITY, "client-key": KEY}
    given: dict[str, str] = {}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
        given |= {f"{name}-data": base64.b64encode(text.encode()).decode()} if embedded else {name: name}
    cluster = {name: value for name, value in given.items() if name.startswith("certificate")}
    user = {name: value for name, value in given.items() if name.startswith("client")}
    path = kubeconfig(
        tmp_path / "config", user, server="https://a:6443", **cluster, **{"tls-server-name": "kubernetes"}
    )
    server = Kubeconfig(path).server()
    assert server.tls is not None
    assert (server.tls.verify_mode, server.tls.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert (server.tls_name, server.authorization) == ("kubernetes", "")
    assert [certificate["subject"] for certificate in server.tls.get_ca_certs()] == [((("commonName", "test"),),)]


def test_a_server_that_is_not_verified(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path / "config", {}, server="https://a", **{"insecure-skip-tls-verify": True})
    server = Kubeconfig(path).server()
    assert server.tls is not None
    assert server.tls.verify_mode == ssl.CERT_NONE


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[", "this is not YAML"),
        ("", "should be a valid dictionary"),
        ("clusters: []", "contexts: Field required; current-context: Field required"),
        ("{clusters: [], contexts: [], current-context: x}", "there is no 'x' among its contexts"),
        (
            "{clusters: [], contexts: [{name: x, context: {cluster: c}}], current-context: x}",
            "there is no 'c' among its clusters",
        ),
        ("{clusters: [{name: c, cluster: {}}], contexts: [], current-context: x}", "clusters.0.cluster.server: Field"),
    ],
)
def test_a_broken_kubeconfig_says_what_is_wrong(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(ValueError, match=f"^kubeconfig {re.escape(str(path))}: .*{words}"):
        Kubeconfig(path).server()


def test_login_commands_are_not_run(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path / "config", {"exec": {"command": "gke-gcloud-auth-plugin"}})
    with pytest.raises(ValueError, match=r"user u logs in with a command .*; use a token"):
        Kubeconfig(path).server()


def test_a_wrong_secret_is_not_shown(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path / "config", {"client-key-data": "hush-hush!"}, server="https://a")
    with pytest.raises(ValueError, match=r"client-key-data: .*base64") as caught:
        Kubeconfig(path).server()
    assert "hush" not in str(caught.value)
