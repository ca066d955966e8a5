"""Who may say what: a peer speaks for itself alone."""

from __future__ import annotations

from typing import Any

import pytest

from mizzen.identity.spiffe import SpiffeId
from mizzen.mixer.server.reporters import objection

REVIEWS = SpiffeId("cluster.local", "default", "reviews")
UID = "kubernetes://reviews-1.default"
INBOUND = {
    "context.reporter.kind": "inbound",
    "context.reporter.uid": UID,
    "destination.uid": UID,
    "destination.namespace": "default",
    "destination.principal": "cluster.local/ns/default/sa/reviews",
    "source.uid": "kubernetes://productpage-1.shop",
    "source.namespace": "shop",
    "source.principal": "cluster.local/ns/shop/sa/productpage",
}
OUTBOUND = {
    "context.reporter.kind": "outbound",
    "context.reporter.uid": UID,
    "source.uid": UID,
    "source.namespace": "default",
    "destination.uid": "kubernetes://ratings-1.shop",
    "destination.namespace": "shop",
    "destination.principal": "cluster.local/ns/shop/sa/ratings",
}
OTHER = "kubernetes://ratings-1.shop"


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"context.reporter.uid": "kubernetes://a.b.default", "destination.uid": "kubernetes://a.b.default"},
        {"destination.uid": None, "destination.namespace": None, "destination.principal": None},
        {"source.uid": "kubernetes://anybody.anywhere", "source.namespace": "elsewhere"},
    ],
)
def test_what_comes_in_is_told_of_by_the_destination(changes: dict[str, Any]) -> None:
    attributes = {name: value for name, value in (INBOUND | changes).items() if value is not None}
    assert objection(REVIEWS, attributes) == ""


def test_what_leaves_is_told_of_by_the_source() -> None:
    assert objection(REVIEWS, OUTBOUND) == ""


def test_a_gateway_may_tell_who_its_client_has_proved_to_be() -> None:
    assert objection(REVIEWS, OUTBOUND | {"source.principal": "partner.example/ns/x/sa/y"}) == ""


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({}, "context.reporter.kind must say who reports (inbound or outbound), not None"),
        (INBOUND | {"context.reporter.kind": "proxy"}, "not 'proxy'"),
        (INBOUND | {"context.reporter.kind": {"inbound": ""}}, "not {'inbound': ''}"),
        (INBOUND | {"context.reporter.uid": OTHER}, "context.reporter.uid must be a Pod of namespace default"),
        (INBOUND | {"context.reporter.uid": 7}, "not 7"),
        (INBOUND | {"context.reporter.uid": "reviews-1.default"}, "not 'reviews-1.default'"),
        (INBOUND | {"context.reporter.uid": "kubernetes://default"}, "not 'kubernetes://default'"),
        (INBOUND | {"destination.uid": OTHER}, f"destination.uid must be who reports, {UID}, not '{OTHER}'"),
        (INBOUND | {"destination.uid": "kubernetes://bank-1.default"}, "destination.uid must be who reports"),
        (INBOUND | {"destination.namespace": "shop"}, "destination.namespace must be default"),
        (
            INBOUND | {"destination.principal": "cluster.local/ns/default/sa/bank"},
            "destination.principal must be cluster.local/ns/default/sa/reviews",
        ),
        (OUTBOUND | {"context.reporter.uid": OTHER}, "context.reporter.uid must be"),
        (OUTBOUND | {"source.uid": OTHER}, "source.uid must be who reports"),
        (OUTBOUND | {"source.namespace": "shop"}, "source.namespace must be default"),
        (OUTBOUND | {"source.namespace": {}}, "source.namespace must be default"),
    ],
)
def test_nobody_speaks_for_another(attributes: dict[str, Any], reason: str) -> None:
    assert reason in objection(REVIEWS, attributes)


def test_without_the_reporters_name_nothing_is_believed() -> None:
    attributes = {name: value for name, value in INBOUND.items() if name != "context.reporter.uid"}
    assert "context.reporter.uid" in objection(REVIEWS, attributes)
