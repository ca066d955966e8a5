"""Whom a redirected connection is handed to."""

from dataclasses import replace

import pytest

from mizzen.proxy.engine.hand_off import HandOff
from mizzen.proxy.engine.plan import ListenerPlan, TcpPlan, WeightedCluster

ANY = ListenerPlan("any", "0.0.0.0", 80, "outbound", TcpPlan("t", (WeightedCluster("c"),)), bound=False)
PLANS = (
    ANY,
    replace(ANY, name="any6", address="::"),
    replace(ANY, name="vip", address="10.96.0.1", more_addresses=(("fd00::1", 80),)),
    replace(ANY, name="other", port=81),
)


@pytest.mark.parametrize(
    ("destination", "name"),
    [
        (("10.96.0.1", 80), "vip"),
        (("fd00::1", 80), "vip"),
        (("10.96.0.2", 80), "any"),
        (("fd00::2", 80), "any6"),
        (("10.96.0.1", 81), "other"),
        (("fd00::1", 81), None),
        (("10.96.0.1", 82), None),
    ],
)
def test_the_very_address_then_the_wildcard_of_its_family(destination: tuple[str, int], name: str | None) -> None:
    assert HandOff(PLANS).find(destination) == name
