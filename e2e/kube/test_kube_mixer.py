"""Mixer with the settings of its Deployment and the rules of the release's values."""

from __future__ import annotations

import json
from pathlib import Path

from kube.harness.component import serving
from support.kube.release import Release


def test_kube_mixer_serves_the_rules_of_the_values(release: Release, tmp_path: Path) -> None:
    addresses = {
        "MIZZEN_MIXER_ADDRESS": "{address}:9091",
        "MIZZEN_MIXER_MONITORING_ADDRESS": "{address}:15014",
        "MIZZEN_MIXER_PROMETHEUS_ADDRESS": "{address}:42422",
    }
    with serving(release, "mizzen.mixer", "mizzen-mixer", addresses, tmp_path) as mixer:
        assert "deny-reviews-v3" in json.dumps(mixer.page("/debug/rules"))
