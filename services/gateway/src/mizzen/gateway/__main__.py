"""`python -m mizzen.gateway`: an ingress gateway."""

from __future__ import annotations

from mizzen.gateway.settings import INGRESS
from mizzen.proxy.__main__ import main as run_proxy


def main() -> None:
    """Run the gateway; exits with its status."""
    run_proxy(INGRESS)


if __name__ == "__main__":
    main()
