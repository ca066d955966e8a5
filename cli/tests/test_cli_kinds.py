"""Kinds as people type them."""

import pytest

from mizzen.api.kinds import KINDS
from mizzen.cli.errors import UserError
from mizzen.cli.kinds import kind_named, plural


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("vs", "VirtualService"),
        ("serviceentries.networking.istio.io", "ServiceEntry"),
        ("gateways", "Gateway"),
        ("gateways.gateway.networking.k8s.io", "Gateway.gateway.networking.k8s.io"),
        ("endpoints", "Endpoints"),
        ("rules", "rule"),
        ("bypasses", "bypass"),
        ("kuberneteses", "kubernetes"),
        ("prometheuses.config.istio.io", "prometheus"),
        ("logentries", "logentry"),
        ("signalfxs", "signalfx"),
        ("authorizationpolicies", "AuthorizationPolicy"),
        ("QuotaSpecBindings", "QuotaSpecBinding"),
    ],
)
def test_names_plurals_and_short_names(text, kind):
    assert kind_named(text) == kind


def test_no_two_kinds_answer_to_one_name():
    names = [name for kind in KINDS for name in {kind.lower(), plural(kind.lower())}]
    assert len(names) == len(set(names))


def test_an_unknown_kind_is_an_error_for_the_user():
    with pytest.raises(UserError) as refused:
        kind_named("nonsense")
    title, networking, kubernetes, security, gateways, mixer, rbac, authentication = str(refused.value).splitlines()
    assert title == "There is no kind 'nonsense'; the kinds are:"
    assert networking.startswith("  networking: virtualservice (vs), destinationrule (dr), gateway (gw), ")
    assert kubernetes.startswith("  kubernetes: service (svc), ")
    assert security.startswith("  security: ")
    assert gateways.startswith("  gateway api: gatewayclass (gc), gateway.gateway.networking.k8s.io, httproute, ")
    assert mixer.startswith("  mixer: ")
    assert rbac.startswith("  rbac: ")
    assert authentication == "  authentication: policy, meshpolicy"
    assert all(f"{kind.lower()}" in str(refused.value) for kind in KINDS)
