"""All that the workers run, as a value: what follows from an update, and what takes it back."""

from __future__ import annotations

import socket
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from mizzen.proxy.engine.control import Update
from mizzen.proxy.engine.plan import ClusterPlan, EndpointSetPlan, ListenerPlan, Plan, PlanKind
from mizzen.proxy.engine.tls_plan import SecretPlan

PlanKey: TypeAlias = tuple[PlanKind, str]
Sockets: TypeAlias = Mapping[str, socket.socket]
"""Listening sockets by name (`ListenerPlan.sockets`)."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """Plans and the sockets of all listeners among them, as of the update with this serial."""

    serial: int = 0
    plans: Mapping[PlanKey, Plan] = field(default_factory=dict)
    sockets: Sockets = field(default_factory=dict)

    def after(self, update: Update, sockets: Sockets) -> Configuration:
        """What the update makes of it; `sockets` are those of all listeners that there are then."""
        kept = {key: plan for key, plan in self.plans.items() if key not in update.removed}
        return Configuration(update.serial, kept | {plan_key(plan): plan for plan in update.plans}, sockets)

    def inverse(self, update: Update, serial: int) -> Update:
        """What takes `update` back; sockets of the listeners that it removes or moves come again."""
        touched = [plan_key(plan) for plan in update.plans]
        known = [key for key in (*touched, *update.removed) if key in self.plans]
        return Update(
            serial,
            tuple(self.plans[key] for key in dict.fromkeys(known)),
            tuple(key for key in touched if key not in self.plans),
            tuple(sorted(self._lost(update))),
        )

    def _lost(self, update: Update) -> set[str]:
        """The sockets of listeners that an update removes or moves."""
        after = {plan.name: plan.sockets for plan in update.plans if isinstance(plan, ListenerPlan)}
        lost: set[str] = set()
        for plan in self.plans.values():
            if isinstance(plan, ListenerPlan):
                goes = ("listener", plan.name) in update.removed
                moves = after.get(plan.name, plan.sockets) != plan.sockets
                if goes or moves or not plan.sockets.keys().isdisjoint(update.sockets):
                    lost |= plan.sockets.keys()
        return lost

    def replay(self, held: Collection[PlanKey] = ()) -> Update:
        """What brings a worker here that has nothing, or only `held`."""
        removed = tuple(key for key in held if key not in self.plans)
        return Update(self.serial, tuple(self.plans.values()), removed, tuple(self.sockets))


def plan_key(plan: Plan) -> PlanKey:
    """How a plan is known."""
    if isinstance(plan, ListenerPlan):
        return "listener", plan.name
    if isinstance(plan, ClusterPlan):
        return "cluster", plan.name
    if isinstance(plan, EndpointSetPlan):
        return "endpoint_set", plan.name
    if isinstance(plan, SecretPlan):
        return "secret", plan.name
    return "route_table", plan.name
