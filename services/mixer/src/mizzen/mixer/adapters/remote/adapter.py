"""remote's parameters. `params_of` makes them from Istio's own `kind: adapter` and `kind: handler`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, ClassVar

from pydantic import Field, field_validator

from mizzen.api import wording
from mizzen.api.mixer.handler import Authentication
from mizzen.api.types import Bool, Duration, Int32, Model
from mizzen.mixer.adapter import AdapterError, Environment, Handler
from mizzen.mixer.adapters.params import read
from mizzen.mixer.adapters.push import Limits
from mizzen.mixer.adapters.remote.backend import Backend, Endpoint
from mizzen.mixer.adapters.remote.handler import RemoteHandler
from mizzen.mixer.adapters.remote.registration import config_of
from mizzen.mixer.adapters.remote.security import security_of
from mizzen.mixer.adapters.remote.services import BY_TEMPLATE
from mizzen.runtime.address import Address


class Params(Model):
    """Where the adapter is, what it takes, and what it is given."""

    address: str
    templates: tuple[str, ...] = ()
    session_based: Bool = False
    config: str = ""
    params: dict[str, Any] = Field(default_factory=dict)
    timeout: Duration = timedelta(seconds=1)
    authentication: Authentication | None = None
    queue_size: Annotated[Int32, Field(ge=1)] = 10_000

    @field_validator("address")
    @classmethod
    def _is_address(cls, text: str) -> str:
        if not text.startswith("unix:"):
            Address.parse(text.removeprefix("tcp://"))
        return text

    @field_validator("templates")
    @classmethod
    def _are_known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in BY_TEMPLATE:
                raise ValueError(f"{name!r} is not a template{wording.suggestion(name, BY_TEMPLATE)}")
        return names


class Remote:
    """Builds handlers that call an adapter over gRPC; the adapter need not run yet."""

    name: ClassVar[str] = "remote"
    templates: ClassVar[frozenset[str]] = frozenset(BY_TEMPLATE)

    async def build(self, params: Mapping[str, object], environment: Environment) -> Handler:
        known = read(Params, params)
        for use in environment.uses:
            if known.templates and use.template not in known.templates:
                raise AdapterError(f"templates: rules send it {use.name}, but it does not take {use.template}")
        seconds = known.timeout.total_seconds()
        config = config_of(known.params, known.config)
        security = security_of(known.authentication)
        endpoint = Endpoint(environment.name, known.address, config, known.session_based, seconds, security)
        return await connect(endpoint, environment, known.queue_size)


async def connect(endpoint: Endpoint, environment: Environment, queue: int) -> Handler:
    """A handler for an adapter's process, its session opened."""
    backend = Backend(endpoint, environment.uses)
    try:
        await backend.open()
    except BaseException:
        await backend.close()
        raise
    limits = Limits(queue=queue, interval=0.1, timeout=2 * endpoint.seconds)
    return RemoteHandler(environment.name, backend, environment.uses, limits)


ADAPTER = Remote()
