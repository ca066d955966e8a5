"""From the name of a workload to the admin interface of its proxy."""

from __future__ import annotations

from mizzen.cli.errors import UserError
from mizzen.cli.local import gateway
from mizzen.cli.local.layout import GATEWAY_ADMIN
from mizzen.cli.local.state import MeshState

GATEWAY_NAMES = ("istio-ingressgateway", "ingressgateway", f"{gateway.NAME}-1")


def admin_host(state: MeshState, name: str) -> str:
    """The address of the proxy of a pod (reviews-v2-1) or of the first pod of a Deployment (reviews-v2).

    Either may be followed by `.NAMESPACE`. Raises UserError that lists what there is.
    """
    plain, _, namespace = name.partition(".")
    if plain in GATEWAY_NAMES and namespace in ("", gateway.NAMESPACE):
        return GATEWAY_ADMIN
    for pod in state.pods:
        if namespace in ("", pod.namespace) and plain == pod.name:
            return pod.address
    for pod in state.pods:
        if namespace in ("", pod.namespace) and plain == pod.deployment:
            return pod.address
    known = ", ".join(sorted({pod.deployment for pod in state.pods} | {gateway.NAME}))
    raise UserError(f"There is no workload {name!r}; the workloads are {known}.")
