"""What an injected Pod looks like: a row for each annotation, label and setting that has a say, in cases/*.yaml."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from mizzen.injector.injection.inject import Place, inject
from mizzen.injector.injection.settings import read_settings

CASES = [
    pytest.param(case, id=f"{file.stem}: {case['name']}")
    for file in sorted((Path(__file__).parent / "cases").glob("*.yaml"))
    for case in yaml.safe_load(file.read_text())
]


@pytest.mark.parametrize("case", CASES)
def test_injected_pod(case: dict[str, Any], pod_of: Callable[..., Any], seen: Any) -> None:
    pod = pod_of(**{name: case[name] for name in ("annotations", "labels", "spec", "app") if name in case})
    texts = [yaml.safe_dump(case.get(name)) for name in ("values", "mesh", "policy")]
    settings = read_settings(*texts, native_sidecars=case.get("native", False))
    place = Place("shop", cluster=case.get("cluster", ""), network=case.get("network", ""))
    injected = inject(pod, settings, place)
    view = seen(injected.pod)
    assert {question: view[question] for question in case["expected"]} == case["expected"]
    assert inject(injected.pod, settings, place).pod == injected.pod


def test_there_are_enough_rows() -> None:
    assert len(CASES) >= 90
