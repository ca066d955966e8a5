"""Two sidecars with mutual TLS between them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from bench.cores import Cores
from bench.istio import CLIENT, SERVER
from bench.peers.agent import Agent, Workload, envoy_version, listener, start
from bench.peers.authority import Authority
from bench.peers.peer import Peer
from bench.peers.pilot import Pilot
from bench.process import Process
from bench.scenario import Address, Scenario


class Pair(Peer):
    """The load goes to the HTTP proxy port of the one, which asks the other one, which asks the back end."""

    def __init__(self, engine: str, scenario: Scenario, own: Iterator[str], folder: Path, cores: Cores) -> None:
        """`folder` is empty, and `own` are addresses that nobody else uses."""
        self._engine = engine
        client, server, control = next(own), next(own), next(own)
        behind = tuple(Address(server, endpoint.port) for endpoint in scenario.endpoints)
        secure = replace(scenario, endpoints=behind, mutual=True)
        authority = Authority(control, folder)
        self._pilot = Pilot(secure, control, folder, cores.rest, authority=authority)
        self._agents = []
        for address, account in ((server, SERVER), (client, CLIENT)):
            workload = Workload(account, account, authority.flags(account))
            process = start(engine, secure, self._pilot, address, folder, cores.proxy, workload)
            self._agents.append(Agent(account, listener(secure, address), process))
        name = "mizzen" if engine == "python" else envoy_version()
        super().__init__(name, listener(secure, client), self._agents[-1].process)

    def pids(self) -> list[int]:
        """Of both; the agent of a stock Envoy only waits and is not counted."""
        return [pid for agent in self._agents for pid in self._of(agent.process)]

    def wait_ready(self) -> None:
        for agent in self._agents:
            agent.wait_ready()

    def stop(self) -> None:
        for agent in reversed(self._agents):
            agent.stop()
        self._pilot.stop()

    def _of(self, process: Process) -> list[int]:
        agent, *others = process.pids()
        return others if self._engine == "envoy" else [agent, *others]
