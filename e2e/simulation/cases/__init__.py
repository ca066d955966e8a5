"""Tables of Istio's routing semantics: worlds of YAML, and calls whose decision is known."""

from __future__ import annotations

from simulation.cases import actions, claims, delegates, gatewayapi, gateways, hosts, matching, scope, tokens
from simulation.harness.call import Case
from simulation.harness.world import World

MODULES = (matching, actions, hosts, scope, delegates, gateways, gatewayapi, tokens, claims)
WORLDS: dict[str, World] = {world.name: world for module in MODULES for world in module.WORLDS}
CASES: tuple[Case, ...] = tuple(case for module in MODULES for case in module.CASES)
