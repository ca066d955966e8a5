"""A worker's runtime as the proxy of captured traffic, in a process of its own: `ready` on stdout, until stdin ends.

With the argument `TPROXY`, inbound connections are captured that way.
"""

import asyncio
import random
import socket
import sys

import uvloop

from mizzen.proxy.app.sockets import ListeningSockets
from mizzen.proxy.engine.control import Update
from mizzen.proxy.engine.plan import (
    ChainMatch,
    ChainPlan,
    ChoicePlan,
    ClusterPlan,
    ListenerPlan,
    SniffPlan,
    TcpPlan,
    WeightedCluster,
)
from mizzen.proxy.io.runtime import Runtime

IP_TRANSPARENT = 19
ANY4, ANY6 = "0.0.0.0", "::"


def capturing(name: str, port: int, cluster: str) -> ListenerPlan:
    """As Pilot writes it for both families."""
    blackhole = ChainPlan("blackhole", ChainMatch(port=port), _tcp("BlackHoleCluster"))
    everything = ChainPlan("all", ChainMatch(), _tcp(cluster))
    inbound = name == "virtualInbound"
    transparent = inbound and "TPROXY" in sys.argv
    return ListenerPlan(
        name,
        ANY4,
        port,
        "inbound" if inbound else "outbound",
        ChoicePlan((blackhole, everything)),
        more_addresses=((ANY6, port),),
        hands_off=not inbound,
        restores=inbound,
        transparent=transparent,
        socket_options=((socket.IPPROTO_IP, IP_TRANSPARENT, (1).to_bytes(4, sys.byteorder)),) if transparent else (),
        sniff=SniffPlan(tls=((0, 65536),), timeout=0.05, go_on=True) if inbound else None,
    )


def _tcp(cluster: str) -> TcpPlan:
    return TcpPlan(cluster, (WeightedCluster(cluster),))


async def main() -> None:
    """Serve."""
    runtime = Runtime(asyncio.get_running_loop(), random.random)
    listeners = (
        capturing("virtualOutbound", 15001, "PassthroughCluster"),
        capturing("virtualInbound", 15006, "inbound|9080||"),
    )
    sockets = ListeningSockets()
    binding, rejected = sockets.bind(listeners, ())
    assert not rejected, rejected
    binding.commit()
    clusters = (
        ClusterPlan("BlackHoleCluster", "static"),
        ClusterPlan("PassthroughCluster", "original_dst"),
        ClusterPlan("inbound|9080||", "original_dst", sources=("127.0.0.6", "::6")),
    )
    await runtime.apply(Update(1, (*clusters, *listeners), sockets=tuple(binding.sockets)), binding.sockets)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)


uvloop.run(main())
