"""What takes an update back, and what brings a new worker up: plans, and the sockets that have to come with them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mizzen.proxy.app.configuration import Configuration
from mizzen.proxy.engine.control import Update
from mizzen.proxy.engine.plan import ListenerPlan, TcpPlan, WeightedCluster

A = ListenerPlan("a", "10.0.0.1", 80, "outbound", TcpPlan("t", (WeightedCluster("c"),)))
HANDED = replace(A, name="handed", bound=False)
DUAL = replace(A, name="dual", more_addresses=(("fd00::1", 80),))
DUAL_SOCKETS = ("dual", "dual fd00::1 80")
SOCKETS: dict[str, Any] = {name: object() for name in ("a", *DUAL_SOCKETS)}
BEFORE = Configuration(1, {("listener", plan.name): plan for plan in (A, HANDED, DUAL)}, SOCKETS)


@pytest.mark.parametrize(
    ("update", "plans", "removed", "sockets"),
    [
        (Update(2, (replace(A, buffer_limit=1),)), (A,), (), ()),
        (Update(2, (replace(A, port=81),), (), ("a",)), (A,), (), ("a",)),
        (Update(2, (replace(A, bound=False),)), (A,), (), ("a",)),
        (Update(2, (), (("listener", "a"),)), (A,), (), ("a",)),
        (Update(2, (), (("listener", "handed"),)), (HANDED,), (), ()),
        (Update(2, (replace(HANDED, bound=True),), (), ("handed",)), (HANDED,), (), ()),
        (Update(2, (replace(DUAL, more_addresses=()),)), (DUAL,), (), DUAL_SOCKETS),
        (Update(2, (replace(A, name="new"),), (), ("new",)), (), (("listener", "new"),), ()),
        (
            Update(2, (replace(A, name="successor"),), (("listener", "a"),), ("successor",)),
            (A,),
            (("listener", "successor"),),
            ("a",),
        ),
    ],
)
def test_the_inverse_of_an_update(update: Update, plans: Any, removed: Any, sockets: tuple[str, ...]) -> None:
    assert BEFORE.inverse(update, 3) == Update(3, plans, removed, sockets)
    after = BEFORE.after(update, SOCKETS)
    assert after.after(BEFORE.inverse(update, 3), SOCKETS).plans == BEFORE.plans


def test_a_new_worker_gets_all_sockets_there_are() -> None:
    assert BEFORE.replay().sockets == tuple(SOCKETS)
    assert BEFORE.replay([("cluster", "gone")]).removed == (("cluster", "gone"),)
