"""The command line and the environment."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mizzen.injector.proxyinit.flags import OPTIONS, SWITCHES, read_settings
from mizzen.injector.proxyinit.settings import Capture, Ports, Ranges, Settings, parse_ports, parse_ranges


def test_without_flags_nothing_is_captured():
    assert read_settings([], {}) == Settings()


def test_what_the_injector_passes():
    line = ["-p", "15001", "-z", "15006", "-u", "1337", "-m", "REDIRECT", "-i", "*", "-x", "", "-b", "*"]
    settings = read_settings([*line, "-d", "15090,15021,15020", "--log_output_level=default:info"], {})
    assert settings.capture == Capture(
        inbound_ports=Ports(every=True),
        inbound_ports_exclude=(15090, 15021, 15020),
        outbound_ranges=Ranges(every=True),
    )


def test_every_flag():
    settings = read_settings(
        [
            *("-p", "1", "-z", "2", "-e", "3", "-u", "4,root", "-g", "6", "-m", "TPROXY", "-b", "80, 81", "-d", "82"),
            *("-i", "10.0.0.0/8,fd00::/8", "-x", "10.1.2.3/16", "-q", "83", "-o", "84", "-c", "eth1", "-k", "vm0,vm1"),
            *("-t", "7", "-r", "8", "-n", "--skip-rule-apply", "--run-validation", "--redirect-dns=true"),
            *("--capture-all-dns", "--drop-invalid", "--dual-stack", "--reconcile", "--cleanup-only", "--force-apply"),
            *("--force-iptables-binary", "legacy", "--iptables-probe-port", "9", "--probe-timeout", "500ms"),
        ],
        {
            "ISTIO_OUTBOUND_OWNER_GROUPS": "root,5",
            "ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE": "6",
            "ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR": "127.0.0.0/8",
        },
    )
    assert settings == Settings(
        capture=Capture(
            outbound_port=1,
            inbound_port=2,
            tunnel_port=3,
            uids=(4, 0),
            gids=(6,),
            mode="TPROXY",
            inbound_ports=Ports(numbers=(80, 81)),
            inbound_ports_exclude=(82,),
            outbound_ranges=parse_ranges("10.0.0.0/8,fd00::/8"),
            outbound_ranges_exclude=parse_ranges("10.1.0.0/16"),
            outbound_ports=(83,),
            outbound_ports_exclude=(84,),
            exclude_interfaces=("eth1",),
            virtual_interfaces=("vm0", "vm1"),
            tproxy_mark=7,
            tproxy_table=8,
            owner_groups=(0, 5),
            owner_groups_exclude=(6,),
            redirect_dns=True,
            capture_all_dns=True,
            drop_invalid=True,
            loopback=ip_network("127.0.0.0/8"),
        ),
        dual_stack=True,
        dry_run=True,
        skip_rule_apply=True,
        reconcile=True,
        cleanup_only=True,
        force_apply=True,
        force_binary="legacy",
        run_validation=True,
        probe_port=9,
        probe_seconds=0.5,
    )


def test_a_flag_wins_over_its_variable_and_that_over_the_default():
    environment = {"INBOUND_CAPTURE_PORT": "7", "ISTIO_INBOUND_PORTS": "80", "DRY_RUN": "true"}
    capture = read_settings(["-b", "443"], environment).capture
    assert (capture.inbound_port, capture.inbound_ports.numbers) == (7, (443,))
    assert read_settings([], environment).dry_run
    assert not read_settings(["--dry-run=false"], environment).dry_run


@pytest.mark.parametrize(
    ("variable", "name"), [("ISTIO_META_DNS_CAPTURE", "redirect_dns"), ("INVALID_DROP", "drop_invalid")]
)
def test_variables_that_others_read_too(variable: str, name: str):
    assert getattr(read_settings([], {variable: "true"}).capture, name)


def test_groups_follow_users_and_users_the_name_of_the_proxys_user():
    assert read_settings(["-u", "5,6"], {}).capture.gids == (5, 6)
    assert read_settings([], {"ENVOY_USER": "root"}).capture.uids == (0,)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-p", "0"], "-p (--envoy-port): a port is a number from 1 to 65535, not '0'"),
        (["-b", "80,"], "-b (--istio-inbound-ports): there is an empty part in the list '80,'"),
        (["-b", "80,http"], "a port is a number from 1 to 65535, not 'http'"),
        (["-o", "65536"], "-o (--istio-local-outbound-ports-exclude): a port is a number from 1 to 65535, not '65536'"),
        (["-i", "10.0.0.0/33"], "-i (--istio-service-cidr): a range is a CIDR such as 10.0.0.0/8"),
        (["-x", "*"], "-x (--istio-service-exclude-cidr): '*' cannot be excluded"),
        (["-m", "redirect"], "REDIRECT or TPROXY, not 'redirect'"),
        (["-m", "NONE"], "REDIRECT or TPROXY, not 'NONE'"),
        (["-u", "no-such-user"], "-u (--proxy-uid): there is no user 'no-such-user' on this system"),
        (["-g", "4294967295"], "the id of a group is at most 4294967294"),
        (["-c", "eth0 eth1"], "a network interface has up to 15 letters"),
        (["-k", "-j"], "expected one argument"),
        (["-t", "0x10"], "-t (--istio-inbound-tproxy-mark): a number from 1"),
        (["--force-iptables-binary", "ebpf"], "nft or legacy, not 'ebpf'"),
        (["--probe-timeout", "5"], "a duration such as 5s or 500ms, not '5'"),
        (["--dry-run=maybe"], "-n (--dry-run): true or false, not 'maybe'"),
        (["--log-level", "loud"], "one of debug, info"),
        (["--native-nftables"], "unrecognized arguments: --native-nftables"),
    ],
)
def test_what_is_not_understood_is_said_and_ends_with_2(arguments: list[str], said: str, capsys):
    with pytest.raises(SystemExit) as ended:
        read_settings(arguments, {})
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_too_many_groups_and_a_wrong_loopback_range_are_refused_by_the_name_of_their_variable(capsys):
    for environment in (
        {"ISTIO_OUTBOUND_OWNER_GROUPS": ",".join(str(gid) for gid in range(65))},
        {"ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR": "10.0.0.0/8"},
    ):
        with pytest.raises(SystemExit):
            read_settings([], environment)
        assert next(iter(environment)) in capsys.readouterr().err


@given(st.text(max_size=20))
def test_any_text_is_a_list_of_ports_or_a_clear_error(text: str):
    try:
        ports = parse_ports(text)
    except ValueError:
        ports = ()
    assert all(1 <= port <= 65535 for port in ports)


@given(st.lists(st.integers(1, 65535)))
def test_every_list_of_ports_is_read(ports: list[int]):
    assert parse_ports(" , ".join(map(str, ports))) == tuple(ports)


def test_each_letter_and_name_is_there_once():
    names = [option.name for option in (*OPTIONS, *SWITCHES)]
    letters = [option.letter for option in (*OPTIONS, *SWITCHES) if option.letter]
    assert len(set(names)) == len(names)
    assert sorted(letters) == sorted("pzeugmbdixqockntr")
