"""A real Kubernetes API server on a real etcd, for tests marked `kube`."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from services.pilot.tests.kubernetes.running_pilot import serving
from support.kube.local import found, run_api_server
from support.kube.programs import CHART, REPOSITORY, gateway_api
from support.kube.site import Loopback

from mizzen.pilot.app.pilot import Pilot
from mizzen.pilot.app.settings import Settings
from mizzen.pilot.ingest.kubernetes import status
from mizzen.runtime.address import Address, unused_port

CRDS = CHART / "crds"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
START_SECONDS = 60


class ApiServer:
    """An API server that can be stopped and started again, without controllers around it."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._stack = stack
        self._site = Loopback()
        self._plane = found(folder, stack, self._site)
        self._administrator = self._plane.authority.client("administrator", "system:masters")
        self._tls = ssl.create_default_context(cafile=self._plane.authority.file)
        self._tls.load_cert_chain(*self._administrator)
        self.port = self._plane.port
        self.start()

    def start(self) -> None:
        """Start it and wait until it is ready."""
        options = ("--disable-admission-plugins=ServiceAccount", "--etcd-compaction-interval=0")
        self._process = run_api_server(self._plane, self._stack, self._site, *options)

    def stop(self) -> None:
        """End it at once, as a crash would."""
        self._process.kill()

    def compact(self) -> None:
        """Have etcd forget all history up to now."""
        version = self.request("GET", "/api/v1/namespaces")["metadata"]["resourceVersion"]
        body = json.dumps({"revision": version, "physical": True}).encode()
        request = urllib.request.Request(f"{self._plane.etcd}/v3/kv/compaction", body, method="POST")
        urllib.request.urlopen(request, timeout=10).close()

    def request(self, method: str, path: str, body: Any = None, kind: str = "application/json") -> Any:
        """Ask as administrator; raises urllib.error.HTTPError."""
        data = None if body is None else json.dumps(body).encode()
        url = f"https://127.0.0.1:{self.port}{path}"
        request = urllib.request.Request(url, data, {"Content-Type": kind}, method=method)
        with urllib.request.urlopen(request, timeout=20, context=self._tls) as response:
            return json.loads(response.read())

    def apply(self, path: str, item: dict[str, Any]) -> Any:
        """Make the object as stated (server-side apply)."""
        name = item["metadata"]["name"]
        return self.request(
            "PATCH", f"{path}/{name}?fieldManager=test&force=true", item, "application/apply-patch+yaml"
        )

    def define(self, folder: Path) -> None:
        """Install the definitions in a folder, and wait until they are served."""
        definitions = _definitions(folder)
        for item in definitions:
            self.apply(DEFINITIONS, item)
        _await_served({version_path(item) for item in definitions}, self)

    def undefine(self, folder: Path) -> None:
        """Remove them with all their objects, and wait until they are gone."""
        paths = {f"{DEFINITIONS}/{item['metadata']['name']}" for item in _definitions(folder)}
        for path in paths:
            self.delete(path)
        deadline = time.monotonic() + START_SECONDS
        while paths:
            try:
                self.request("GET", next(iter(paths)))
                assert time.monotonic() < deadline, f"{paths} stay"
                time.sleep(0.1)
            except urllib.error.HTTPError as error:
                if error.code != 404:
                    raise
                paths.pop()

    def delete(self, path: str) -> None:
        self.request("DELETE", path)

    def kubeconfig(self, path: Path, port: int | None = None, **login: str) -> Path:
        """Write one; `login` is how to log in, as administrator by default."""
        certificate, key = self._administrator
        administrator = {"client-certificate": certificate, "client-key": key}
        return self._plane.write_kubeconfig(path, login or administrator, port or self.port)


@pytest.fixture(scope="session")
def kube_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """Running, with our definitions."""
    with ExitStack() as stack:
        server = ApiServer(tmp_path_factory.mktemp("kube"), stack)
        server.define(CRDS)
        yield server


def _definitions(folder: Path) -> list[dict[str, Any]]:
    files = sorted(folder.glob("*.yaml"))
    return [item for file in files for item in yaml.safe_load_all(file.read_text()) if item]


def version_path(definition: dict[str, Any]) -> str:
    spec = definition["spec"]
    return f"/apis/{spec['group']}/{spec['versions'][0]['name']}/{spec['names']['plural']}"


def _await_served(paths: set[str], server: ApiServer) -> None:
    deadline = time.monotonic() + START_SECONDS
    while paths:
        try:
            server.request("GET", f"{next(iter(paths))}?limit=1")
            paths.pop()
        except urllib.error.HTTPError as error:
            if error.code != 404 or time.monotonic() > deadline:
                raise
            time.sleep(0.1)


@pytest.fixture
def gateway_api_definitions(kube_server: ApiServer) -> Iterator[None]:
    """Those of the Gateway API, for this test alone."""
    kube_server.define(gateway_api())
    yield
    kube_server.undefine(gateway_api())


@pytest.fixture
def namespace(kube_server: ApiServer) -> str:
    """A new one."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    kube_server.apply("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    return name


class Rights:
    """A ServiceAccount of the namespace, and what it may do."""

    def __init__(self, server: ApiServer, namespace: str) -> None:
        self._server = server
        self._namespace = namespace

    @staticmethod
    def documented() -> list[list[dict[str, Any]]]:
        """Of reading, of gateways' Secrets, of status, of leading; of tokens and roots, of keeping the authority."""
        text = (REPOSITORY / "docs/install/pilot-on-kubernetes.md").read_text()
        return [yaml.safe_load(block)["rules"] for block in re.findall(r"```yaml\n(rules:.*?)```", text, re.DOTALL)]

    def kubeconfig(self, folder: Path) -> Path:
        """Of the account, which has no rights yet."""
        path = f"/api/v1/namespaces/{self._namespace}/serviceaccounts"
        metadata = {"name": "pilot", "namespace": self._namespace}
        self._server.apply(path, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
        asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        token = self._server.request("POST", f"{path}/pilot/token", asked)["status"]["token"]
        (folder / "token").write_text(f"{token}\n")
        return self._server.kubeconfig(folder / "kubeconfig", tokenFile=str(folder / "token"))

    def grant(self, name: str, rules: list[dict[str, Any]], inside: bool) -> None:
        """Everywhere, or inside the namespace alone."""
        name = f"{self._namespace}-{name}"
        scope = "" if inside else "Cluster"
        path = "/apis/rbac.authorization.k8s.io/v1" + (f"/namespaces/{self._namespace}" if inside else "")
        metadata = {"name": name} | ({"namespace": self._namespace} if inside else {})
        item = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": metadata}
        self._server.apply(f"{path}/{scope.lower()}roles", item | {"kind": f"{scope}Role", "rules": rules})
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": f"{scope}Role", "name": name}
        subjects = [{"kind": "ServiceAccount", "name": "pilot", "namespace": self._namespace}]
        binding = item | {"kind": f"{scope}RoleBinding", "roleRef": role, "subjects": subjects}
        self._server.apply(f"{path}/{scope.lower()}rolebindings", binding)


@pytest.fixture
def rights(kube_server: ApiServer, namespace: str) -> Rights:
    return Rights(kube_server, namespace)


@asynccontextmanager
async def _running(kubeconfig: Path, namespace: str, **changes: Any) -> AsyncIterator[Pilot]:
    anywhere = Address("127.0.0.1", 0)
    lease = (namespace, "mizzen-pilot")
    settings = Settings(anywhere, anywhere, None, None, kubeconfig=str(kubeconfig), status_lease=lease, **changes)
    async with serving(Pilot(settings)) as pilot:
        yield pilot


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch) -> Callable[..., AbstractAsyncContextManager[Pilot]]:
    """Runs a Pilot with a kubeconfig that leads by a Lease of a namespace and writes status without delay."""
    monkeypatch.setattr(status, "LOOK_SECONDS", 0.1)
    return _running


class Relay:
    """The network between Pilot and the API server, which can be cut."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._streams: set[asyncio.StreamWriter] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.port = unused_port()

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def cut(self) -> None:
        """End all connections and take no new ones."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for stream in tuple(self._streams):
            stream.transport.abort()
        await asyncio.gather(*self._serving)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        self._streams.add(writer)
        try:
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            self._streams.discard(writer)
            return
        self._streams.add(there_writer)
        both = [asyncio.ensure_future(_copy(reader, there_writer)), asyncio.ensure_future(_copy(there_reader, writer))]
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        for task in both:
            task.cancel()
        await asyncio.gather(*both, return_exceptions=True)
        for stream in (writer, there_writer):
            stream.transport.abort()
            self._streams.discard(stream)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        return  # the other end is gone, which is what the relay is for


@pytest.fixture
async def relay(kube_server: ApiServer) -> AsyncIterator[Relay]:
    """Open at first."""
    relay = Relay(kube_server.port)
    await relay.open()
    yield relay
    await relay.cut()
