"""What a service reads from its command line and environment, once, at start."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

SERVICES = ("productpage", "details", "reviews", "ratings")


@dataclass(frozen=True, slots=True)
class Settings:
    """One process of the demo."""

    service: str
    version: str = "v1"
    address: str = "127.0.0.1"
    port: int = 9080
    pod: str = ""
    """The name under which reviews introduces itself; HOSTNAME, as Kubernetes sets it."""
    cluster: str = "null"
    proxy: str | None = None
    """Where calls to other services go first, such as http://127.1.0.1:15007; None calls them directly."""
    details: str = "http://details:9080"
    reviews: str = "http://reviews:9080"
    ratings: str = "http://ratings:9080"

    @property
    def workload(self) -> str:
        return f"{self.service}-{self.version}"


def read_settings(argv: Sequence[str], environ: Mapping[str, str]) -> Settings:
    """Parse `SERVICE [--version V]`; a wrong command line ends the process with usage, as argparse does."""
    parser = argparse.ArgumentParser(prog="bookinfo", description="One service of the bookinfo demo.")
    parser.add_argument("service", choices=SERVICES)
    parser.add_argument("--version", default="v1", help="for reviews: v1 no stars, v2 black stars, v3 red stars")
    given = parser.parse_args(argv)
    port = environ.get("PORT", "9080")
    if not port.isdecimal() or int(port) > 65535:
        parser.error(f"PORT must be a port number, not {port!r}")
    defaults = Settings(given.service)
    return Settings(
        service=given.service,
        version=given.version,
        address=environ.get("APP_ADDRESS", defaults.address),
        port=int(port),
        pod=environ.get("HOSTNAME", ""),
        cluster=environ.get("CLUSTER_NAME", defaults.cluster),
        proxy=environ.get("http_proxy") or None,
        details=environ.get("DETAILS_URL", defaults.details),
        reviews=environ.get("REVIEWS_URL", defaults.reviews),
        ratings=environ.get("RATINGS_URL", defaults.ratings),
    )
