"""Whether configuration that is wrong is refused, found out by trying."""

from __future__ import annotations

from typing import Any

from mizzen.kubernetes.client import ApiError, Client

NAME = "mizzen-injector-proof"
DENIED = "denied the request"
"""What the API server says of a webhook's refusal, and of no other."""


class Proof:
    """Asks once for a Gateway that is none, dry, so that nothing is stored; what was proven stays so."""

    def __init__(self, client: Client, namespace: str, revision: str) -> None:
        self._client = client
        self._path = f"/apis/networking.istio.io/v1/namespaces/{namespace}/gateways?dryRun=All"
        self._gateway: dict[str, Any] = {
            "apiVersion": "networking.istio.io/v1",
            "kind": "Gateway",
            # The label, so that it is this revision's webhook that is asked.
            "metadata": {"name": NAME, "namespace": namespace, "labels": {"istio.io/rev": revision}},
            "spec": {"servers": []},
        }
        self._refused = False

    async def holds(self) -> bool:
        """Raises as the client does where it cannot even be asked."""
        if not self._refused:
            try:
                await self._client.send("POST", self._path, self._gateway)
            except ApiError as error:
                if DENIED not in str(error):
                    raise
                self._refused = True
        return self._refused
