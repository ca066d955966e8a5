"""The webhook's certificate from the mesh's authority, which may come later than the webhook."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from kube.harness.component import serving
from kube.harness.injector import injecting
from support.kube.cluster import until
from support.kube.release import Release

from mizzen.injector.certificate.issue import Pair
from mizzen.injector.certificate.keeping import is_below

PILOT = {
    "MIZZEN_PILOT_XDS_ADDRESS": "{address}:15010",
    "MIZZEN_PILOT_SECURE_ADDRESS": "{address}:15012",
    "MIZZEN_PILOT_MONITORING_ADDRESS": "{address}:15014",
    "MIZZEN_PILOT_KUBECONFIG": "{kubeconfig}",
}


@pytest.fixture
def signed_by_pilot(release: Release) -> Iterator[Release]:
    """The release with that option; its injector has made no certificate yet."""
    if not release.cluster.local:
        pytest.skip("the release of a shared cluster stays as it is")
    release.upgrade("--reuse-values", "--set=injector.certificate.signer=pilot")
    release.cluster.kubectl(
        "patch", "secret", "mizzen-injector-certificate", "--namespace", release.namespace, '--patch={"data": null}'
    )
    try:
        yield release
    finally:
        release.upgrade("--reuse-values", "--set=injector.certificate.signer=own")


def test_kube_pilots_certificate_takes_the_place_of_the_webhooks_own(signed_by_pilot: Release, tmp_path: Path) -> None:
    release = signed_by_pilot
    service = release.get("service", "istiod")["spec"]["clusterIP"]
    folders = [tmp_path / name for name in ("injector", "pilot")]
    for folder in folders:
        folder.mkdir()
    roots = folders[0] / "istiod-ca-cert" / "root-cert.pem"
    with injecting(release, folders[0], MIZZEN_INJECTOR_CA_ADDRESS=f"{service}:15012") as injector:
        roots.unlink(missing_ok=True)  # nobody has made it yet
        own = injector.held.serving
        assert own is not None
        with serving(release, "mizzen.pilot", "mizzen-pilot", PILOT, folders[1]):
            root = base64.b64decode(release.get("secret", "istio-ca-secret")["data"]["root-cert.pem"])
            roots.write_bytes(root)  # as the kubelet does, when Pilot has made the ConfigMap

            def taken_over() -> bool:
                serving_now = injector.held.serving
                return serving_now is not None and is_below(serving_now, (root,))

            until("Pilot's certificate is served", taken_over, seconds=90)
        assert injector.is_known
        assert root in injector.held.roots
        assert _names(injector.held.serving) == {f"mizzen-injector.{release.namespace}{end}" for end in ("", ".svc")}


def _names(pair: Pair | None) -> set[str]:
    assert pair is not None
    leaf = x509.load_pem_x509_certificate(pair.chain)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return set(names.get_values_for_type(x509.DNSName))
