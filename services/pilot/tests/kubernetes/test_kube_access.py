"""Where the API server is, and how to log in."""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import Any

import pytest
import yaml

from mizzen.pilot.ingest.kubernetes.access import Contexts, InCluster, Kubeconfig, access_to
from mizzen.runtime.errors import StartError

AUTHORITY = """\
-----BEGIN CERTIFICATE-----
MIIBdTCCARugAwIBAgIUECy/4hVE35y6+JiMIt+qx8I94PUwCgYIKoZIzj0EAwIw
DzENMAsGA1UEAwwEdGVzdDAgFw0yNjExMjMwMzIyNDdaGA8yMDgxMDgyNjAzMjI0
N1owDzENMAsGA1UEAwwEdGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABABg
W6L+QnSwV5J4mNikuUX9bgmD6A8cqZEjM01NCEKGLyESa+HwBy+tEgzkxcynxdmq
+o/tdUfmeoJaj+g7OZajUzBRMB0GA1UdDgQWBBRO8An0ORFCcq/ya4iAPdLKd9do
OTAfBgNVHSMEGDAWgBRO8An0ORFCcq/ya4iAPdLKd9doOTAPBgNVHRMBAf8EBTAD
AQH/MAoGCCqGSM49BAMCA0gAMEUCIFACjNs2PA7PPIvc2J69Hf5GYxXyqcQL+H7o
ulvX+cPuAiEAvMnfHPnUo6WJcVpwI6dwlUG9+RIeVKOfqxUb6gHRNlc=
-----END CERTIFICATE-----
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


async def test_in_cluster_reads_the_token_for_each_request(tmp_path: Path) -> None:
    authority(tmp_path / "ca.crt")
    (tmp_path / "token").write_text("one\n")
    access = InCluster("https://10.96.0.1:443", tmp_path)
    first = await access.server()
    (tmp_path / "token").write_text("two\n")
    second = await access.server()
    assert (first.url, first.authorization, second.authorization) == (
        "https://10.96.0.1:443",
        "Bearer one",
        "Bearer two",
    )
    assert first.tls is second.tls, "connections are reused while the authority's file is the same"
    assert "two" not in repr(second)


@pytest.mark.parametrize(
    ("setting", "environment", "words"),
    [
        ("/nowhere/config", {}, "kubeconfig /nowhere/config: there is no such file"),
        ("in-cluster", {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, "KUBERNETES_SERVICE_PORT are not set"),
    ],
)
def test_what_cannot_be_used_ends_the_start(setting: str, environment: dict[str, str], words: str) -> None:
    with pytest.raises(StartError, match=words):
        access_to(setting, environment)


def test_in_cluster_address_of_ipv6(tmp_path: Path) -> None:
    access = access_to("in-cluster", {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"})
    assert isinstance(access, InCluster)
    assert access._url == "https://[fd00::1]:443"


async def test_a_token_file_is_read_again_when_its_time_has_come_or_it_was_refused(tmp_path: Path) -> None:
    now = [0.0]
    token = tmp_path / "token"
    token.write_text("one\n")
    access = Kubeconfig(kubeconfig(tmp_path / "config", {"tokenFile": "token"}), lambda: now[0])
    assert (await access.server()).authorization == "Bearer one"
    assert (await access.server()).url == "http://10.0.0.1:8080"
    token.write_text("two\n")
    assert (await access.server()).authorization == "Bearer one"
    now[0] = 61.0
    assert (await access.server()).authorization == "Bearer two"
    token.write_text("three\n")
    access.refused()
    assert (await access.server()).authorization == "Bearer three"


async def test_a_cluster_over_tls(tmp_path: Path) -> None:
    path = kubeconfig(
        tmp_path / "config",
        {"token": "t"},
        server="https://api.example:6443",
        **{"certificate-authority": str(authority(tmp_path / "ca.crt")), "tls-server-name": "kubernetes"},
    )
    server = await Kubeconfig(path).server()
    assert server.tls is not None
    assert (server.tls.verify_mode, server.tls_name) == (ssl.CERT_REQUIRED, "kubernetes")


@pytest.mark.parametrize("text", ["{}", "clusters: []", "", "["])
async def test_a_broken_kubeconfig_says_which(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"kubeconfig .*config: ."):
        await Kubeconfig(path).server()


def test_a_replaced_authority_makes_a_new_context(tmp_path: Path) -> None:
    contexts = Contexts()
    file = authority(tmp_path / "ca.crt")
    first = contexts.get(str(file))
    assert contexts.get(str(file)) is first
    os.utime(file, ns=(1, 1))
    assert contexts.get(str(file)) is not first
