"""Who runs this mesh, as its control plane knows them: whoever may read the key in its folder."""

from __future__ import annotations

from mizzen.cli.errors import UserError
from mizzen.cli.local.home import Home

ACCOUNT = "mizzen"
TOKEN_SECONDS = 60


def operator_token(home: Home) -> str:
    """A token that opens debug pages, good for a minute; raises UserError where this mesh has no key to sign it."""
    if not home.token_key.exists():
        raise UserError(f"There is no {home.token_key} to sign a token with; `mizzen up` makes one.")
    from mizzen.cli.local.security import TokenIssuer

    try:
        issuer = TokenIssuer(home)
    except (OSError, ValueError) as error:
        raise UserError(f"{home.token_key} cannot be used: {error}") from error
    return issuer.token(issuer.root_namespace, ACCOUNT, TOKEN_SECONDS)
