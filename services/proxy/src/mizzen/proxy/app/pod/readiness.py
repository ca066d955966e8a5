"""Whether the proxy is ready, from its admin pages: those of our own agent, or of a stock Envoy."""

from __future__ import annotations

import json
from typing import Any, Final

from mizzen.proxy.app.pod.http_client import Answer, AnswerError, Peer, ask
from mizzen.runtime.address import Address

MAX_PAGE = 1024 * 1024
_NEEDED: Final = {
    "cluster_manager.cds.update_success": "clusters were not received from Pilot (is it running?)",
    "listener_manager.lds.update_success": "listeners were not received from Pilot (is it running?)",
    "listener_manager.workers_started": "workers have not yet started",
}
_STATS: Final = "/stats?format=json&filter=^(" + "|".join(_NEEDED).replace(".", r"\.") + ")$"


class Readiness:
    """Asks the admin interface at `admin`; a `stock` Envoy is LIVE also after it refused its first configuration."""

    def __init__(self, admin: Address, stock: bool) -> None:
        self._admin = admin
        self._lacks_configuration = stock

    async def problem(self) -> str:
        """Why it is not ready; "" when it is. Raises OSError and AnswerError where nobody answers."""
        if self._lacks_configuration:
            lacking = _lacking(await self._ask(_STATS))
            if lacking:
                return lacking
            self._lacks_configuration = False  # later failures keep what there is
        answer = await self._ask("/ready")
        state = answer.body.decode("utf-8", "replace").strip()
        return "" if answer.status == 200 else f"server is not live, current state is: {state}"

    async def _ask(self, target: str) -> Answer:
        return await ask(Peer(self._admin), "GET", target, (("Host", str(self._admin)),), MAX_PAGE)


def _lacking(answer: Answer) -> str:
    try:
        rows: list[dict[str, Any]] = json.loads(answer.body)["stats"]
    except (ValueError, KeyError) as error:
        raise AnswerError(f"the admin page {_STATS} is not what Envoy shows: {error!r}") from error
    values = {row["name"]: row["value"] for row in rows if "name" in row}
    return next((why for name, why in _NEEDED.items() if not values.get(name)), "")
