"""DestinationRule: subsets and policies."""

from collections.abc import Iterator

from mizzen.api import syntax
from mizzen.api.destinationrule import DestinationRule
from mizzen.api.resource import Metadata
from mizzen.api.rules import Finding, check_export_to, check_labels, error
from mizzen.api.rules.trafficpolicy import check_traffic_policy


def check(spec: DestinationRule, metadata: Metadata) -> Iterator[Finding]:
    """All rules of a DestinationRule."""
    yield from check_traffic_policy(spec.traffic_policy, ("trafficPolicy",))
    names: dict[str, int] = {}
    for index, subset in enumerate(spec.subsets):
        at = ("subsets", index)
        if not syntax.is_label_word(subset.name):
            yield error((*at, "name"), f"{subset.name!r} is not a subset's name: letters, digits and inner dashes")
        first = names.setdefault(subset.name, index)
        if first != index:
            yield error((*at, "name"), f"{subset.name!r} is already the name of subsets[{first}]")
        yield from check_labels(subset.labels, (*at, "labels"))
        yield from check_traffic_policy(subset.traffic_policy, (*at, "trafficPolicy"))
    yield from check_export_to(spec.export_to, metadata.namespace)
    if spec.workload_selector is not None:
        labels = spec.workload_selector.match_labels
        yield from check_labels(labels, ("workloadSelector", "matchLabels"), selector=True)
        for index, entry in enumerate(spec.export_to):
            if entry not in (".", metadata.namespace):
                yield error(("exportTo", index), "a rule with workloadSelector applies to its own namespace only ('.')")
