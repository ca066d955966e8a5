"""Where keys and certificates are: by the names of secrets, which come from Pilot, from the agent and from files."""

from __future__ import annotations

from typing import Any, Final

from mizzen.proxy.engine.tls_plan import is_from_pilot
from mizzen.proxy.snapshot.result import Invalid, at

_AGENT: Final = "sds-grpc"
"""The cluster by which a stock Envoy finds its agent."""


def secret_name(config: Any) -> str:
    """Of an SdsSecretConfig; raises Invalid for a source that this proxy does not have."""
    if not config.name:
        raise Invalid("name", "is missing")
    with at("sds_config"):
        source = config.sds_config.WhichOneof("config_source_specifier")
        if source == "ads":
            if not is_from_pilot(config.name):
                raise Invalid("", f"{config.name!r} is the agent's, and does not come by ads")
        elif source != "api_config_source" or not _is_agent(config.sds_config.api_config_source):
            raise Invalid("", f"only ads, and the agent's cluster {_AGENT}, are supported")
        elif is_from_pilot(config.name):
            raise Invalid("", f"the agent has no secret {config.name!r}: default, ROOTCA, file-cert: and file-root:")
    return str(config.name)


def file_name(message: Any, field: str) -> str:
    """The path in a DataSource; raises Invalid for what has its contents in it."""
    source = getattr(message, field)
    if source.WhichOneof("specifier") != "filename" or not source.filename:
        raise Invalid(field, "needs a filename; contents come by SDS")
    return str(source.filename)


def _is_agent(source: Any) -> bool:
    return any(service.envoy_grpc.cluster_name == _AGENT for service in source.grpc_services)
