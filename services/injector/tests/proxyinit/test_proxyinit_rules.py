"""Settings to exact rules. The order in a chain is what decides, so whole tables are compared."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mizzen.injector.proxyinit.plan import plan
from mizzen.injector.proxyinit.rules import Family, Table
from mizzen.injector.proxyinit.settings import Capture, Ports, Ranges, parse_ranges

ALL_PORTS = Ports(every=True)
ALL_RANGES = Ranges(every=True)


def table(capture: Capture, name: str = "nat", family: Family = 4, servers: tuple[str, ...] = ()) -> Table:
    return next(table for table in plan(capture, family, servers) if table.name == name)


def lines(*arguments, **options) -> list[str]:
    return [rule.text for rule in table(*arguments, **options).rules]


def names(capture: Capture) -> list[str]:
    return [table.name for table in plan(capture, 4)]


HEAD = [
    "-A ISTIO_INBOUND -p tcp --dport 15008 -j RETURN",
    "-A ISTIO_REDIRECT -p tcp -j REDIRECT --to-ports 15001",
    "-A ISTIO_IN_REDIRECT -p tcp -j REDIRECT --to-ports 15006",
]


def owners(
    own: str = "127.0.0.1/32", passthrough: str = "127.0.0.6/32", ids=(("uid", 1337), ("gid", 1337))
) -> list[str]:
    rules = [f"-A ISTIO_OUTPUT -o lo -s {passthrough} -j RETURN"]
    for kind, number in ids:
        owner = f"--{kind}-owner {number}"
        rules += [
            f"-A ISTIO_OUTPUT -o lo ! -d {own} -p tcp ! --dport 15008 -m owner {owner} -j ISTIO_IN_REDIRECT",
            f"-A ISTIO_OUTPUT -o lo -m owner ! {owner} -j RETURN",
            f"-A ISTIO_OUTPUT -m owner {owner} -j RETURN",
        ]
    return rules


LOOPBACK = ["-A ISTIO_OUTPUT -d 127.0.0.1/32 -j RETURN"]


def test_nothing_included_still_leaves_the_proxy_alone():
    assert lines(Capture()) == [*HEAD, "-A OUTPUT -j ISTIO_OUTPUT", *owners(), *LOOPBACK]
    assert names(Capture()) == ["nat"]
    assert table(Capture()).own_chains == ("ISTIO_INBOUND", "ISTIO_REDIRECT", "ISTIO_IN_REDIRECT", "ISTIO_OUTPUT")


def test_what_the_injector_asks_for():
    capture = Capture(inbound_ports=ALL_PORTS, inbound_ports_exclude=(15090, 15021, 15020), outbound_ranges=ALL_RANGES)
    assert lines(capture) == [
        *HEAD,
        "-A PREROUTING -p tcp -j ISTIO_INBOUND",
        "-A ISTIO_INBOUND -p tcp --dport 15090 -j RETURN",
        "-A ISTIO_INBOUND -p tcp --dport 15021 -j RETURN",
        "-A ISTIO_INBOUND -p tcp --dport 15020 -j RETURN",
        "-A ISTIO_INBOUND -p tcp -j ISTIO_IN_REDIRECT",
        "-A OUTPUT -j ISTIO_OUTPUT",
        *owners(),
        *LOOPBACK,
        "-A ISTIO_OUTPUT -j ISTIO_REDIRECT",
    ]


def test_ipv6_has_its_own_addresses_and_ranges_alone():
    capture = Capture(
        outbound_ranges=parse_ranges("10.0.0.0/8,fd00::/8"),
        outbound_ranges_exclude=parse_ranges("fd01::/16,10.9.0.0/16"),
    )
    assert lines(capture, family=6) == [
        *HEAD,
        "-A OUTPUT -j ISTIO_OUTPUT",
        *owners("::1/128", "::6/128"),
        "-A ISTIO_OUTPUT -d ::1/128 -j RETURN",
        "-A ISTIO_OUTPUT -d fd01::/16 -j RETURN",
        "-A ISTIO_OUTPUT -d fd00::/8 -j ISTIO_REDIRECT",
    ]
    assert lines(capture)[-2:] == [
        "-A ISTIO_OUTPUT -d 10.9.0.0/16 -j RETURN",
        "-A ISTIO_OUTPUT -d 10.0.0.0/8 -j ISTIO_REDIRECT",
    ]


def test_listed_inbound_ports_are_captured_alone_and_exclusions_do_not_count():
    capture = Capture(inbound_ports=Ports(numbers=(80, 443)), inbound_ports_exclude=(443,))
    assert lines(capture)[3:6] == [
        "-A PREROUTING -p tcp -j ISTIO_INBOUND",
        "-A ISTIO_INBOUND -p tcp --dport 80 -j ISTIO_IN_REDIRECT",
        "-A ISTIO_INBOUND -p tcp --dport 443 -j ISTIO_IN_REDIRECT",
    ]


def test_outbound_ports_are_excluded_first_and_included_after_excluded_ranges():
    capture = Capture(
        outbound_ports_exclude=(25, 53),
        outbound_ports=(9090,),
        outbound_ranges_exclude=parse_ranges("1.1.0.0/16"),
        outbound_ranges=parse_ranges("9.9.0.0/16"),
    )
    assert lines(capture) == [
        *HEAD,
        "-A OUTPUT -j ISTIO_OUTPUT",
        "-A ISTIO_OUTPUT -p tcp --dport 25 -j RETURN",
        "-A ISTIO_OUTPUT -p udp --dport 25 -j RETURN",
        "-A ISTIO_OUTPUT -p tcp --dport 53 -j RETURN",
        "-A ISTIO_OUTPUT -p udp --dport 53 -j RETURN",
        *owners(),
        *LOOPBACK,
        "-A ISTIO_OUTPUT -d 1.1.0.0/16 -j RETURN",
        "-A ISTIO_OUTPUT -p tcp --dport 9090 -j ISTIO_REDIRECT",
        "-A ISTIO_OUTPUT -d 9.9.0.0/16 -j ISTIO_REDIRECT",
    ]


def test_a_range_on_loopback_lets_calls_of_the_application_to_itself_be_captured():
    capture = Capture(outbound_ranges=parse_ranges("127.1.0.0/16"))
    assert not [line for line in lines(capture) if "! --uid-owner" in line or "! --gid-owner" in line]
    assert lines(capture)[-1] == "-A ISTIO_OUTPUT -d 127.1.0.0/16 -j ISTIO_REDIRECT"


def test_another_loopback_range_is_of_ipv4_alone():
    capture = Capture(loopback=ip_network("127.1.2.0/24"))
    assert lines(capture)[4:-1] == owners("127.1.2.0/24")
    assert lines(capture)[-1] == "-A ISTIO_OUTPUT -d 127.1.2.0/24 -j RETURN"
    assert "127.1.2" not in str(lines(capture, family=6))


def test_ports_and_owners_of_ones_own():
    capture = Capture(outbound_port=1, inbound_port=2, tunnel_port=3, uids=(5, 6), gids=(7,))
    assert lines(capture)[:3] == [
        "-A ISTIO_INBOUND -p tcp --dport 3 -j RETURN",
        "-A ISTIO_REDIRECT -p tcp -j REDIRECT --to-ports 1",
        "-A ISTIO_IN_REDIRECT -p tcp -j REDIRECT --to-ports 2",
    ]
    expected = [line.replace("15008", "3") for line in owners(ids=(("uid", 5), ("uid", 6), ("gid", 7)))]
    assert lines(capture)[4:-1] == expected


def test_excluded_interfaces_come_before_everything():
    capture = Capture(exclude_interfaces=("eth1", "net+"))
    assert lines(capture)[:4] == [
        "-A PREROUTING -i eth1 -j RETURN",
        "-A OUTPUT -o eth1 -j RETURN",
        "-A PREROUTING -i net+ -j RETURN",
        "-A OUTPUT -o net+ -j RETURN",
    ]


@pytest.mark.parametrize(
    ("ranges", "prerouting"),
    [
        ("*", ["-i vm1 -j ISTIO_REDIRECT", "-i vm0 -j ISTIO_REDIRECT", "-i vm1 -j RETURN", "-i vm0 -j RETURN"]),
        (
            "10.0.0.0/8,fd00::/8",
            [
                "-i vm1 -d 10.0.0.0/8 -j ISTIO_REDIRECT",
                "-i vm0 -d 10.0.0.0/8 -j ISTIO_REDIRECT",
                "-i vm1 -j RETURN",
                "-i vm0 -j RETURN",
            ],
        ),
        ("", ["-i vm1 -j RETURN", "-i vm0 -j RETURN"]),
    ],
)
def test_what_comes_from_a_virtual_interface_is_outbound_and_never_inbound(ranges: str, prerouting: list[str]):
    capture = Capture(virtual_interfaces=("vm0", "vm1"), outbound_ranges=parse_ranges(ranges), inbound_ports=ALL_PORTS)
    rows = [" ".join(spec) for spec in table(capture).chains["PREROUTING"]]
    assert rows == [*prerouting, "-p tcp -j ISTIO_INBOUND"]


@pytest.mark.parametrize(
    ("capture", "rules"),
    [
        (Capture(owner_groups=(5, 6)), ["-m owner ! --gid-owner 5 -m owner ! --gid-owner 6 -j RETURN"]),
        (
            Capture(owner_groups_exclude=(5, 6)),
            ["-m owner --gid-owner 5 -j RETURN", "-m owner --gid-owner 6 -j RETURN"],
        ),
        (Capture(owner_groups=(5,), owner_groups_exclude=(6,)), ["-m owner ! --gid-owner 5 -j RETURN"]),
        (Capture(owner_groups=()), ["-j RETURN"]),
    ],
)
def test_groups_of_applications(capture: Capture, rules: list[str]):
    expected = [f"-A ISTIO_OUTPUT {rule}" for rule in rules]
    assert lines(capture)[4 + len(owners()) : -1] == expected


def test_invalid_packets_are_dropped_in_mangle():
    assert lines(Capture(drop_invalid=True), "mangle") == [
        "-A PREROUTING -m conntrack --ctstate INVALID -j ISTIO_DROP",
        "-A ISTIO_DROP -j DROP",
    ]


def test_tproxy_of_all_ports():
    capture = Capture(mode="TPROXY", inbound_ports=ALL_PORTS, inbound_ports_exclude=(22,), exclude_interfaces=("eth1",))
    assert lines(capture, "mangle") == [
        "-A PREROUTING -i eth1 -j RETURN",
        "-A OUTPUT -o eth1 -j RETURN",
        "-A ISTIO_DIVERT -j MARK --set-mark 1337",
        "-A ISTIO_DIVERT -j ACCEPT",
        "-A ISTIO_TPROXY ! -d 127.0.0.1/32 -p tcp -j TPROXY --tproxy-mark 1337/0xffffffff --on-port 15006",
        "-A PREROUTING -p tcp -j ISTIO_INBOUND",
        "-A ISTIO_INBOUND -p tcp --dport 22 -j RETURN",
        "-A ISTIO_INBOUND -p tcp -m conntrack --ctstate RELATED,ESTABLISHED -j ISTIO_DIVERT",
        "-A ISTIO_INBOUND -p tcp -j ISTIO_TPROXY",
        "-A PREROUTING -p tcp -m mark --mark 1337 -j CONNMARK --save-mark",
        "-A OUTPUT -p tcp -o lo -m mark --mark 1337 -j RETURN",
        "-A OUTPUT ! -d 127.0.0.1/32 -p tcp -o lo -m owner --uid-owner 1337 -j MARK --set-mark 1338",
        "-A OUTPUT ! -d 127.0.0.1/32 -p tcp -o lo -m owner --gid-owner 1337 -j MARK --set-mark 1338",
        "-A OUTPUT -p tcp -m connmark --mark 1337 -j CONNMARK --restore-mark",
        "-I ISTIO_INBOUND 1 -p tcp -m mark --mark 1337 -j RETURN",
        "-I ISTIO_INBOUND 2 -p tcp -s 127.0.0.6/32 -i lo -j RETURN",
        "-I ISTIO_INBOUND 3 -p tcp -i lo -m mark ! --mark 1338 -j RETURN",
    ]
    assert not [line for line in lines(capture) if "PREROUTING -p" in line]
    assert [" ".join(spec) for spec in table(capture, "mangle").chains["ISTIO_INBOUND"]][:4] == [
        "-p tcp -m mark --mark 1337 -j RETURN",
        "-p tcp -s 127.0.0.6/32 -i lo -j RETURN",
        "-p tcp -i lo -m mark ! --mark 1338 -j RETURN",
        "-p tcp --dport 22 -j RETURN",
    ]


def test_tproxy_of_listed_ports_and_another_mark():
    capture = Capture(mode="TPROXY", inbound_ports=Ports(numbers=(80,)), tproxy_mark=7, inbound_port=99)
    rules = lines(capture, "mangle", 6)
    assert rules[2:6] == [
        "-A ISTIO_TPROXY ! -d ::1/128 -p tcp -j TPROXY --tproxy-mark 7/0xffffffff --on-port 99",
        "-A PREROUTING -p tcp -j ISTIO_INBOUND",
        "-A ISTIO_INBOUND -p tcp --dport 80 -m conntrack --ctstate RELATED,ESTABLISHED -j ISTIO_DIVERT",
        "-A ISTIO_INBOUND -p tcp --dport 80 -j ISTIO_TPROXY",
    ]
    assert "-I ISTIO_INBOUND 2 -p tcp -s ::6/128 -i lo -j RETURN" in rules


def test_dns_of_the_servers_of_resolv_conf():
    capture = Capture(redirect_dns=True)
    nat = lines(capture, servers=("10.96.0.10",))
    own = "-A ISTIO_OUTPUT -o lo ! -d 127.0.0.1/32 -p tcp"
    assert nat[5:11] == [
        f"{own} -m multiport ! --dports 53,15008 -m owner --uid-owner 1337 -j ISTIO_IN_REDIRECT",
        "-A ISTIO_OUTPUT -o lo -p tcp ! --dport 53 -m owner ! --uid-owner 1337 -j RETURN",
        "-A ISTIO_OUTPUT -m owner --uid-owner 1337 -j RETURN",
        f"{own} ! --dport 15008 -m owner --gid-owner 1337 -j ISTIO_IN_REDIRECT",
        "-A ISTIO_OUTPUT -o lo -p tcp ! --dport 53 -m owner ! --gid-owner 1337 -j RETURN",
        "-A ISTIO_OUTPUT -m owner --gid-owner 1337 -j RETURN",
    ]
    assert nat[11:] == [
        "-A ISTIO_OUTPUT -j ISTIO_OUTPUT_DNS",
        "-A ISTIO_OUTPUT_DNS -p tcp --dport 53 -d 10.96.0.10/32 -j REDIRECT --to-ports 15053",
        "-A ISTIO_OUTPUT_DNS -p udp --dport 53 -d 10.96.0.10/32 -j REDIRECT --to-ports 15053",
        *LOOPBACK,
    ]
    assert lines(capture, "raw", servers=("10.96.0.10",)) == [
        "-A OUTPUT -j ISTIO_OUTPUT_DNS",
        "-A ISTIO_OUTPUT_DNS -p udp --dport 53 -m owner --uid-owner 1337 -j CT --zone 1",
        "-A ISTIO_OUTPUT_DNS -p udp --sport 15053 -m owner --uid-owner 1337 -j CT --zone 2",
        "-A ISTIO_OUTPUT_DNS -p udp --dport 53 -m owner --gid-owner 1337 -j CT --zone 1",
        "-A ISTIO_OUTPUT_DNS -p udp --sport 15053 -m owner --gid-owner 1337 -j CT --zone 2",
        "-A PREROUTING -j ISTIO_INBOUND",
        "-A ISTIO_OUTPUT_DNS -p udp --dport 53 -d 10.96.0.10/32 -j CT --zone 2",
        "-A ISTIO_INBOUND -p udp --sport 53 -s 10.96.0.10/32 -j CT --zone 1",
    ]


def test_dns_of_any_server():
    capture = Capture(redirect_dns=True, capture_all_dns=True)
    assert lines(capture, family=6)[11:14] == [
        "-A ISTIO_OUTPUT -j ISTIO_OUTPUT_DNS",
        "-A ISTIO_OUTPUT_DNS -p tcp --dport 53 -j REDIRECT --to-ports 15053",
        "-A ISTIO_OUTPUT_DNS -p udp --dport 53 -j REDIRECT --to-ports 15053",
    ]
    assert lines(capture, "raw")[-3:] == [
        "-A PREROUTING -j ISTIO_INBOUND",
        "-A ISTIO_OUTPUT_DNS -p udp --dport 53 -j CT --zone 2",
        "-A ISTIO_INBOUND -p udp --sport 53 -j CT --zone 1",
    ]


def test_a_family_without_dns_servers_has_no_redirection_of_dns():
    assert not [line for line in lines(Capture(redirect_dns=True)) if "15053" in line]
    assert not [line for line in lines(Capture(redirect_dns=True), "raw") if "PREROUTING" in line]


captures = st.builds(
    Capture,
    mode=st.sampled_from(["REDIRECT", "TPROXY"]),
    uids=st.lists(st.integers(0, 9), min_size=1, max_size=3).map(tuple),
    inbound_ports=st.builds(Ports, st.booleans()) | st.builds(Ports, numbers=st.tuples(st.integers(1, 65535))),
    inbound_ports_exclude=st.lists(st.integers(1, 65535), max_size=3).map(tuple),
    outbound_ranges=st.sampled_from(["*", "", "10.0.0.0/8", "fd00::/8,10.0.0.0/8"]).map(parse_ranges),
    outbound_ports=st.lists(st.integers(1, 65535), max_size=2).map(tuple),
    virtual_interfaces=st.lists(st.sampled_from(["vm0", "vm1"]), unique=True).map(tuple),
    exclude_interfaces=st.lists(st.sampled_from(["eth1", "eth2"]), unique=True).map(tuple),
    redirect_dns=st.booleans(),
    capture_all_dns=st.booleans(),
    drop_invalid=st.booleans(),
)


@given(captures, st.sampled_from([4, 6]))
def test_the_proxys_own_connections_are_never_redirected_to_its_outbound_side(capture: Capture, family: Family):
    """Else it would call itself for ever: its RETURN stands before every redirection that could take it."""
    rows = [" ".join(spec) for spec in table(capture, family=family).chains["ISTIO_OUTPUT"]]
    redirects = [i for i, row in enumerate(rows) if row.endswith(("-j ISTIO_REDIRECT", "-j ISTIO_OUTPUT_DNS"))]
    for uid in capture.uids:
        own = rows.index(f"-m owner --uid-owner {uid} -j RETURN")
        assert all(own < redirect for redirect in redirects)


@given(captures, st.sampled_from([4, 6]))
def test_every_chain_that_is_jumped_to_is_made(capture: Capture, family: Family):
    for each in plan(capture, family, ("10.0.0.1",) if family == 4 else ("fd00::1",)):
        targets = {spec[spec.index("-j") + 1] for rows in each.chains.values() for spec in rows}
        assert {name for name in targets if name.startswith("ISTIO_")} <= set(each.own_chains)
