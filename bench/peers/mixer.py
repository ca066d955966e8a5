"""Mixer as users start it, and gRPC alone: a server that answers every check without a look at it."""

from __future__ import annotations

import sys
from pathlib import Path

import grpc

from bench import policy
from bench.network import is_ready
from bench.peers.peer import Peer
from bench.process import Process, wait_until
from bench.scenario import Address
from mizzen.runtime.address import unused_port

CHECK = "/istio.mixer.v1.Mixer/Check"


class Mixer(Peer):
    """`python -m mizzen.mixer` with the rules of the benchmark."""

    def __init__(self, address: str, folder: Path, core: set[int]) -> None:
        config = folder / "policy"
        config.mkdir(exist_ok=True)
        (config / "rules.yaml").write_text(policy.rules())
        self.monitoring = Address(address, unused_port(address))
        own = Address(address, unused_port(address))
        command = [sys.executable, "-m", "mizzen.mixer", "--address", str(own)]
        command += ["--monitoring-address", str(self.monitoring), "--config-dir", str(config), "--log-level", "warning"]
        super().__init__("mizzen", own, Process("mixer", command, core, folder))

    def wait_ready(self) -> None:
        """Return when its rules are in force."""
        wait_until(lambda: is_ready(f"http://{self.monitoring}/ready"), self.process, "ready")


class Empty(Peer):
    """What grpc.aio costs without any policy behind it."""

    def __init__(self, address: str, folder: Path, core: set[int]) -> None:
        own = Address(address, unused_port(address))
        command = [sys.executable, "-m", "bench.peers.mixer", str(own)]
        process = Process("grpc-aio", command, core, folder, {"PYTHONPATH": str(Path(__file__).parents[2])})
        super().__init__("grpc.aio without policy", own, process)


async def serve(address: str) -> None:
    """Answer every call with an empty message until killed."""

    async def answer(request: bytes, context: object) -> bytes:
        return b""

    server = grpc.aio.server()
    handlers = {"Check": grpc.unary_unary_rpc_method_handler(answer)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("istio.mixer.v1.Mixer", handlers),))
    server.add_insecure_port(address)
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    import uvloop

    uvloop.run(serve(sys.argv[1]))
