"""The gateway is a proxy with other presets."""

from __future__ import annotations

import subprocess
import sys

from mizzen.gateway.settings import INGRESS
from mizzen.proxy.app.settings import read_settings
from mizzen.runtime.address import Address


def test_presets() -> None:
    settings = read_settings([], {}, INGRESS)
    assert settings.node.id == ("router~127.0.0.1~istio-ingressgateway-1.istio-system~istio-system.svc.cluster.local")
    assert settings.node.metadata["LABELS"] == {"istio": "ingressgateway", "app": "istio-ingressgateway"}
    assert settings.node.metadata["BIND_ADDRESS"] == "127.0.0.1"
    assert "INTERCEPTION_MODE" not in settings.node.metadata
    assert settings.admin_address == Address("127.0.1.10", 15000)
    assert settings.status_address == Address("127.0.1.10", 15021)
    assert settings.prometheus_address == Address("127.0.1.10", 15090)


def test_an_egress_gateway_is_a_matter_of_flags() -> None:
    arguments = ["--labels", "istio=egressgateway,app=istio-egressgateway", "--admin-address", "127.0.1.11:15000"]
    settings = read_settings([*arguments, "--name", "istio-egressgateway-1"], {}, INGRESS)
    assert settings.node.metadata["LABELS"] == {"istio": "egressgateway", "app": "istio-egressgateway"}
    assert settings.node.cluster == "istio-egressgateway.istio-system"


def test_the_command_explains_itself() -> None:
    command = [sys.executable, "-m", "mizzen.gateway", "--help"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=50, check=True)
    assert "usage: mizzen-gateway" in result.stdout
    assert "istio-ingressgateway-1" in result.stdout
