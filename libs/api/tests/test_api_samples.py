"""The classic stories of the book shop, in the syntax that users know: all of it is read, and nothing is wrong."""

from pathlib import Path

import pytest

from mizzen.api.dump import to_yaml
from mizzen.api.parse import parse

SAMPLES = sorted((Path(__file__).parent / "samples").glob("*.yaml"))


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_a_sample_is_read_without_errors(path):
    parsed = parse(path.read_text(), file=path.name)
    assert parsed.resources
    assert parsed.errors == ()
    expected = ("ServiceAccount", "is deprecated")
    others = [str(each) for each in parsed.problems if not any(words in each.message for words in expected)]
    assert others == []
    assert parse(to_yaml(parsed.resources)).resources == parsed.resources


def test_the_samples_cover_the_networking_kinds():
    kinds = {resource.kind for path in SAMPLES for resource in parse(path.read_text()).resources}
    assert kinds >= {
        "DestinationRule",
        "Gateway",
        "Service",
        "ServiceEntry",
        "Sidecar",
        "VirtualService",
        "WorkloadEntry",
        "Deployment",
    }
