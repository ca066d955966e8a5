"""Load balancers: hashing, localities, warm-up."""

import math
from collections.abc import Iterator

from mizzen.api.destinationrule import (
    ConsistentHashLB,
    LoadBalancerSettings,
    LocalityDistribute,
    LocalityFailover,
    LocalityLoadBalancerSetting,
    OutlierDetection,
)
from mizzen.api.problem import Path
from mizzen.api.rules import Finding, error, warning

MAX_MAGLEV_TABLE = 5_000_011
TOPOLOGY_LABELS = ("topology.kubernetes.io/region", "topology.kubernetes.io/zone", "topology.istio.io/subzone")


def check_load_balancer(
    balancer: LoadBalancerSettings, outlier: OutlierDetection | None, at: Path
) -> Iterator[Finding]:
    """All rules of one loadBalancer; failover only works with outlier detection beside it."""
    if balancer.consistent_hash is not None:
        yield from _check_hash(balancer.consistent_hash, (*at, "consistentHash"))
    if balancer.locality_lb_setting is not None and balancer.zone_aware_lb_setting is not None:
        yield error((*at, "zoneAwareLbSetting"), "cannot stand beside localityLbSetting")
    if balancer.locality_lb_setting is not None:
        yield from _check_locality(balancer.locality_lb_setting, outlier, (*at, "localityLbSetting"))
    if balancer.zone_aware_lb_setting is not None:
        zone_aware = balancer.zone_aware_lb_setting
        path = (*at, "zoneAwareLbSetting")
        yield from _check_failover(zone_aware.failover, zone_aware.failover_priority, outlier, path)
    if balancer.warmup_duration_secs is not None:
        yield warning((*at, "warmupDurationSecs"), "is deprecated; use warmup with duration")


def _check_hash(consistent: ConsistentHashLB, at: Path) -> Iterator[Finding]:
    keys, algorithms = consistent.one_of
    if not any(getattr(consistent, name) for name in keys):
        yield error(at, "needs one of httpHeaderName, httpCookie, useSourceIp, httpQueryParameterName")
    if consistent.http_cookie is not None:
        yield from _check_cookie(consistent, (*at, "httpCookie"))
    if consistent.minimum_ring_size:
        yield warning((*at, "minimumRingSize"), "is deprecated; use ringHash with minimumRingSize")
        if any(getattr(consistent, name) is not None for name in algorithms):
            yield error((*at, "minimumRingSize"), "cannot stand beside ringHash or maglev")
    if consistent.maglev is not None:
        size = consistent.maglev.table_size or 0
        if size >= MAX_MAGLEV_TABLE or not _is_prime(size):
            yield error(
                (*at, "maglev", "tableSize"), f"must be a prime number less than {MAX_MAGLEV_TABLE}, got {size}"
            )


def _check_cookie(consistent: ConsistentHashLB, at: Path) -> Iterator[Finding]:
    cookie = consistent.http_cookie
    assert cookie is not None  # noqa: S101 - the caller has looked
    if not cookie.name:
        yield error((*at, "name"), "must not be empty")
    seen: set[str] = set()
    for index, attribute in enumerate(cookie.attributes):
        if not attribute.name or attribute.name in seen:
            message = f"{attribute.name!r} stands twice" if attribute.name else "must not be empty"
            yield error((*at, "attributes", index, "name"), message)
        seen.add(attribute.name)


def _check_locality(
    setting: LocalityLoadBalancerSetting, outlier: OutlierDetection | None, at: Path
) -> Iterator[Finding]:
    if setting.distribute and setting.failover:
        yield error((*at, "failover"), "cannot stand beside distribute")
    sources: list[str] = []
    for index, distribute in enumerate(setting.distribute):
        path = (*at, "distribute", index)
        yield from _check_distribute(distribute, path)
        yield from _check_place(distribute.from_, sources, (*path, "from"))
        sources.append(distribute.from_)
    yield from _check_failover(setting.failover, setting.failover_priority, outlier, at)


def _check_distribute(distribute: LocalityDistribute, at: Path) -> Iterator[Finding]:
    places: list[str] = []
    for place, weight in distribute.to.items():
        if not 1 <= weight <= 100:
            yield error((*at, "to", place), f"must be from 1 to 100, got {weight}")
        yield from _check_place(place, places, (*at, "to", place))
        places.append(place)
    total = sum(distribute.to.values())
    if total != 100:
        yield error((*at, "to"), f"the weights must sum to 100, they sum to {total}")


def _check_place(place: str, others: list[str], at: Path) -> Iterator[Finding]:
    """region, region/zone or region/zone/subzone, or a `*` at the end; no two may overlap."""
    parts = place.split("/")
    if len(parts) > 3 or not all(parts) or "*" in place[:-1]:
        yield error(at, f"{place!r} is not a locality: region/zone/subzone, where a '*' may only end it")
    for other in others:
        if _overlap(parts, other.split("/")):
            yield error(at, f"{place!r} overlaps with {other!r}")


def _overlap(one: list[str], other: list[str]) -> bool:
    return all(a == b or "*" in (a, b) for a, b in zip(one, other, strict=False))


def _check_failover(
    failover: tuple[LocalityFailover, ...], priority: tuple[str, ...], outlier: OutlierDetection | None, at: Path
) -> Iterator[Finding]:
    if (failover or priority) and outlier is None:
        yield warning(at, "failover has no effect without outlierDetection beside the loadBalancer")
    if failover and any(label.partition("=")[0] in TOPOLOGY_LABELS for label in priority):
        yield error((*at, "failoverPriority"), "cannot have topology labels beside failover")
    for index, pair in enumerate(failover):
        path = (*at, "failover", index)
        if pair.from_ == pair.to:
            yield error((*path, "to"), f"must be another region than from, got {pair.to!r}")
        for name, region in (("from", pair.from_), ("to", pair.to)):
            if "/" in region or "*" in region:
                yield error((*path, name), f"must be a region without zone or '*', got {region!r}")


def _is_prime(number: int) -> bool:
    return number > 1 and all(number % factor for factor in range(2, math.isqrt(number) + 1))
