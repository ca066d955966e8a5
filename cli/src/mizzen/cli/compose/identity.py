"""Tokens of the proxies and of Mixer in a compose file, each in a folder that its container alone mounts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mizzen.cli.compose.containers import NAMESPACE, ROLE, SERVICE_ACCOUNT
from mizzen.cli.errors import UserError
from mizzen.cli.local.home import Home
from mizzen.cli.local.security import TokenIssuer

ACCOUNT: Final = "ISTIO_META_SERVICE_ACCOUNT"
ROLES: Final = ("proxy", "mixer")
"""Of containers that have an identity of their own."""
TOKEN: Final = "istio-token"  # noqa: S105 - the name of a file, as on Kubernetes


def give_tokens(home: Home, services: Mapping[str, Mapping[str, Any]]) -> None:
    """A new token for each proxy and for Mixer, in `identity/containers/SERVICE`. Raises UserError.

    `services` are those of the compose file. Containers have users of their own, so everybody may read a token in its
    folder; who else is on this machine gets no further than the folder of all, which is its owner's alone.
    """
    try:
        home.identity.mkdir(parents=True, exist_ok=True)
        home.identity.chmod(0o700)
        issuer = TokenIssuer(home)
        for name, service in services.items():
            labels, variables = service.get("labels") or {}, service.get("environment") or {}
            if labels.get(ROLE) not in ROLES:
                continue
            folder = home.identity / "containers" / name
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o755)
            account = str(variables.get(ACCOUNT) or labels.get(SERVICE_ACCOUNT) or "default")
            issuer.issue(folder / TOKEN, str(labels.get(NAMESPACE) or "default"), account, mode=0o644)
    except (OSError, ValueError) as error:
        raise UserError(f"The proxies cannot be given tokens: {error}") from error
