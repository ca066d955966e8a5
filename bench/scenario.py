"""What a proxy is asked to do, in no proxy's language: services, their versions, and the routes to them."""

from __future__ import annotations

from dataclasses import dataclass

VERSIONS = ("v1", "v2")


@dataclass(frozen=True)
class Address:
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Route:
    """A route: `versions` are weights by version. The first route whose conditions all hold is taken."""

    name: str
    versions: dict[str, int]
    prefix: str = "/"
    header: tuple[str, str] | None = None


ROUTES = (
    Route("tester", {"v2": 100}, header=("end-user", "jason")),
    Route("preview", {"v2": 100}, prefix="/preview/"),
    Route("api", {"v1": 90, "v2": 10}, prefix="/api/"),
    Route("rest", {"v1": 100}),
)
"""The routes of every service. A measured request is refused by two before the third takes it."""

PATH = "/api/v1/items/42"
REQUEST_SET = {"x-bench-route": "bench"}
REQUEST_REMOVE = ("x-internal",)
RESPONSE_SET = {"x-served-by": "mesh"}
RESPONSE_REMOVE = ("x-powered-by",)
TIMEOUT_SECONDS = 15
RETRIES = 2


@dataclass(frozen=True)
class Scenario:
    """Services that all have the same `ROUTES`; `endpoints` answer for each version of each service."""

    name: str
    role: str
    """"sidecar" (the outbound side of a workload) or "router" (the ingress gateway)."""
    services: int
    endpoints: tuple[Address, ...]
    bulk: Address | None = None
    """When set, a TCP service behind a TCP listener instead of HTTP ones."""
    mutual: bool = False
    """Mutual TLS to the endpoints, which are sidecars, and one AuthorizationPolicy there."""

    SERVICE_PORT = 8000

    def service(self, index: int) -> str:
        return f"item-{index}"

    def domain(self, index: int) -> str:
        """The host by which clients ask for a service."""
        if self.role == "router":
            return f"{self.service(index)}.example.com"
        return f"{self.service(index)}.default.svc.cluster.local"

    def authority(self, index: int) -> str:
        """The Host header that clients send."""
        return self.domain(index) if self.role == "router" else f"{self.domain(index)}:{self.SERVICE_PORT}"

    @property
    def measured(self) -> str:
        """The Host header of the load: one in the middle."""
        return self.authority(self.services // 2)
