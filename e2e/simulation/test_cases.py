"""Every case of the tables, decided by Mizzen."""

from __future__ import annotations

import pytest
from simulation.cases import CASES, WORLDS
from simulation.harness.call import Case
from simulation.harness.simulate import simulate


@pytest.mark.parametrize("case", CASES, ids=str)
def test_mizzen_decides_as_istio_does(case: Case) -> None:
    case.check(simulate(WORLDS[case.world], case.call))
