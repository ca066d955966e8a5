"""The addresses of the local runtime: what listens where."""

from __future__ import annotations

from collections.abc import Collection, Mapping

PILOT = "127.0.1.1"
XDS_PORT = 15010
SECURE_PORT = 15012
MONITORING_PORT = 15014
ADMIN_PORT = 15000
HTTP_PROXY_PORT = 15007
HEALTH_PORT = 15021
METRICS_PORT = 15090

MIXER = "127.0.1.2"
MIXER_PORT = 9091
MIXER_TLS_PORT = 15004
TELEMETRY_PORT = 42422

GATEWAY = "127.0.0.1"
GATEWAY_PORT = 8080
GATEWAY_ADMIN = "127.0.1.10"

MAX_WORKLOADS = 65_000


def fixed_addresses() -> tuple[tuple[str, int], ...]:
    """The listening addresses that every mesh needs, whatever it runs."""
    return (
        (GATEWAY, GATEWAY_PORT),
        (PILOT, XDS_PORT),
        (PILOT, MONITORING_PORT),
        (MIXER, MIXER_PORT),
        (MIXER, MONITORING_PORT),
        (MIXER, TELEMETRY_PORT),
        (GATEWAY_ADMIN, ADMIN_PORT),
        (GATEWAY_ADMIN, HEALTH_PORT),
        (GATEWAY_ADMIN, METRICS_PORT),
    )


def sidecar_address(number: int) -> str:
    """127.1.0.N, which the workload's sidecar owns."""
    return f"127.1.{number >> 8}.{number & 255}"


def app_address(number: int) -> str:
    """127.2.0.N, behind it, where the application listens."""
    return f"127.2.{number >> 8}.{number & 255}"


def allot(pod: str, remembered: Mapping[str, int], in_use: Collection[int]) -> int:
    """The number of a pod: the one it had before when that is free, else the lowest that nobody has or had.

    When every number was given once, the lowest free one is given again. Raises ValueError when none is free.
    """
    before = remembered.get(pod)
    if before is not None and before not in in_use:
        return before
    known = set(remembered.values())
    free = [number for number in range(1, MAX_WORKLOADS + 1) if number not in in_use]
    if not free:
        raise ValueError(f"all {MAX_WORKLOADS} workload addresses are in use")
    return next((number for number in free if number not in known), free[0])
