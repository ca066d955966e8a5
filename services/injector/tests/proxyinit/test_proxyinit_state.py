"""What is there against what should be there, without iptables."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mizzen.injector.proxyinit.canonical import canonical
from mizzen.injector.proxyinit.network import dns_servers, families
from mizzen.injector.proxyinit.plan import plan
from mizzen.injector.proxyinit.settings import Capture, Ports, parse_ranges
from mizzen.injector.proxyinit.state import apply_text, compare, parse_save, removal_text

from ipaddress import ip_address  # isort: skip

CAPTURE = Capture(inbound_ports=Ports(every=True), outbound_ranges=parse_ranges("*"))
DOCKER = """\
*nat
:PREROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:DOCKER_OUTPUT - [0:0]
-A OUTPUT -d 127.0.0.11/32 -j DOCKER_OUTPUT
-A OUTPUT -o eth7 -j RETURN
-A DOCKER_OUTPUT -d 127.0.0.11/32 -p udp -m udp --dport 53 -j DNAT --to-destination 127.0.0.11:43121
COMMIT
"""


def saved(capture: Capture, *others: str) -> str:
    """What a back end would print of the rules, with others' rules in front."""
    text = ""
    for table in plan(capture, 4):
        rows = [f"-A {chain} {' '.join(spec)}" for chain, specs in table.chains.items() for spec in specs]
        chains = [f":{chain} - [0:0]" for chain in table.chains]
        text += "\n".join([f"*{table.name}", *chains, *(others if table.name == "nat" else ()), *rows, "COMMIT", ""])
    return text


@pytest.mark.parametrize(
    ("ours", "printed"),
    [
        ("-p tcp --dport 80 -j RETURN", "-p tcp -m tcp --dport 80 -j RETURN"),
        ("-o lo ! -d 127.0.0.1/32 -p tcp -j X", "! -d 127.0.0.1/32 -o lo -p tcp -j X"),
        ("-j MARK --set-mark 1337", "-j MARK --set-xmark 0x539/0xffffffff"),
        ("-m mark ! --mark 1338 -j RETURN", "-m mark ! --mark 0x53a -j RETURN"),
        (
            "-p tcp -j TPROXY --tproxy-mark 1337/0xffffffff --on-port 15006",
            "-p tcp -j TPROXY --on-port 15006 --on-ip 0.0.0.0 --tproxy-mark 0x539/0xffffffff",
        ),
        ("-j CONNMARK --save-mark", "-j CONNMARK --save-mark --nfmask 0xffffffff --ctmask 0xffffffff"),
        ("-d 0.0.0.0/0 -j X", "-j X"),
        ("-d 10.1.2.3 -j X", "-d 10.1.2.3/32 -j X"),
        ("-d fd00:0::1/128 -j X", "-d fd00::1/128 -j X"),
        ("-m conntrack --ctstate RELATED,ESTABLISHED -j X", "-m conntrack --ctstate ESTABLISHED,RELATED -j X"),
    ],
)
def test_one_rule_in_two_forms(ours: str, printed: str):
    assert canonical(ours.split()) == canonical(printed.split())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("-d 10.0.0.0/8 -j X", "! -d 10.0.0.0/8 -j X"),
        ("-p tcp --dport 80 -j X", "-p tcp --dport 81 -j X"),
        ("-p tcp --dport 80 -j X", "-p tcp --sport 80 -j X"),
        ("-m owner --uid-owner 0 -j X", "-m owner --gid-owner 0 -j X"),
        ("-m mark --mark 1 -j X", "-m mark --mark 1/0xff -j X"),
        ("-j X", "-j Y"),
    ],
)
def test_different_rules_stay_different(one: str, other: str):
    assert canonical(one.split()) != canonical(other.split())


def test_nothing_there():
    assert compare(parse_save(""), plan(CAPTURE, 4)).found == "nothing"
    assert compare(parse_save(DOCKER), plan(CAPTURE, 4)).found == "nothing"


def test_the_same_rules_are_found_among_those_of_others():
    state = parse_save(saved(CAPTURE, "-A OUTPUT -d 127.0.0.11/32 -j DOCKER_OUTPUT"))
    assert compare(state, plan(CAPTURE, 4)).found == "same"


def test_a_difference_is_named_by_its_rules():
    more = replace(CAPTURE, outbound_ports_exclude=(25,))
    comparison = compare(parse_save(saved(more)), plan(CAPTURE, 4))
    assert comparison.found == "different"
    assert comparison.missing == ()
    assert comparison.unwanted == (
        "nat -A ISTIO_OUTPUT -p tcp --dport 25 -j RETURN",
        "nat -A ISTIO_OUTPUT -p udp --dport 25 -j RETURN",
    )
    comparison = compare(parse_save(saved(CAPTURE)), plan(more, 4))
    assert (len(comparison.missing), len(comparison.unwanted)) == (2, 0)


def test_what_a_run_that_was_cut_off_between_two_tables_left_is_told_from_other_settings():
    both = replace(CAPTURE, mode="TPROXY")
    tables = plan(both, 4)
    assert len(tables) == 2
    whole = parse_save(saved(both))
    for table in tables:
        cut = compare({table.name: whole[table.name]}, tables)
        assert (cut.found, cut.unwanted) == ("part", ())
        assert cut.missing
    other = parse_save(saved(replace(both, inbound_ports_exclude=(15021,))))
    assert compare({"mangle": other["mangle"]}, tables).found == "different"
    assert compare({"nat": parse_save(saved(CAPTURE))["nat"]}, tables).found == "different"


def test_another_order_is_a_difference():
    text = saved(CAPTURE).splitlines()
    last = text.index("-A ISTIO_OUTPUT -j ISTIO_REDIRECT")
    text.insert(text.index("-A ISTIO_OUTPUT -o lo -s 127.0.0.6/32 -j RETURN"), text.pop(last))
    comparison = compare(parse_save("\n".join(text)), plan(CAPTURE, 4))
    assert (comparison.found, comparison.missing, comparison.unwanted) == ("different", (), ())


@pytest.mark.parametrize(
    "other", [Capture(exclude_interfaces=("eth1",)), Capture(mode="TPROXY"), Capture(drop_invalid=True)]
)
def test_what_other_settings_left_is_seen_and_goes(other: Capture):
    state = parse_save(saved(other))
    comparison = compare(state, plan(Capture(), 4))
    assert comparison.found == "different"
    assert comparison.unwanted
    text = apply_text(state, plan(Capture(), 4))
    for line in saved(other).splitlines():
        if line.startswith(("-A PREROUTING", "-A OUTPUT")):
            assert line.replace("-A", "-D", 1) in text


def test_rules_of_others_are_never_touched():
    state = parse_save(DOCKER)
    assert removal_text(state) == ""
    assert "DOCKER" not in apply_text(state, plan(CAPTURE, 4))
    assert "eth7" not in apply_text(state, plan(CAPTURE, 4))
    both = parse_save(saved(CAPTURE, "-A OUTPUT -d 127.0.0.11/32 -j DOCKER_OUTPUT"))
    assert "DOCKER" not in removal_text(both)


def test_removal_empties_chains_before_it_deletes_them():
    lines = removal_text(parse_save(saved(Capture()))).splitlines()
    assert lines == [
        "*nat",
        "-D OUTPUT -j ISTIO_OUTPUT",
        *(f"-F {name}" for name in plan(Capture(), 4)[0].own_chains),
        *(f"-X {name}" for name in plan(Capture(), 4)[0].own_chains),
        "COMMIT",
    ]


def test_a_comment_with_blanks_survives_a_removal():
    state = parse_save('*nat\n:ISTIO_X - [0:0]\n-A OUTPUT -m comment --comment "two words" -j ISTIO_X\nCOMMIT\n')
    assert '-D OUTPUT -m comment --comment "two words" -j ISTIO_X' in removal_text(state)


def test_servers_of_resolv_conf():
    text = (
        "# a\nsearch a.b\nnameserver 10.0.0.1\nnameserver fd00::1%eth0\nnameserver x\nnameserver\nnameserver 10.0.0.1"
    )
    assert dns_servers(text, 4) == ("10.0.0.1",)
    assert dns_servers(text, 6) == ("fd00::1",)


@pytest.mark.parametrize(
    ("addresses", "dual_stack", "expected"),
    [
        (["10.0.0.1"], True, (4,)),
        (["10.0.0.1", "fd00::1"], False, (4,)),
        (["10.0.0.1", "fd00::1"], True, (4, 6)),
        (["fd00::1"], False, (4, 6)),
        ([], True, (4,)),
    ],
)
def test_the_families_of_a_pod(addresses: list[str], dual_stack: bool, expected: tuple[int, ...]):
    assert families([ip_address(a) for a in addresses], dual_stack=dual_stack) == expected
