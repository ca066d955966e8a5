"""The demo's YAML is whole: every file parses, every route goes to a service and a subset that exist."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

DEMO = Path(__file__).parents[1]
NETWORKING = sorted((DEMO / "networking").glob("*.yaml"))


def documents(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text()))


PLATFORM = documents(DEMO / "platform" / "bookinfo.yaml")
SUBSETS = {
    rule["spec"]["host"]: {subset["name"] for subset in rule["spec"]["subsets"]}
    for rule in documents(DEMO / "networking" / "destination-rule-all.yaml")
}


@pytest.mark.parametrize("path", NETWORKING, ids=lambda path: path.name)
def test_every_route_leads_to_a_subset_that_exists(path: Path) -> None:
    services = {item["metadata"]["name"] for item in PLATFORM if item["kind"] == "Service"}
    for rule in documents(path):
        for route in rule["spec"].get("http", ()):
            for target in route["route"]:
                host = target["destination"]["host"]
                assert host in services
                assert target["destination"].get("subset", "v1") in SUBSETS[host]


@pytest.mark.parametrize("path", NETWORKING, ids=lambda path: path.name)
def test_weights_sum_to_a_hundred(path: Path) -> None:
    for rule in documents(path):
        for route in rule["spec"].get("http", ()):
            weights = [target["weight"] for target in route["route"] if "weight" in target]
            assert not weights or sum(weights) == 100


def test_every_subset_selects_a_deployment() -> None:
    running = {
        (
            item["spec"]["template"]["metadata"]["labels"]["app"],
            item["spec"]["template"]["metadata"]["labels"]["version"],
        )
        for item in PLATFORM
        if item["kind"] == "Deployment"
    }
    assert running == {(host, subset) for host, subsets in SUBSETS.items() for subset in subsets}


def test_kubernetes_runs_the_same_workloads_behind_the_same_services() -> None:
    def shape(items: list[dict[str, Any]]) -> list[tuple[str, str, Any]]:
        services = [("Service", item["metadata"]["name"], item["spec"]) for item in items if item["kind"] == "Service"]
        workloads = [
            ("Deployment", item["metadata"]["name"], item["spec"]["selector"])
            for item in items
            if item["kind"] == "Deployment"
        ]
        return services + workloads

    kubernetes = documents(DEMO / "platform" / "kube" / "bookinfo.yaml")
    assert shape(kubernetes) == shape(PLATFORM)
    accounts = {item["metadata"]["name"] for item in kubernetes if item["kind"] == "ServiceAccount"}
    used = {
        item["spec"]["template"]["spec"]["serviceAccountName"] for item in kubernetes if item["kind"] == "Deployment"
    }
    assert used == accounts
