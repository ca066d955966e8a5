"""WorkloadEntry: a workload outside the platform, such as a virtual machine."""

from pydantic import Field

from mizzen.api.types import Model, Port, UInt32


class WorkloadEntry(Model):
    """An endpoint. The address is an IP, a DNS name, or `unix:///path`; the locality is region/zone/subzone."""

    address: str = ""
    ports: dict[str, Port] = Field(default_factory=dict)
    labels: dict[str, str] = Field(default_factory=dict)
    network: str = ""
    locality: str = ""
    weight: UInt32 | None = None
    service_account: str = ""
