"""Mixer with the settings of its Deployment, the rules of the release's values, and those of the API server."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

import pytest
from kube.harness.component import Component, serving
from support.kube.cluster import Cluster, Object, until
from support.kube.release import Release

from mizzen.attributes.compressed import encode
from mizzen.proto.mixer_pb2 import CheckRequest

DENIED = "PERMISSION_DENIED"
ADDRESSES = {
    "MIZZEN_MIXER_ADDRESS": "{address}:9091",
    "MIZZEN_MIXER_MONITORING_ADDRESS": "{address}:15014",
    "MIZZEN_MIXER_PROMETHEUS_ADDRESS": "{address}:42422",
    "MIZZEN_MIXER_KUBECONFIG": "{kubeconfig}",
    # For these it would need Pilot; the stories on Kubernetes have both.
    "MIZZEN_MIXER_SECURE_ADDRESS": "",
    "MIZZEN_MIXER_CA_ADDRESS": "",
}


@pytest.fixture(scope="module")
def mixer(release: Release, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Component]:
    with serving(release, "mizzen.mixer", "mizzen-mixer", ADDRESSES, tmp_path_factory.mktemp("mixer")) as mixer:
        yield mixer


def test_kube_mixer_serves_the_rules_of_the_values(mixer: Component) -> None:
    assert "deny-reviews-v3" in json.dumps(mixer.page("/debug/rules"))


def test_kube_mixer_denies_by_a_rule_that_is_applied_until_it_is_deleted(
    mixer: Component, cluster: Cluster, namespace: str
) -> None:
    assert _status(mixer, namespace) != DENIED
    cluster.apply(*_denial(namespace))
    until("the rule denies", lambda: _status(mixer, namespace) == DENIED)
    cluster.apply(_rule(namespace, "broken", "nobody.denier"))
    until("the broken rule is quarantined", lambda: _quarantined(mixer, "broken") != "")
    assert "no action" in _quarantined(mixer, "broken")
    assert _status(mixer, namespace) == DENIED
    cluster.kubectl("delete", "rules.config.istio.io", "deny", "--namespace", namespace)
    until("nothing denies any more", lambda: _status(mixer, namespace) != DENIED)


def _status(mixer: Component, namespace: str) -> str:
    """The code of a check of a request to that namespace."""
    attributes = encode({"context.reporter.kind": "inbound", "destination.namespace": namespace})
    asked = CheckRequest(attributes=attributes, global_word_count=203).SerializeToString()
    story = mixer.page(f"/debug/explain?check={base64.urlsafe_b64encode(asked).decode()}")
    code = story["verdict"]["status"]["code"]
    assert isinstance(code, str)
    return code


def _quarantined(mixer: Component, name: str) -> str:
    """Why a rule is not in force; empty where it is, or is not known."""
    pages = mixer.page("/debug/rules")
    return next(
        (str(rule.get("quarantined", "")) for rule in pages if name in rule["name"] and "quarantined" in rule), ""
    )


def _denial(namespace: str) -> list[Object]:
    return [
        _object("denier", "no", namespace, {"status": {"code": 7, "message": "no"}}),
        _object("checknothing", "nothing", namespace, {}),
        _rule(namespace, "deny", "no.denier"),
    ]


def _rule(namespace: str, name: str, handler: str) -> Object:
    return _object("rule", name, namespace, {"actions": [{"handler": handler, "instances": ["nothing.checknothing"]}]})


def _object(kind: str, name: str, namespace: str, spec: Object) -> Object:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "config.istio.io/v1alpha2", "kind": kind, "metadata": metadata, "spec": spec}
