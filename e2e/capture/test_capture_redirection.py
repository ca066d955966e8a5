"""Which connections arrive at the proxy's ports, and where they say they meant to go. The proxy is a stand-in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from capture.harness import ask, catcher, dial
from capture.harness.hosts import Host, Network
from capture.harness.programs import PYTHON, proxy_init, running, wait_until

OUTBOUND, INBOUND = 15001, 15006
APPLICATION, EXCLUDED = 8080, 8081
DNS = 15053
PROXY_UID = 1337


class Pod:
    """A captured host with the stand-in at the ports of proxy and application, and a plain host beside it."""

    def __init__(self, host: Host, other: Host) -> None:
        self.host = host
        self.other = other

    def dial(self, address: str, port: int, *, uid: int = 1000, gid: int | None = None, source: str = "") -> str:
        """`PORT ADDRESS ORIGINAL-PORT` as the pod's application is told."""
        return _dial(self.host, address, port, uid, gid, source)

    def dialled(self, address: str, port: int) -> str:
        """The same for a client outside."""
        return _dial(self.other, address, port, 1000, None, "")


def _dial(host: Host, address: str, port: int, uid: int, gid: int | None, source: str) -> str:
    arguments = [address, str(port)] + (["--source", source] if source else [])
    return host.run(PYTHON, dial.__file__, *arguments, uid=uid, gid=gid).strip()


@pytest.fixture
def pod(hosts: Network, tmp_path: Path) -> Iterator[Pod]:
    pod, other = hosts.add("pod"), hosts.add("other")
    ports = {pod: (OUTBOUND, INBOUND, DNS, APPLICATION, EXCLUDED), other: (APPLICATION, EXCLUDED)}
    logs = {host: tmp_path / f"{host.ipv4}.log" for host in ports}

    def command(host: Host) -> list[str]:
        return [PYTHON, catcher.__file__, *map(str, ports[host])]

    with running(pod, command(pod), logs[pod], uid=PROXY_UID), running(other, command(other), logs[other]):
        for host, log in logs.items():
            wait_until(lambda log=log: "ready" in log.read_text(), f"the stand-in on {host.ipv4}", log)
        yield Pod(pod, other)


@pytest.fixture(params=["nft", "legacy"])
def backend(request: pytest.FixtureRequest) -> list[str]:
    return ["--dual-stack", "--force-iptables-binary", request.param]


def test_connections_of_both_families_and_directions_arrive_at_the_proxy(pod: Pod, backend: list[str]):
    proxy_init(pod.host, "-b", "*", "-i", "*", *backend)
    for address, own, nowhere in (
        (pod.other.ipv4, pod.host.ipv4, "10.96.0.1"),
        (pod.other.ipv6, pod.host.ipv6, "fd96::1"),
    ):
        assert pod.dial(address, APPLICATION) == f"{OUTBOUND} {address} {APPLICATION}"
        assert pod.dial(nowhere, 443) == f"{OUTBOUND} {nowhere} 443"
        assert pod.dialled(own, APPLICATION) == f"{INBOUND} {own} {APPLICATION}"
        assert pod.dialled(own, 9) == f"{INBOUND} {own} 9"


def test_the_proxys_own_connections_leave_the_pod(pod: Pod, backend: list[str]):
    proxy_init(pod.host, "-b", "*", "-i", "*", *backend)
    for address in (pod.other.ipv4, pod.other.ipv6):
        assert pod.dial(address, APPLICATION, uid=PROXY_UID) == f"{APPLICATION} {address} {APPLICATION}"


def test_the_proxy_reaches_the_application_from_its_pass_through_address(pod: Pod, backend: list[str]):
    proxy_init(pod.host, "-b", "*", "-i", "*", *backend)
    for own, source in ((pod.host.ipv4, "127.0.0.6"), (pod.host.ipv6, "::6")):
        assert pod.dial(own, APPLICATION, uid=PROXY_UID, source=source) == f"{APPLICATION} {own} {APPLICATION}"


def test_a_call_of_the_proxy_to_its_own_pod_takes_the_inbound_side(pod: Pod, backend: list[str]):
    """It is how an application calls its own service: through the proxy twice."""
    proxy_init(pod.host, "-b", "*", "-i", "*", *backend)
    for own in (pod.host.ipv4, pod.host.ipv6):
        assert pod.dial(own, APPLICATION, uid=PROXY_UID) == f"{INBOUND} {own} {APPLICATION}"


def test_an_application_reaches_itself_directly(pod: Pod, backend: list[str]):
    proxy_init(pod.host, "-b", "*", "-i", "*", *backend)
    for own in (pod.host.ipv4, pod.host.ipv6, "127.0.0.1", "::1"):
        assert pod.dial(own, APPLICATION) == f"{APPLICATION} {own} {APPLICATION}"


def test_excluded_ports_are_not_captured(pod: Pod, backend: list[str]):
    proxy_init(pod.host, "-b", "*", "-d", str(EXCLUDED), "-i", "*", "-o", str(EXCLUDED), *backend)
    for there, own in ((pod.other.ipv4, pod.host.ipv4), (pod.other.ipv6, pod.host.ipv6)):
        assert pod.dial(there, EXCLUDED) == f"{EXCLUDED} {there} {EXCLUDED}"
        assert pod.dialled(own, EXCLUDED) == f"{EXCLUDED} {own} {EXCLUDED}"
        assert pod.dial(there, APPLICATION).startswith(f"{OUTBOUND} ")
        assert pod.dialled(own, APPLICATION).startswith(f"{INBOUND} ")


def test_listed_inbound_ports_are_captured_alone(pod: Pod, backend: list[str]):
    proxy_init(pod.host, "-b", str(APPLICATION), *backend)
    for own in (pod.host.ipv4, pod.host.ipv6):
        assert pod.dialled(own, APPLICATION).startswith(f"{INBOUND} ")
        assert pod.dialled(own, EXCLUDED) == f"{EXCLUDED} {own} {EXCLUDED}"


def test_excluded_ranges_are_not_captured(pod: Pod, backend: list[str]):
    proxy_init(pod.host, "-i", "*", "-x", "10.77.0.0/24,fd77::/64", *backend)
    for there, elsewhere in ((pod.other.ipv4, "10.96.0.1"), (pod.other.ipv6, "fd96::1")):
        assert pod.dial(there, APPLICATION) == f"{APPLICATION} {there} {APPLICATION}"
        assert pod.dial(elsewhere, 80).startswith(f"{OUTBOUND} ")


def test_included_ranges_are_captured_alone_and_listed_ports_always(pod: Pod, backend: list[str]):
    proxy_init(pod.host, "-i", "10.96.0.0/16,fd96::/16", "-q", str(EXCLUDED), *backend)
    for there, service in ((pod.other.ipv4, "10.96.7.7"), (pod.other.ipv6, "fd96::7")):
        assert pod.dial(service, 80) == f"{OUTBOUND} {service} 80"
        assert pod.dial(there, APPLICATION) == f"{APPLICATION} {there} {APPLICATION}"
        assert pod.dial(there, EXCLUDED) == f"{OUTBOUND} {there} {EXCLUDED}"


def test_excluded_users_and_groups_are_not_captured(pod: Pod, backend: list[str]):
    proxy_init(pod.host, "-i", "*", "-u", f"{PROXY_UID},2000", "-g", "3000", *backend)
    for there in (pod.other.ipv4, pod.other.ipv6):
        direct = f"{APPLICATION} {there} {APPLICATION}"
        assert pod.dial(there, APPLICATION, uid=2000, gid=4000) == direct
        assert pod.dial(there, APPLICATION, uid=1000, gid=3000) == direct
        assert pod.dial(there, APPLICATION, uid=1000, gid=4000).startswith(f"{OUTBOUND} ")


def test_an_excluded_interface_is_not_captured(pod: Pod, backend: list[str]):
    proxy_init(pod.host, "-b", "*", "-i", "*", "-c", "eth0", *backend)
    for there, own in ((pod.other.ipv4, pod.host.ipv4), (pod.other.ipv6, pod.host.ipv6)):
        assert pod.dial(there, APPLICATION) == f"{APPLICATION} {there} {APPLICATION}"
        assert pod.dialled(own, APPLICATION) == f"{APPLICATION} {own} {APPLICATION}"


def test_dns_of_any_server_is_answered_by_the_proxy_in_the_servers_name(pod: Pod, backend: list[str]):
    servers = ("10.96.0.10", "10.96.0.11", "fd96::10")
    proxy_init(pod.host, "-i", "*", "--redirect-dns", "--capture-all-dns", *backend)
    answers = pod.host.run(PYTHON, ask.__file__, *servers, uid=1000).splitlines()
    assert answers == [f"{server} 53 who is {server}?" for server in servers]
    assert pod.dial(servers[0], 53) == f"{DNS} {servers[0]} 53"
    # The proxy's own questions leave the pod, where nobody answers them here.
    assert pod.host.attempt(PYTHON, ask.__file__, servers[0], uid=PROXY_UID).returncode != 0


def test_nothing_is_captured_after_a_removal(pod: Pod, backend: list[str]):
    proxy_init(pod.host, "-b", "*", "-i", "*", *backend)
    proxy_init(pod.host, "--cleanup-only")
    for there, own in ((pod.other.ipv4, pod.host.ipv4), (pod.other.ipv6, pod.host.ipv6)):
        assert pod.dial(there, APPLICATION) == f"{APPLICATION} {there} {APPLICATION}"
        assert pod.dialled(own, APPLICATION) == f"{APPLICATION} {own} {APPLICATION}"
