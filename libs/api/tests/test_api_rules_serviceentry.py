"""ServiceEntry and WorkloadEntry: every rule, with the exact words."""

# ruff: noqa: E501 - a text that is compared stands in one piece

import pytest

PORT = "ports: [{number: 80, name: http, protocol: HTTP}]"
ENTRIES = [
    ("{hosts: [api.example.com], $PORT, resolution: DNS}", []),
    (
        "{hosts: [a.example.com], $PORT, resolution: STATIC, endpoints: [{address: 10.0.0.1, ports: {http: 8080}}]}",
        [],
    ),
    ("{$PORT}", ["hosts: needs at least one host"]),
    (
        "{hosts: ['*'], addresses: [10.0.0.0/8, x], $PORT, resolution: DNS}",
        [
            "addresses[0]: a CIDR block needs resolution NONE or STATIC, not DNS",
            "addresses[1]: 'x' is not an IP address or CIDR block such as 10.0.0.0/8",
            "hosts[0]: '*' would be every host; name hosts, or a wildcard such as *.example.com",
            "hosts[0]: '*' cannot be looked up; name endpoints, or use resolution DYNAMIC_DNS",
        ],
    ),
    (
        "{hosts: [a.com], ports: [{number: 80, name: A, protocol: HTTPP}, {number: 80, name: b}, {number: 81, name: b}]}",
        [
            "ports[0].name: 'A' is not a port name: lower-case letters, digits and inner dashes, at most 63",
            (
                "ports[0].protocol: must be one of GRPC, GRPC-WEB, HTTP, HTTP2, HTTPS, HTTP_PROXY, MONGO, MYSQL, REDIS, TCP, "
                "TLS, UDP, got 'HTTPP'"
            ),
            "ports[1].number: 80 is already the number of ports[0]",
            "ports[2].name: 'b' is already the name of ports[1]",
        ],
    ),
    (
        "{hosts: [a.com], $PORT, endpoints: [{address: 10.0.0.1}]}",
        ["endpoints: need resolution STATIC or DNS; resolution is NONE (the default)"],
    ),
    (
        "{hosts: [a.com], $PORT, resolution: STATIC, workloadSelector: {labels: {a: b}}, endpoints: [{address: b.com}]}",
        [
            "endpoints: cannot stand beside workloadSelector",
            "endpoints[0].address: 'b.com' is not an IP address, which resolution STATIC needs; use DNS for names",
        ],
    ),
    (
        (
            "{hosts: [a.com], $PORT, resolution: DNS_ROUND_ROBIN, endpoints: [{address: b.com}, {address: 'unix:///a', "
            "ports: {tcp: 1}}]}"
        ),
        [
            "endpoints: resolution DNS_ROUND_ROBIN takes one endpoint at most, got 2",
            "endpoints[1].ports: must be left out: the address is a Unix socket",
            "endpoints[1].ports.tcp: the ServiceEntry has no port of this name (it has http)",
            "endpoints[1].address: resolution DNS_ROUND_ROBIN needs a DNS name or an IP address; use STATIC",
        ],
    ),
    (
        (
            "{hosts: [a.com, '*.b.com'], addresses: [10.0.0.1], ports: [{number: 80, name: tcp, protocol: TCP}], "
            "resolution: DYNAMIC_DNS, exportTo: ['~']}"
        ),
        [
            "hosts[0]: resolution DYNAMIC_DNS needs wildcard hosts, got 'a.com'; use DNS",
            "addresses: must be left out with resolution DYNAMIC_DNS, which looks up the requested host",
            "ports[0].protocol: several hosts can only be told apart with HTTP or TLS protocols",
            "ports[0].protocol: must be one of HTTP, HTTP2, GRPC, TLS with resolution DYNAMIC_DNS",
        ],
    ),
    (
        "{hosts: ['*x.com'], $PORT, workloadSelector: {labels: {}}}",
        [
            "warning hosts[0]: '*x.com' is a partial wildcard; only *.example.com works everywhere",
            "warning workloadSelector.labels: the selector has no labels and so selects every workload of the namespace",
            "warning workloadSelector: has no effect with resolution NONE; use STATIC",
        ],
    ),
    (
        "{hosts: [a.com], resolution: STATIC, endpoints: [{address: 'unix:///run/a'}]}",
        ["endpoints[0].address: a Unix socket needs a ServiceEntry with one port, this has 0"],
    ),
    (
        "{hosts: [a.com], $PORT, resolution: STATC}",
        ["resolution: must be one of NONE, STATIC, DNS, DNS_ROUND_ROBIN, DYNAMIC_DNS, got 'STATC'"],
    ),
]


@pytest.mark.parametrize(("spec", "expected"), ENTRIES)
def test_service_entries(problems_of, spec, expected):
    found = problems_of("ServiceEntry", spec, PORT=PORT)
    assert sorted(line.replace("spec.", "", 1) for line in found) == sorted(expected)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("{address: 10.0.0.1, ports: {http: 8080}, locality: eu/a, weight: 2, serviceAccount: sa}", []),
        ("{address: vm.example.com}", []),
        ("{}", ["address: is required: an IP address, a DNS name or unix:///path"]),
        (
            "{network: far}",
            ["warning address: is unset: the endpoint is only reachable through the gateway of network 'far'"],
        ),
        ("{address: a b}", ["address: 'a b' is not an IP address, a DNS name or unix:///path"]),
        ("{address: 'unix://a'}", ["address: 'unix://a' is not unix:// with an absolute path of a file"]),
        ("{address: 10.0.0.1, ports: {http: 0}}", ["ports.http: must be a port from 1 to 65535, got 0"]),
    ],
)
def test_workload_entries(problems_of, spec, expected):
    found = problems_of("WorkloadEntry", spec)
    assert sorted(line.replace("spec.", "", 1) for line in found) == sorted(expected)
