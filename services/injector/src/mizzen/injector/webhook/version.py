"""Whether the cluster's nodes run native sidecars, by the version of its API server."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Callable, Mapping
from typing import Any

from mizzen.kubernetes.client import FAILURES, Client
from mizzen.runtime.backoff import Backoff

NATIVE_SINCE = (1, 33)
"""Native sidecars are stable since then, as Istio asks for it. Its nodes may be three minor versions older: those of
1.30 have them too (beta, and on, since 1.29), where nodes of an API server of 1.29 may be too old."""
ASK_SECONDS = 300.0
"""How often: clusters are upgraded under us."""
RETRY_SECONDS = (0.25, 15.0)
PATH = "/version"


def has_native_sidecars(version: Mapping[str, Any]) -> bool:
    """Of an API server's `/version`; raises ValueError for what is none. Providers write `33+`."""
    numbers = [re.match(r"\d+", str(version.get(part))) for part in ("major", "minor")]
    if not all(numbers):
        raise ValueError(f"the API server's answer to {PATH} has no version: {dict(version)}")
    return tuple(int(number[0]) for number in numbers if number) >= NATIVE_SINCE


async def follow_version(client: Client, on_answer: Callable[[bool], None]) -> None:
    """Tell whether there are native sidecars, again and again, until cancelled."""
    backoff = Backoff(*RETRY_SECONDS)
    while True:
        try:
            on_answer(has_native_sidecars(await client.get(PATH)))
        except FAILURES as error:
            client.outages.begin(PATH, str(error) or type(error).__name__)
            await asyncio.sleep(backoff.next(random.random()))
        else:
            client.outages.end(PATH)
            backoff.reset()
            await asyncio.sleep(ASK_SECONDS)
