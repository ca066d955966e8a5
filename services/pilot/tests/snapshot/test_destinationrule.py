"""Merging, lookup and effective policy of DestinationRules."""

from dataclasses import replace
from typing import Any

import pytest

from mizzen.api.destinationrule import DestinationRule
from mizzen.pilot.base.labels import labels
from mizzen.pilot.snapshot.destinationrule import DESTINATION_LEVEL, effective


def rule(name: str, host: str, *, namespace: str = "default", second: int = 0, **spec: str) -> str:
    fields = "".join(f"  {key}: {value}\n" for key, value in spec.items())
    return (
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\n"
        f"metadata: {{name: {name}, namespace: {namespace}, creationTimestamp: '2026-01-01T00:00:{second:02d}Z'}}\n"
        f'spec:\n  host: "{host}"\n{fields}'
    )


HOST = "reviews.shop.svc.cluster.local"
LOOKUP = [
    # rules as (name, host, namespace, exportTo), client namespace, expected name
    ([("own", HOST, "client", None), ("theirs", HOST, "shop", None)], "client", "own"),
    ([("theirs", HOST, "shop", None), ("root", HOST, "istio-system", None)], "client", "theirs"),
    ([("root", HOST, "istio-system", None)], "client", "root"),
    ([("wide", "*.local", "client", None), ("theirs", HOST, "shop", None)], "client", "wide"),
    ([("wide", "*.shop.svc.cluster.local", "shop", None), ("all", "*", "shop", None)], "client", "wide"),
    ([("hidden", HOST, "shop", '["."]'), ("root", HOST, "istio-system", None)], "client", "root"),
    # the most specific is chosen first and its visibility is checked after
    ([("hidden", HOST, "shop", '["."]'), ("wide", "*", "shop", None)], "client", None),
    ([("own", HOST, "client", '["elsewhere"]')], "client", "own"),
    ([("exported", HOST, "istio-system", None), ("theirs", HOST, "shop", None)], "istio-system", "theirs"),
    ([("private", HOST, "istio-system", '["."]'), ("theirs", HOST, "shop", None)], "istio-system", "private"),
    ([("short", "reviews", "shop", None)], "client", "short"),
    ([("dotted", "reviews.shop", "shop", None)], "client", None),
]


@pytest.mark.parametrize(("rules", "client", "expected"), LOOKUP)
def test_lookup(world: Any, rules: list[tuple[str, str, str, str | None]], client: str, expected: str | None) -> None:
    texts = [
        rule(name, host, namespace=namespace, **({"exportTo": export} if export else {}))
        for name, host, namespace, export in rules
    ]
    found = world(*texts).mesh.rules.lookup(HOST, "shop", client, frozenset())
    assert (found.origin[2] if found else None) == expected


def test_rules_of_one_host_merge_and_the_older_wins(world: Any) -> None:
    made = world(
        rule("b", "reviews", second=2, subsets="[{name: v1, labels: {x: '2'}}, {name: v2}]",
             trafficPolicy="{loadBalancer: {simple: RANDOM}}"),
        rule("a", "reviews", second=1, subsets="[{name: v1, labels: {x: '1'}}]"),
        rule("c", "reviews", second=3, subsets="[{name: v3}]", trafficPolicy="{loadBalancer: {simple: ROUND_ROBIN}}"),
    )  # fmt: skip
    (merged,) = made.mesh.rules.by_namespace["default"]
    assert [part.metadata.name for part in merged.parts] == ["a", "b", "c"]
    assert [subset.name for subset in merged.subsets] == ["v1", "v2", "v3"]
    assert merged.subset("v1").labels == {"x": "1"}
    assert merged.policy.load_balancer.simple == "RANDOM"
    assert [problem.split(": ", 2)[2].split(":")[0] for problem in made.problems] == [
        "DestinationRule default/b",
        "DestinationRule default/c",
    ]


def test_a_wider_export_is_merged_and_kept_alone(world: Any) -> None:
    made = world(
        rule("a", "reviews", second=1, exportTo="[x]", subsets="[{name: v1}]"),
        rule("b", "reviews", second=2, exportTo="[x, y]", subsets="[{name: v2}]"),
    )
    for client, expected in (("x", ["v1", "v2"]), ("y", ["v2"])):
        rules = [r for r in made.mesh.rules.by_namespace["default"] if client in r.export_to]
        assert [subset.name for subset in rules[0].subsets] == expected


def test_a_selector_limits_the_clients(world: Any) -> None:
    made = world(
        rule("all", "reviews", second=1, subsets="[{name: v1}]"),
        rule("some", "reviews", second=2, subsets="[{name: v2}]", workloadSelector="{matchLabels: {app: web}}"),
    )
    host = "reviews.default.svc.cluster.local"
    for client, expected in (({"app": "web", "x": "y"}, "some"), ({"app": "other"}, "all")):
        found = made.mesh.rules.lookup(host, "default", "default", labels(client))
        assert found.origin[2] == expected


RANDOM = {"simple": "RANDOM"}
ROBIN = {"simple": "ROUND_ROBIN"}
OUTLIER = {"interval": "1s"}
POOL = {"tcp": {"maxConnections": 1}}
AT_80 = {"port": {"number": 80}}
EFFECTIVE = [
    # host policy, subset policy, expected as {field: value}
    ({"loadBalancer": RANDOM}, None, {"loadBalancer": RANDOM}),
    ({"loadBalancer": RANDOM}, {"outlierDetection": OUTLIER}, {"loadBalancer": RANDOM, "outlierDetection": OUTLIER}),
    ({"loadBalancer": RANDOM, "connectionPool": POOL}, {"loadBalancer": ROBIN},
     {"loadBalancer": ROBIN, "connectionPool": POOL}),
    # a port-level entry inherits nothing from its level
    ({"outlierDetection": OUTLIER, "proxyProtocol": {"version": "V1"},
      "portLevelSettings": [{**AT_80, "loadBalancer": RANDOM}]}, None, {"loadBalancer": RANDOM}),
    ({"outlierDetection": OUTLIER, "portLevelSettings": [{"port": {"number": 81}, "loadBalancer": RANDOM}]}, None,
     {"outlierDetection": OUTLIER}),
    # nor does one of a subset, whose unset fields undo the host's
    ({"outlierDetection": OUTLIER, "retryBudget": {"percent": 10}},
     {"portLevelSettings": [{**AT_80, "loadBalancer": ROBIN}]},
     {"loadBalancer": ROBIN, "retryBudget": {"percent": 10}}),
    # a subset inherits the host's port-level entry
    ({"portLevelSettings": [{**AT_80, "loadBalancer": RANDOM}]}, {"outlierDetection": OUTLIER},
     {"loadBalancer": RANDOM, "outlierDetection": OUTLIER}),
]  # fmt: skip


@pytest.mark.parametrize(("host", "subset", "expected"), EFFECTIVE)
def test_effective_policy(
    world: Any, host: dict[str, Any], subset: dict[str, Any] | None, expected: dict[str, Any]
) -> None:
    spec = {"host": "reviews", "trafficPolicy": host, "subsets": [{"name": "v1", "trafficPolicy": subset}]}
    parsed = DestinationRule.model_validate(spec)
    (index,) = world(rule("a", "reviews")).mesh.rules.by_namespace["default"]
    made = replace(index, policy=parsed.traffic_policy, subsets=parsed.subsets)
    policy = effective(made, 80, parsed.subsets[0])
    stated = DestinationRule.model_validate({"host": "x", "trafficPolicy": expected}).traffic_policy
    assert {name: getattr(policy, name) for name in DESTINATION_LEVEL} == {
        name: getattr(stated, name) for name in DESTINATION_LEVEL
    }
