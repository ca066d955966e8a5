"""Handlers: adapters with their parameters, in the forms of Istio 1.0 and 1.1."""

from enum import StrEnum
from typing import Any, ClassVar

from pydantic import ConfigDict, Field

from mizzen.api.types import Bool, Duration, Model


class Parameters(Model):
    """The spec of a kind that is named like its adapter (`kind: prometheus`): any fields; the adapter knows which."""

    model_config = ConfigDict(extra="allow")

    @property
    def values(self) -> dict[str, Any]:
        """The fields as they were written."""
        return dict(self.model_extra or {})


class AuthHeader(StrEnum):
    """How a token is written in its header."""

    PLAIN = "PLAIN"
    BEARER = "BEARER"


class OAuth(Model):
    """Where to fetch a token."""

    client_id: str = ""
    client_secret: str = ""
    token_url: str = ""
    scopes: tuple[str, ...] = ()
    endpoint_params: dict[str, str] = Field(default_factory=dict)


class Tls(Model):
    """A server's certificate is checked; the caller shows a token."""

    ca_certificates: str = ""
    token_path: str = ""
    oauth: OAuth | None = None
    auth_header: AuthHeader = AuthHeader.PLAIN
    custom_header: str = ""
    server_name: str = ""

    one_of: ClassVar = (("token_path", "oauth"), ("auth_header", "custom_header"))


class Mutual(Model):
    """Both sides show certificates."""

    private_key: str = ""
    client_certificate: str = ""
    ca_certificates: str = ""
    server_name: str = ""


class Authentication(Model):
    """How an adapter outside of Mixer is trusted."""

    tls: Tls | None = None
    mutual: Mutual | None = None

    one_of: ClassVar = (("tls", "mutual"),)


class Connection(Model):
    """Where an adapter outside of Mixer listens."""

    address: str
    timeout: Duration | None = None
    authentication: Authentication | None = None


class Handler(Model):
    """`kind: handler`: an adapter within Mixer (compiledAdapter) or outside of it (adapter, connection)."""

    name: str = ""
    compiled_adapter: str = ""
    adapter: str = ""
    connection: Connection | None = None
    params: dict[str, Any] = Field(default_factory=dict)


class Adapter(Model):
    """`kind: adapter`: what an adapter outside of Mixer takes; config is a FileDescriptorSet in base64."""

    name: str = ""
    description: str = ""
    templates: tuple[str, ...] = ()
    session_based: Bool = False
    config: str = ""


class Template(Model):
    """`kind: template`: instances that an adapter outside of Mixer defines; a FileDescriptorSet in base64."""

    name: str = ""
    descriptor: str = ""
