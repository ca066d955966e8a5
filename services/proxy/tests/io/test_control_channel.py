import resource
import socket

import pytest

from mizzen.proxy.engine.control import Update
from mizzen.proxy.io.control_channel import ControlChannel, PeerGone


async def test_descriptors_that_the_kernel_withholds_are_named() -> None:
    ours, theirs = socket.socketpair()
    sender: ControlChannel[Update, Update] = ControlChannel(ours)
    receiver: ControlChannel[Update, Update] = ControlChannel(theirs)
    listening = {name: socket.socket() for name in ("a", "b")}
    await sender.send(Update(1, sockets=("a", "b")), listening)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    spare = socket.socket()
    resource.setrlimit(resource.RLIMIT_NOFILE, (spare.fileno() + 1, limits[1]))
    spare.close()
    try:
        with pytest.raises(PeerGone, match="too many open files"):
            await receiver.receive()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    for opened in (sender, receiver, *listening.values()):
        opened.close()
