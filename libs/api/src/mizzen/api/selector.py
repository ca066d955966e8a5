"""The selector that policies share (istio.type.v1beta1)."""

from pydantic import Field

from mizzen.api.types import Model


class WorkloadSelector(Model):
    """Workloads that carry all these labels. Sidecar and ServiceEntry have their own, see `mizzen.api.sidecar`."""

    match_labels: dict[str, str] = Field(default_factory=dict)
