"""Secrets of gateways on a real API server: Pilot's rights, what comes late, changes, and goes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from support.certificates import Authority

from mizzen.api.kubernetes import Secret
from mizzen.pilot.app.pilot import Pilot

pytestmark = pytest.mark.kube
GATEWAYS = "/apis/networking.istio.io/v1/namespaces/{}/gateways"
SECRETS = "/api/v1/namespaces/{}/secrets"


class Objects:
    """A Gateway and Secrets of one namespace."""

    def __init__(self, server: Any, namespace: str) -> None:
        self._server = server
        self._namespace = namespace

    async def gateway(self, credential: str) -> None:
        """With one HTTPS server that shows it."""
        server = {
            "port": {"number": 443, "name": "https", "protocol": "HTTPS"},
            "hosts": ["shop.example"],
            "tls": {"mode": "SIMPLE", "credentialName": credential},
        }
        spec = {"selector": {"istio": "ingressgateway"}, "servers": [server]}
        item = {"apiVersion": "networking.istio.io/v1", "kind": "Gateway", "spec": spec}
        await self._apply(GATEWAYS, "edge", item)

    async def secret(self, name: str, kind: str = "Opaque", **values: str) -> None:
        """In names of values, `_` stands for a dot."""
        data = {key.replace("_", "."): value for key, value in values.items()}
        await self._apply(SECRETS, name, {"apiVersion": "v1", "kind": "Secret", "type": kind, "stringData": data})

    async def delete_secret(self, name: str) -> None:
        await asyncio.to_thread(self._server.delete, f"{SECRETS.format(self._namespace)}/{name}")

    async def until_said(self, holds: Callable[[str], bool]) -> None:
        """Wait for Pilot's words about the Gateway."""
        path = f"{GATEWAYS.format(self._namespace)}/edge"
        async with asyncio.timeout(30):
            while True:
                found = await asyncio.to_thread(self._server.request, "GET", path)
                conditions = (found.get("status") or {}).get("conditions") or ()
                said = [each.get("message", "") for each in conditions if each["type"] == "PassedValidation"]
                if said and holds(said[0]):
                    return
                await asyncio.sleep(0.05)

    async def _apply(self, place: str, name: str, item: dict[str, Any]) -> None:
        metadata = {"name": name, "namespace": self._namespace}
        await asyncio.to_thread(self._server.apply, place.format(self._namespace), item | {"metadata": metadata})


def pair(folder: Path, host: str = "shop.example") -> tuple[str, str]:
    certificate, key = Authority(folder, "root").issue(host, into="shop")
    return certificate.read_text(), key.read_text()


async def test_kube_a_secret_comes_late_is_changed_and_goes(
    kube_server: Any,
    namespace: str,
    rights: Any,
    tmp_path: Path,
    running: Callable[..., AbstractAsyncContextManager[Pilot]],
) -> None:
    """With no more rights than the documentation says."""
    kubeconfig = rights.kubeconfig(tmp_path)
    read, secrets, write, lead, *_ = rights.documented()
    for name, rules, inside in (("r", read, False), ("s", secrets, True), ("w", write, False), ("l", lead, True)):
        rights.grant(name, rules, inside)
    objects = Objects(kube_server, namespace)
    certificate, key = pair(tmp_path)
    await objects.gateway("shop")
    async with running(kubeconfig, namespace, credential_namespaces=(namespace,)):
        await objects.until_said(lambda said: "no Secret shop in any" in said)
        await objects.secret("shop", "kubernetes.io/tls", tls_crt=certificate, tls_key=key)
        await objects.until_said(lambda said: "credential" not in said)
        await objects.secret("shop", "kubernetes.io/tls", tls_crt=certificate, tls_key="garbage")
        await objects.until_said(lambda said: "tls.key" in said)
        await objects.delete_secret("shop")
        await objects.until_said(lambda said: "no Secret shop in any" in said)


async def test_kube_other_peoples_secrets_are_not_kept(
    kube_server: Any,
    namespace: str,
    tmp_path: Path,
    running: Callable[..., AbstractAsyncContextManager[Pilot]],
) -> None:
    objects = Objects(kube_server, namespace)
    await objects.secret("login", "kubernetes.io/dockerconfigjson", _dockerconfigjson='{"auths": {}}')
    await objects.secret("database", password="hunter2", cert="kept")
    kubeconfig = kube_server.kubeconfig(tmp_path / "kubeconfig")
    async with running(kubeconfig, namespace, credential_namespaces=(namespace,)) as pilot:
        kept = {key.name: item.spec for key, item in pilot.world.contents().resources.items() if key.kind == "Secret"}
        assert list(kept) == ["database"]
        assert isinstance(kept["database"], Secret)
        assert kept["database"].value("cert") == b"kept"
        assert set(kept["database"].data) == {"cert"}
