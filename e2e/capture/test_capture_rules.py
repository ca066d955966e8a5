"""proxy-init on real kernels' tables: what it writes, leaves and removes, with both back ends."""

from __future__ import annotations

from pathlib import Path

import pytest
from capture.harness.hosts import Host, Network
from capture.harness.programs import PYTHON, attempt_proxy_init, proxy_init

BACKENDS = ("nft", "legacy")
SETTINGS = {
    "redirect": [
        "-b",
        "*",
        "-d",
        "15090,15021,15020",
        "-i",
        "*",
        "-x",
        "10.9.0.0/16,fd09::/16",
        "-o",
        "25",
        "-q",
        "99",
    ],
    "lists": ["-b", "80,443", "-i", "10.0.0.0/8,fd00::/8", "-c", "eth7", "-k", "vm0,vm1", "-u", "1337,1338"],
    "tproxy": ["-m", "TPROXY", "-b", "*", "-d", "22", "-i", "*", "-c", "eth7", "--drop-invalid"],
    "tproxy-list": ["-m", "TPROXY", "-b", "80,81", "-i", "0.0.0.0/0", "-t", "7", "-r", "77"],
    "dns": ["--redirect-dns", "--capture-all-dns", "-i", "*", "-b", "*"],
}
BEFORE = """\
*nat
:DOCKER_OUTPUT - [0:0]
-A OUTPUT -d 127.0.0.11/32 -j DOCKER_OUTPUT
-A DOCKER_OUTPUT -d 127.0.0.11/32 -p udp -m udp --dport 53 -j DNAT --to-destination 127.0.0.11:43121
COMMIT
*mangle
-A PREROUTING -i eth7 -j ACCEPT
COMMIT
"""


def state(host: Host, backend: str) -> dict[str, list[str]]:
    """The rules of both families, and what else proxy-init may add."""
    rules = {
        program: [
            line.split(" [")[0] for line in host.run(f"{program}-{backend}-save").splitlines() if line[:1] in "*:-"
        ]
        for program in ("iptables", "ip6tables")
    }
    routes = [host.run("ip", f"-{family}", "rule", "show") for family in (4, 6)]
    return rules | {"routes": routes, "lo": [host.run("ip", "-6", "address", "show", "dev", "lo")]}


def rules_alone(host: Host, backend: str) -> dict[str, set[str]]:
    """The rules without the empty tables that a look at them may have made."""
    found = state(host, backend)
    return {name: {line for line in lines if line[:1] not in "*:" or "ISTIO" in line} for name, lines in found.items()}


@pytest.fixture
def pod(hosts: Network) -> Host:
    return hosts.add("pod")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_rules_are_written_once_and_removed_whole(pod: Host, backend: str, settings: list[str]):
    flags = ["--dual-stack", "--force-iptables-binary", backend]
    pod.run(f"iptables-{backend}-restore", "--noflush", text=BEFORE)
    before = rules_alone(pod, backend)

    proxy_init(pod, *settings, *flags)
    written = state(pod, backend)
    for family in ("iptables", "ip6tables"):
        assert any("ISTIO_REDIRECT" in line for line in written[family])
    again = attempt_proxy_init(pod, *settings, *flags)
    assert again.returncode == 0
    assert again.stderr.count("the rules are there") == 2
    assert state(pod, backend) == written

    proxy_init(pod, "--cleanup-only", *settings)
    assert rules_alone(pod, backend) == before


@pytest.mark.parametrize("backend", BACKENDS)
def test_cleanup_needs_no_settings_but_the_mark_and_table(pod: Host, backend: str):
    before = rules_alone(pod, backend)
    proxy_init(pod, *SETTINGS["tproxy"], "--dual-stack", "--force-iptables-binary", backend)
    proxy_init(pod, "--cleanup-only")
    assert rules_alone(pod, backend) == before


@pytest.mark.parametrize("backend", BACKENDS)
def test_other_rules_are_an_error_that_names_them_unless_they_are_to_be_replaced(pod: Host, backend: str):
    flags = ["--force-iptables-binary", backend]
    proxy_init(pod, "-b", "*", "-i", "*", *flags)
    wanted = state(pod, backend)
    proxy_init(pod, "--cleanup-only")
    proxy_init(pod, *SETTINGS["tproxy"], *flags)
    old = state(pod, backend)

    refused = attempt_proxy_init(pod, "-b", "*", "-i", "*", *flags)
    assert refused.returncode == 1
    assert "has mangle -A ISTIO_DIVERT" in refused.stderr
    assert "--reconcile replaces them" in refused.stderr
    assert state(pod, backend) == old

    proxy_init(pod, "-b", "*", "-i", "*", "--reconcile", *flags)
    assert rules_of(state(pod, backend)) == rules_of(wanted)
    assert state(pod, backend)["routes"] == wanted["routes"]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("table", ["nat", "mangle"])
def test_a_run_that_was_killed_between_two_tables_is_finished_by_the_next(pod: Host, backend: str, table: str):
    arguments = [*SETTINGS["tproxy"], "--force-iptables-binary", backend]
    proxy_init(pod, *arguments)
    wanted = rules_alone(pod, backend)
    pod.run(f"iptables-{backend}", "-t", table, "-F")
    pod.run(f"iptables-{backend}", "-t", table, "-X")
    assert rules_alone(pod, backend) != wanted
    proxy_init(pod, *arguments)
    assert rules_alone(pod, backend) == wanted


def rules_of(found: dict[str, list[str]]) -> list[str]:
    return [line for line in found["iptables"] if "ISTIO" in line or line.startswith("-A")]


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_back_end_in_use_is_the_one_that_is_written(pod: Host, backend: str):
    other = BACKENDS[1 - BACKENDS.index(backend)]
    pod.run(f"iptables-{backend}-restore", "--noflush", text=BEFORE)
    proxy_init(pod, "-b", "*")
    assert any("ISTIO_INBOUND" in line for line in state(pod, backend)["iptables"])
    assert not any("ISTIO" in line for line in state(pod, other)["iptables"])


def test_without_any_rules_nft_is_written_and_no_module_of_legacy_is_asked_for(pod: Host):
    proxy_init(pod, "-b", "*")
    assert any("ISTIO_INBOUND" in line for line in state(pod, "nft")["iptables"])
    assert pod.run("cat", "/proc/net/ip_tables_names") == ""


def test_a_dry_run_prints_what_would_be_written_and_changes_nothing(pod: Host):
    before = state(pod, "nft")
    done = attempt_proxy_init(pod, "-n", *SETTINGS["redirect"], "--dual-stack")
    assert done.returncode == 0
    assert state(pod, "nft") == before
    assert pod.run("cat", "/proc/net/ip_tables_names") == ""
    blocks = done.stdout.split("# IPv")[1:]
    assert [block[0] for block in blocks] == ["4", "6"]
    pod.run("iptables-nft-restore", "--noflush", text=blocks[0][1:])
    dry = state(pod, "nft")["iptables"]
    pod.run("iptables-nft", "-t", "nat", "-F")  # leaves the chains, which are to go too
    proxy_init(pod, "--cleanup-only")
    proxy_init(pod, *SETTINGS["redirect"])
    assert state(pod, "nft")["iptables"] == dry


def test_a_pod_of_ipv4_first_has_no_ipv6_rules_without_dual_stack(pod: Host):
    proxy_init(pod, "-b", "*", "-i", "*")
    assert not any("ISTIO" in line for line in state(pod, "nft")["ip6tables"])
    assert "::6" not in pod.run("ip", "-6", "address", "show", "dev", "lo")


def test_a_pod_of_ipv6_alone_is_captured(pod: Host):
    pod.run("ip", "address", "delete", f"{pod.ipv4}/24", "dev", "eth0")
    proxy_init(pod, "-b", "*", "-i", "*")
    assert any("ISTIO_REDIRECT" in line for line in state(pod, "nft")["ip6tables"])
    assert "::6/128" in pod.run("ip", "-6", "address", "show", "dev", "lo")


def test_a_pod_without_an_address_is_an_error(pod: Host):
    pod.run("ip", "link", "delete", "eth0")
    done = attempt_proxy_init(pod, "-b", "*")
    assert done.returncode == 1
    assert "no address but loopback's" in done.stderr


def test_who_may_not_change_rules_is_told_what_is_needed(pod: Host):
    done = attempt_proxy_init(pod, "-b", "*", uid=1337)
    assert done.returncode == 1
    assert "NET_ADMIN" in done.stderr


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("uid", [0, 1337], ids=["root", "the proxy's user"])
def test_validation_passes_with_rules_and_fails_without(pod: Host, backend: str, uid: int):
    probe = ("--skip-rule-apply", "--run-validation", "--probe-timeout", "1s", "--dual-stack")
    failed = attempt_proxy_init(pod, *probe, uid=uid)
    assert failed.returncode == 126
    assert "the rules for IPv4 are not in force" in failed.stderr
    proxy_init(pod, "-b", "*", "-i", "*", "--dual-stack", "--force-iptables-binary", backend)
    passed = attempt_proxy_init(pod, *probe, uid=uid)
    assert passed.returncode == 0, passed.stderr
    assert "IPv6: a connection was redirected" in passed.stderr


def test_validation_as_a_root_who_cannot_become_the_proxy_says_so(pod: Host):
    proxy_init(pod, "-b", "*")
    weak = ("setpriv", "--bounding-set=-setuid,-setgid", "--inh-caps=-setuid,-setgid")
    done = pod.attempt(*weak, PYTHON, "-m", "mizzen.injector.proxyinit", "--skip-rule-apply", "--run-validation")
    assert done.returncode == 126
    assert "needs the capabilities SETUID and SETGID" in done.stderr


def test_legacy_needs_no_lock_file_on_a_read_only_root(pod: Host):
    """Of the file system for locks it takes /dev/null: nobody else changes the rules of this pod."""
    script = 'mount -t tmpfs -o ro none /run && exec "$@"'
    command = (PYTHON, "-m", "mizzen.injector.proxyinit", "-b", "*", "--force-iptables-binary", "legacy")
    pod.run("unshare", "--mount", "sh", "-c", script, "sh", *command)
    assert any("ISTIO_INBOUND" in line for line in state(pod, "legacy")["iptables"])


@pytest.mark.parametrize(("resolv_conf", "captured"), [("nameserver 10.96.0.10\n", True), ("search local\n", False)])
def test_dns_of_the_servers_of_resolv_conf(pod: Host, tmp_path: Path, resolv_conf: str, captured: bool):
    file = tmp_path / "resolv.conf"
    file.write_text(resolv_conf)
    script = 'mount --bind "$1" /etc/resolv.conf && shift && exec "$@"'
    command = (PYTHON, "-m", "mizzen.injector.proxyinit", "-i", "*", "--redirect-dns")
    pod.run("unshare", "--mount", "sh", "-c", script, "sh", str(file), *command)
    rules = "\n".join(state(pod, "nft")["iptables"])
    assert ("-d 10.96.0.10/32 -p udp -m udp --dport 53 -j REDIRECT --to-ports 15053" in rules) == captured
    assert ("--dport 53" in rules) == captured
