"""Kubeconfigs, as far as a service uses them: certificates and tokens, written out or in files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mizzen.api.types import Base64
from mizzen.kubernetes.server import Server
from mizzen.kubernetes.tls import Certificates, Contexts


class Model(BaseModel):
    """Part of the file; what is not read is ignored. Names are written with hyphens, but for `tokenFile`."""

    model_config = ConfigDict(frozen=True, alias_generator=lambda name: name.rstrip("_").replace("_", "-"))


class Cluster(Model):
    """An API server."""

    server: str
    certificate_authority: str = ""
    certificate_authority_data: Base64 = b""
    insecure_skip_tls_verify: bool = False
    tls_server_name: str = ""
    proxy_url: str = ""


class User(Model):
    """How to log in."""

    token: str = Field("", repr=False)
    token_file: str = Field("", alias="tokenFile")
    client_certificate: str = ""
    client_certificate_data: Base64 = b""
    client_key: str = ""
    client_key_data: Base64 = Field(b"", repr=False)
    exec_: Any = None
    auth_provider: Any = None


class Context(Model):
    """Which cluster, as whom."""

    cluster: str
    user: str = ""


class NamedCluster(Model):
    name: str
    cluster: Cluster


class NamedUser(Model):
    name: str
    user: User = User()


class NamedContext(Model):
    name: str
    context: Context


class File(Model):
    """The whole file."""

    clusters: tuple[NamedCluster, ...]
    users: tuple[NamedUser, ...] = ()
    contexts: tuple[NamedContext, ...]
    current_context: str


NamedT = TypeVar("NamedT", NamedCluster, NamedUser, NamedContext)


class Kubeconfig:
    """The current context of a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._contexts = Contexts()

    def server(self) -> Server:
        """As of now; raises ValueError that names the file and what is wrong, or OSError."""
        try:
            file = _parse(self._path.read_text("utf-8"))
            context = _named(file.contexts, file.current_context, "contexts").context
            cluster = _named(file.clusters, context.cluster, "clusters").cluster
            user = _named(file.users, context.user, "users").user if context.user else User()
            if (user.exec_ or user.auth_provider) and not (user.token or user.token_file):
                raise ValueError(
                    f"user {context.user} logs in with a command (exec, auth-provider), which is not run here; "
                    "use a token, a token file or a certificate, for instance those of a ServiceAccount"
                )
            return _server(self._path.parent, cluster, user, self._contexts)
        except ValueError as error:
            raise ValueError(f"kubeconfig {self._path}: {error}") from error


def _parse(text: str) -> File:
    try:
        return File.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise ValueError(f"this is not YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        wrong = (
            ": ".join(part for part in (".".join(str(step) for step in item["loc"]), item["msg"]) if part)
            for item in error.errors(include_input=False, include_url=False)
        )
        raise ValueError("; ".join(wrong)) from None  # its text would show tokens


def _named(entries: Sequence[NamedT], name: str, place: str) -> NamedT:
    for entry in entries:
        if entry.name == name:
            return entry
    raise ValueError(f"there is no {name!r} among its {place}")


def _server(folder: Path, cluster: Cluster, user: User, contexts: Contexts) -> Server:
    tls = None
    if cluster.server.startswith("https:"):
        certificates = Certificates(
            cluster.certificate_authority_data or _file(folder, cluster.certificate_authority),
            user.client_certificate_data or _file(folder, user.client_certificate),
            user.client_key_data or _file(folder, user.client_key),
            not cluster.insecure_skip_tls_verify,
        )
        tls = contexts.get(certificates)
    token = _file(folder, user.token_file).decode("ascii") or user.token
    return Server(
        cluster.server.rstrip("/"),
        tls,
        cluster.tls_server_name or None,
        f"Bearer {token.strip()}" if token else "",
        cluster.proxy_url or None,
    )


def _file(folder: Path, name: str) -> bytes:
    """Relative to the kubeconfig."""
    return (folder / name).read_bytes() if name else b""
