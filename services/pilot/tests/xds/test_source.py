"""What the log says of resources that cannot be generated."""

import logging
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from mizzen.pilot.generate.harvest import Generated
from mizzen.pilot.generate.typeurls import CLUSTER
from mizzen.pilot.snapshot.mesh import Mesh
from mizzen.pilot.xds import source as source_module
from mizzen.pilot.xds.metrics import ServingMetrics
from mizzen.pilot.xds.session import GenerationError
from mizzen.pilot.xds.source import FailureLog, MeshSource


def test_a_failure_is_logged_once_a_mesh_and_counted_each_time(
    sidecar: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(source_module, "generate", lambda *_: Generated(failures={"a": "because"}))
    registry = CollectorRegistry()
    failures = FailureLog(ServingMetrics(registry))
    for version in ("1", "1", "2"):
        for ip in ("10.0.0.1", "10.0.0.2"):
            MeshSource(Mesh(version=version), sidecar(ip=ip), failures).resources(CLUSTER, None)
    said = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    node = "sidecar~10.0.0.1~client.default~default.svc.cluster.local"
    assert said == [f"Cannot generate cds a for {node}: because"] * 2
    assert registry.get_sample_value("pilot_total_xds_internal_errors") == 6


def test_what_has_no_name_is_the_failure_of_the_type(
    sidecar: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(source_module, "generate", None)
    source = MeshSource(Mesh(), sidecar(), FailureLog(ServingMetrics(CollectorRegistry())))
    with pytest.raises(GenerationError, match="TypeError"):
        source.resources(CLUSTER, None)
    assert "Cannot generate cds * for sidecar~" in caplog.text
