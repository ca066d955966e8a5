"""From what an ADS client holds to what the workers run: sockets first, then plans."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from typing import Final

from mizzen.proxy.app.configuration import PlanKey, plan_key
from mizzen.proxy.app.secrets.files import FileSecrets, is_file
from mizzen.proxy.app.sockets import ListeningSockets
from mizzen.proxy.app.workers import Workers
from mizzen.proxy.engine.control import Update
from mizzen.proxy.engine.plan import ListenerPlan, Plan
from mizzen.proxy.engine.tls_plan import SecretPlan
from mizzen.proxy.snapshot.ads_session import Delivery
from mizzen.proxy.snapshot.result import Rejected, title

log = logging.getLogger(__name__)

DIRECTIONS: Final = ("inbound", "outbound", "unspecified")


class Deliverer:
    """Applies deliveries one after the other."""

    def __init__(
        self,
        workers: Workers,
        sockets: ListeningSockets,
        now: Callable[[], float],
        wanted: Callable[[], Collection[str]] = tuple,
    ) -> None:
        """`wanted` are the names of all secrets that listeners and clusters refer to."""
        self.files = FileSecrets(self.keep)
        self.secrets: dict[str, SecretPlan] = {}
        """Those that the workers have."""
        self._wanted = wanted
        self.updated: dict[PlanKey, float] = {}
        """When the workers took each plan."""
        self._workers = workers
        self._sockets = sockets
        self._now = now
        self._listeners: dict[str, ListenerPlan] = {}
        self._closed: set[str] = set()
        """Directions in which no more connections are taken."""
        self._busy = asyncio.Lock()

    @property
    def listeners(self) -> Mapping[str, ListenerPlan]:
        """Those that take connections."""
        return self._listeners

    async def deliver(self, delivery: Delivery) -> tuple[Rejected, ...]:
        """Everything at once; when the workers refuse that, one plan after the other, so that one takes no other along.

        Returns what could not be had: listeners whose address is taken, and plans that the workers refuse. RuntimeError
        when they do not even part with what was removed.
        """
        async with self._busy:
            from_files, gone = self._file_secrets()
            plans, removed = (*from_files, *delivery.plans), (*delivery.removed, *gone)
            rejected, reason = await self._apply(plans, removed)
            if not reason:
                return rejected
            log.error("The workers refuse an update: %s", reason)
            found: list[Rejected] = []
            for plan in plans:
                rejected, reason = await self._apply((plan,), ())
                found += [Rejected(title(plan), "", reason)] if reason else rejected
            _, reason = await self._apply((), removed)
            if reason:
                raise RuntimeError(f"the workers refuse a removal: {reason}")
            return tuple(found)

    async def keep(self, secrets: tuple[SecretPlan, ...]) -> None:
        """Let the workers use these from now on. RuntimeError when they cannot: they keep what they have."""
        async with self._busy:
            _, reason = await self._apply(secrets, ())
        if reason:
            raise RuntimeError(f"the workers refuse a certificate: {reason}")

    def _file_secrets(self) -> tuple[tuple[SecretPlan, ...], tuple[PlanKey, ...]]:
        """What the workers need of files and do not have, and what they have and need no more."""
        self.files.want(filter(is_file, self._wanted()))
        current = self.files.current
        fresh = tuple(plan for plan in current.values() if self.secrets.get(plan.name) != plan)
        gone = tuple(name for name in self.secrets if is_file(name) and name not in current)
        return fresh, tuple(("secret", name) for name in gone)

    async def close_listeners(self, directions: Collection[str] = DIRECTIONS) -> None:
        """Take no more connections, now and for plans to come; those that are open go on."""
        async with self._busy:
            self._closed.update(directions)
            closed = [name for name, plan in self._listeners.items() if plan.direction in self._closed]
            gone: tuple[PlanKey, ...] = tuple(("listener", name) for name in closed)
            reason = (await self._apply((), gone, spares_open=True))[1]
            if reason:
                log.error("The workers do not close their listeners: %s", reason)

    async def _apply(
        self, plans: tuple[Plan, ...], removed: tuple[PlanKey, ...], *, spares_open: bool = False
    ) -> tuple[tuple[Rejected, ...], str]:
        """What could not be listened on, and why the workers refuse the rest or ""."""
        plans = tuple(plan for plan in plans if not self._is_closed(plan))
        listeners = [plan for plan in plans if isinstance(plan, ListenerPlan)]
        binding, rejected = self._sockets.bind(listeners, (name for kind, name in removed if kind == "listener"))
        unbound = {problem.resource for problem in rejected}
        usable = tuple(plan for plan in plans if title(plan) not in unbound)
        update = Update(0, usable, removed, tuple(binding.fresh), spares_open)
        try:
            reason = await self._workers.apply(update, binding.sockets)
        except BaseException:
            binding.take_back()
            raise
        if reason:
            binding.take_back()
        else:
            binding.commit()
            self._note(usable, removed)
        return rejected, reason

    def _is_closed(self, plan: Plan) -> bool:
        return isinstance(plan, ListenerPlan) and plan.direction in self._closed

    def _note(self, plans: tuple[Plan, ...], removed: tuple[PlanKey, ...]) -> None:
        for key in removed:
            self.updated.pop(key, None)
            if key[0] == "listener":
                self._listeners.pop(key[1], None)
            elif key[0] == "secret":
                self.secrets.pop(key[1], None)
        for plan in plans:
            self.updated[plan_key(plan)] = self._now()
            if isinstance(plan, ListenerPlan):
                self._listeners[plan.name] = plan
            elif isinstance(plan, SecretPlan):
                self.secrets[plan.name] = plan
