"""What the Pod's server needs to know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mizzen.proxy.app.pod import probers, targets
from mizzen.proxy.app.pod.probers import Prober, read_probers
from mizzen.proxy.app.pod.targets import Target, read_targets
from mizzen.runtime.address import Address

AGENT_PORT = 15020
SOURCES = {4: "127.0.0.6", 6: "::6"}
"""Where the agent calls the application from: capture leaves connections from there alone."""
LOCALHOST = {4: "127.0.0.1", 6: "::1"}
_LEGACY = "REWRITE_PROBE_LEGACY_LOCALHOST_DESTINATION"


@dataclass(frozen=True, slots=True)
class PodSettings:
    """Of port 15020."""

    address: Address
    application: str
    """The IP address that probes are sent to: the Pod's, as the kubelet would."""
    source: str
    """The one that they are sent from."""
    localhost: str
    """Where the application's metrics are fetched."""
    probers: Mapping[str, Prober]
    """By path."""
    targets: tuple[Target, ...]


def read_pod_settings(address: Address, ip: str, role: str, environment: Mapping[str, str]) -> PodSettings:
    """From the variables that injection writes, for a Pod with the address `ip`. Raises ValueError.

    A gateway scrapes no application: its port may be open to the outside.
    """
    version = 6 if ":" in ip else 4
    legacy = environment.get(_LEGACY, "").lower() == "true"
    scraped = environment.get(targets.VARIABLE, "") if role == "sidecar" else ""
    return PodSettings(
        address=address,
        application=LOCALHOST[version] if legacy else ip,
        source=SOURCES[version],
        localhost=LOCALHOST[version],
        probers=read_probers(environment.get(probers.VARIABLE, "")),
        targets=read_targets(scraped, address.port),
    )
