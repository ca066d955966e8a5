"""mesh.md 3.8: domain expansion."""

import pytest

from mizzen.pilot.generate.domains import domains

FOO = "foo.ns1.svc.cluster.local"
CASES = [
    # host, addresses, headless, proxy domain, expected
    (FOO, ["10.0.0.1"], False, "ns1.svc.cluster.local",
     [FOO, FOO + ".", "foo", "foo.ns1.svc", "foo.ns1", "10.0.0.1"]),
    (FOO, ["10.0.0.1"], False, "ns2.svc.cluster.local", [FOO, FOO + ".", "foo.ns1", "foo.ns1.svc", "10.0.0.1"]),
    (FOO, [], True, "ns2.svc.cluster.local",
     [FOO, FOO + ".", "foo.ns1", "foo.ns1.svc", "*." + FOO, "*." + FOO + ".", "*.foo.ns1", "*.foo.ns1.svc"]),
    ("example.com", ["1.2.3.4", "10.0.0.0/8"], False, "ns1.svc.cluster.local",
     ["example.com", "example.com.", "1.2.3.4"]),
    ("foo.ns1.svc.other.local", [], False, "ns1.svc.cluster.local",
     ["foo.ns1.svc.other.local", "foo.ns1.svc.other.local."]),
    ("foo.consul.corp", [], False, "bar.consul.corp", ["foo.consul.corp", "foo.consul.corp.", "foo"]),
    ("foo.team.corp", [], False, "corp", ["foo.team.corp", "foo.team.corp.", "foo.team", "foo.team.corp"]),
    ("*.example.com", [], False, "ns1.svc.cluster.local", ["*.example.com"]),
    ("v6.example.com", ["fd00::1"], False, "ns1.svc.cluster.local",
     ["v6.example.com", "v6.example.com.", "[fd00::1]"]),
]  # fmt: skip


@pytest.mark.parametrize(("host", "addresses", "headless", "proxy_domain", "expected"), CASES)
def test_expansion(host: str, addresses: list[str], headless: bool, proxy_domain: str, expected: list[str]) -> None:
    assert domains(host, addresses, headless, proxy_domain) == list(dict.fromkeys(expected))
