"""What goes over loopback, as a packet capture sees it. Needs the right to raw sockets (root)."""

from __future__ import annotations

import ipaddress
import socket
import struct
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, NamedTuple

ALL_PACKETS: Final = 3
"""ETH_P_ALL."""
OUTGOING: Final = 4
"""PACKET_OUTGOING: on loopback every packet is seen twice, the other time as it arrives."""
MAX_PACKETS: Final = 200_000
HEADER: Final = 14
"""Of Ethernet, which loopback has too."""
SO_RCVBUFFORCE: Final = 33
BUFFER_BYTES: Final = 32 << 20
"""What may wait while our thread does not run; the kernel's default holds a few requests."""
SOL_PACKET: Final = 263
PACKET_STATISTICS: Final = 6
"""Of linux/if_packet.h: how many packets there were, and how many of them found no room."""


class Segment(NamedTuple):
    """One TCP segment with something in it."""

    source: tuple[str, int]
    destination: tuple[str, int]
    sequence: int
    """Of its first byte."""
    payload: bytes

    def is_at(self, network: ipaddress.IPv4Network, port: int) -> bool:
        """Whether it goes to or comes from this port of any of these addresses."""
        return any(
            number == port and ipaddress.ip_address(address) in network
            for address, number in (self.source, self.destination)
        )


@dataclass
class Capture:
    """What was seen; `flows` tells of one place."""

    segments: list[Segment] = field(default_factory=list)

    def flows(self, network: str, port: int) -> dict[tuple[tuple[str, int], tuple[str, int]], bytes]:
        """What each direction of each connection at this port carried, in the order in which it was sent."""
        found: dict[tuple[tuple[str, int], tuple[str, int]], dict[int, bytes]] = {}
        place = ipaddress.IPv4Network(network)
        for each in self.segments:
            if each.is_at(place, port):  # what was sent twice counts once
                found.setdefault((each.source, each.destination), {})[each.sequence] = each.payload
        return {key: b"".join(payloads.values()) for key, payloads in found.items()}


@contextmanager
def capturing(interface: str = "lo") -> Iterator[Capture]:
    """Capture while the block runs; AssertionError when packets were missed."""
    capture, stop = Capture(), threading.Event()
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL_PACKETS)) as raw:
        raw.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES)
        raw.bind((interface, 0))
        raw.settimeout(0.1)
        thread = threading.Thread(target=_capture, args=(raw, capture, stop))
        thread.start()
        try:
            yield capture
        finally:
            stop.set()
            thread.join(timeout=10)
        seen, missed = struct.unpack("II", raw.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
        assert missed == 0, f"{missed} of {seen} packets were missed"


def _capture(raw: socket.socket, capture: Capture, stop: threading.Event) -> None:
    while not stop.is_set() and len(capture.segments) < MAX_PACKETS:
        try:
            frame, (_, _, kind, *_) = raw.recvfrom(1 << 17)
        except TimeoutError:
            continue
        segment = _segment(frame[HEADER:]) if kind == OUTGOING else None
        if segment is not None:
            capture.segments.append(segment)


def _segment(packet: bytes) -> Segment | None:
    """Of an IPv4 packet (RFC 791) with TCP (RFC 9293) that carries data."""
    if len(packet) < 40 or packet[0] >> 4 != 4 or packet[9] != socket.IPPROTO_TCP:
        return None
    length, begin = int.from_bytes(packet[2:4]), (packet[0] & 15) * 4
    source, destination = (str(ipaddress.ip_address(packet[at : at + 4])) for at in (12, 16))
    source_port, destination_port, sequence = struct.unpack_from("!HHI", packet, begin)
    payload = packet[begin + (packet[begin + 12] >> 4) * 4 : length or len(packet)]
    return Segment((source, source_port), (destination, destination_port), sequence, payload) if payload else None


def is_tls(data: bytes) -> bool:
    """Whether it is TLS records from its beginning to its end, the last of which may be cut (RFC 8446, §5.1)."""
    while data:
        if data[0] not in range(20, 24) or data[1:2] not in (b"\x03", b""):
            return False
        data = data[5 + int.from_bytes(data[3:5]) :]
    return True


def any_plain_http(flows: Iterable[bytes]) -> bool:
    """Whether any of it has a head of HTTP/1.1."""
    return any(b" HTTP/1.1\r\n" in flow or b"HTTP/1.1 " in flow for flow in flows)
