"""Where the API server is and how to be known there. Credentials are read again, since their files are renewed."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import yaml

from mizzen.runtime.errors import StartError

IN_CLUSTER = "in-cluster"
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
REREAD_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Server:
    """One API server as a client needs to know it."""

    url: str
    tls: ssl.SSLContext | None = None
    """None for plain HTTP."""
    tls_name: str | None = None
    """The name in its certificate, where that is not the host of `url`."""
    authorization: str = field(default="", repr=False)
    proxy: str | None = None


class Access(Protocol):
    """A source of the server's address and of credentials."""

    async def server(self) -> Server:
        """As of now; raises OSError or ValueError that says what is wrong."""
        ...

    def refused(self) -> None:
        """The server took the credentials for invalid: read them again, however fresh they are."""
        ...


def access_to(kubeconfig: str, environment: Mapping[str, str]) -> Access:
    """The access that a setting names: `in-cluster`, or the path of a kubeconfig. Raises StartError."""
    if kubeconfig != IN_CLUSTER:
        if not Path(kubeconfig).is_file():
            raise StartError(f"kubeconfig {kubeconfig}: there is no such file")
        return Kubeconfig(Path(kubeconfig))
    host, port = environment.get("KUBERNETES_SERVICE_HOST"), environment.get("KUBERNETES_SERVICE_PORT")
    if not host or not port:
        raise StartError(
            "in-cluster: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set, so this is no Pod; "
            "name a kubeconfig instead"
        )
    return InCluster(f"https://{f'[{host}]' if ':' in host else host}:{port}")


async def check(access: Access) -> None:
    """Raise StartError for what no API server can be asked with: a broken kubeconfig, or missing certificates."""
    try:
        await access.server()
    except (OSError, ValueError) as error:
        raise StartError(f"cannot use the Kubernetes API: {error}") from error


class InCluster:
    """The ServiceAccount of the Pod that this runs in."""

    def __init__(self, url: str, folder: Path = SERVICE_ACCOUNT) -> None:
        self._url = url
        self._folder = folder
        self._contexts = Contexts()

    async def server(self) -> Server:
        token = (self._folder / "token").read_text("ascii").strip()  # a small file in memory: not worth a thread
        tls = self._contexts.get(str(self._folder / "ca.crt"))
        return Server(self._url, tls, authorization=f"Bearer {token}")

    def refused(self) -> None:
        """The token is read for each request anyway."""


class Kubeconfig:
    """The current context of a kubeconfig, with whatever it uses to log in."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._contexts = Contexts()
        self._server: Server | None = None
        self._stale_at = 0.0
        self._reading = asyncio.Lock()

    async def server(self) -> Server:
        async with self._reading:  # many ask at a time, and a login command may take a while
            if self._server is None or self._clock() >= self._stale_at:
                self._server = await self._read()
                self._stale_at = self._clock() + REREAD_SECONDS
            return self._server

    def refused(self) -> None:
        self._stale_at = 0.0

    async def _read(self) -> Server:
        # Imported here: 22 MB that a Pilot inside the cluster does not need.
        from kubernetes.aio.client import Configuration
        from kubernetes.aio.config import ConfigException, load_kube_config

        configuration = Configuration()
        try:
            await load_kube_config(  # type: ignore[no-untyped-call]
                str(self._path), client_configuration=configuration, persist_config=False
            )
        except (ConfigException, yaml.YAMLError, AttributeError, KeyError, TypeError) as error:
            # For a file that is no mapping, or half of one, the library raises whatever it stumbles over.
            raise ValueError(f"kubeconfig {self._path}: {' '.join(str(error).split())}") from error
        tls = None
        if configuration.host.startswith("https:"):
            tls = self._contexts.get(
                configuration.ssl_ca_cert, configuration.cert_file, configuration.key_file, configuration.verify_ssl
            )
        return Server(
            configuration.host,
            tls,
            configuration.tls_server_name or None,
            configuration.api_key.get("BearerToken", "").strip(),
            configuration.proxy or None,
        )


class Contexts:
    """The TLS context of the last files, made anew when one of them was replaced."""

    def __init__(self) -> None:
        self._key: object = None
        self._context: ssl.SSLContext | None = None

    def get(
        self, authority: str | None, certificate: str | None = None, key: str | None = None, verify: bool = True
    ) -> ssl.SSLContext:
        """A client's context; raises OSError (ssl.SSLError among it) for files that are missing or broken."""
        files = (authority, certificate, key)
        state = (files, verify, tuple(Path(file).stat().st_mtime_ns if file else 0 for file in files))
        if self._context is None or state != self._key:
            self._context = _context(authority, certificate, key, verify)
            self._key = state
        return self._context


def _context(authority: str | None, certificate: str | None, key: str | None, verify: bool) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=authority)
    # Python 3.13 demands extensions that the authorities of many clusters lack.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if certificate:
        context.load_cert_chain(certificate, key)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
