"""The Pilot that configures Mizzen and Envoy from one folder of YAML."""

from __future__ import annotations

import sys
from pathlib import Path

from bench import istio
from bench.network import is_ready
from bench.peers.authority import Authority
from bench.process import Process, wait_until
from bench.scenario import Address, Scenario
from mizzen.runtime.address import unused_port


class Pilot:
    """A running `python -m mizzen.pilot`, ready to answer."""

    def __init__(
        self,
        scenario: Scenario,
        address: str,
        folder: Path,
        core: set[int],
        mixer: Address | None = None,
        authority: Authority | None = None,
    ) -> None:
        self.address = Address(address, unused_port(address))
        self.monitoring = Address(address, unused_port(address))
        config, registry = folder / "config", folder / "registry"
        config.mkdir()
        registry.mkdir()
        (config / "mesh.yaml").write_text(istio.render(scenario))
        command = [sys.executable, "-m", "mizzen.pilot", "--xds-address", str(self.address)]
        command += ["--monitoring-address", str(self.monitoring), "--log-level", "warning"]
        command += ["--config-dir", str(config), "--registry-dir", str(registry)]
        if mixer is not None:
            (config / "mixer.yaml").write_text(istio.render_mixer(mixer))
            (folder / "mesh.yaml").write_text(istio.MESH_WITH_CHECKS)
            command += ["--mesh-config", str(folder / "mesh.yaml")]
        if authority is not None:
            (folder / "mesh.yaml").write_text(istio.MESH_WITH_MUTUAL_TLS)
            command += ["--mesh-config", str(folder / "mesh.yaml"), *authority.pilot_flags()]
        self.process = Process("pilot", command, core, folder)
        wait_until(lambda: is_ready(f"http://{self.monitoring}/ready"), self.process, "ready")

    def stop(self) -> None:
        self.process.stop()
