"""Gateway and Sidecar: every rule, with the exact words."""

# ruff: noqa: E501 - a text that is compared stands in one piece

import pytest

PROTOCOLS = "HTTP, HTTPS, GRPC, GRPC-WEB, HTTP2, MONGO, REDIS, MYSQL, TCP, TLS"
HTTPS = "port: {number: 443, name: https, protocol: HTTPS}, hosts: ['*']"
HTTP = "port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']"

SERVERS = [
    ("[]", ["servers: needs at least one server"]),
    ("[{$HTTP}]", []),
    ("[{}]", ["servers[0].hosts: needs at least one host; '*' for any", "servers[0].port: is required"]),
    (
        "[{port: {}, hosts: [reviews]}]",
        [
            "servers[0].hosts[0]: 'reviews' is a short name; write the full host, such as reviews.example.com, or '*'",
            "servers[0].port.name: is required",
            f"servers[0].port.protocol: is required: one of {PROTOCOLS}",
            "servers[0].port.number: is required",
        ],
    ),
    (
        "[{port: {number: 80, name: a, protocol: HTPP, targetPort: 8080}, hosts: [shop/*], bind: localhost}]",
        [
            f"servers[0].port.protocol: must be one of {PROTOCOLS}, got 'HTPP'",
            "servers[0].port.targetPort: has no effect on a Gateway; remove it",
            "servers[0].bind: 'localhost' is not an IP address or unix:// path",
        ],
    ),
    (
        "[{port: {number: 80, name: a, protocol: HTTP}, hosts: ['*'], bind: 'unix:///run/a/'}]",
        [
            "servers[0].bind: 'unix:///run/a/' is not unix:// with an absolute path of a file",
            "servers[0].port.number: must be left out: bind is a Unix socket",
        ],
    ),
    (
        "[{$HTTP}, {$HTTP}]",
        ["servers[1].port.name: 'http' is already the port of servers[0]; names are unique"],
    ),
    ("[{$HTTPS}]", ["servers[0].tls: is required for protocol HTTPS"]),
    ("[{$HTTP, tls: {httpsRedirect: true}}]", []),
    (
        "[{$HTTP, tls: {mode: SIMPLE, credentialName: a}}]",
        ["servers[0].tls: protocol HTTP has no TLS; only httpsRedirect is possible here, or use protocol HTTPS"],
    ),
    (
        "[{port: {number: 3306, name: db, protocol: MYSQL}, hosts: ['*'], tls: {httpsRedirect: true}}]",
        [
            "servers[0].tls: protocol MYSQL has no TLS; use HTTPS or TLS",
            "warning servers[0].tls.httpsRedirect: has no effect on ports that are not HTTP",
        ],
    ),
    (
        "[{$HTTPS, tls: {mode: SIMPEL}}]",
        [
            (
                "servers[0].tls.mode: must be one of PASSTHROUGH, SIMPLE, MUTUAL, AUTO_PASSTHROUGH, ISTIO_MUTUAL, "
                "OPTIONAL_MUTUAL, got 'SIMPEL'"
            )
        ],
    ),
    (
        "[{$HTTPS, tls: {mode: MUTUAL}}]",
        [
            "servers[0].tls.caCertificates: is required for mode MUTUAL (or credentialName)",
            "servers[0].tls.serverCertificate: is required for mode MUTUAL (or credentialName)",
            "servers[0].tls.privateKey: is required for mode MUTUAL (or credentialName)",
        ],
    ),
    ("[{$HTTPS, tls: {mode: MUTUAL, credentialName: a}}]", []),
    (
        "[{$HTTPS, tls: {mode: SIMPLE, credentialName: a, credentialNames: [b], caCrl: c}}]",
        [
            (
                "servers[0].tls: takes one of credentialName, credentialNames, serverCertificate with privateKey, "
                "tlsCertificates"
            ),
            "servers[0].tls.caCrl: cannot stand beside credentialName: put the list into the credential",
            "servers[0].tls.caCrl: has no meaning for mode SIMPLE, which asks clients for no certificate",
        ],
    ),
    (
        "[{$HTTPS, tls: {mode: SIMPLE, tlsCertificates: [{serverCertificate: a}]}}]",
        ["servers[0].tls.tlsCertificates[0].privateKey: is required for mode SIMPLE (or credentialName)"],
    ),
    (
        "[{$HTTPS, tls: {mode: SIMPLE, tlsCertificates: [$C, $C, $C]}}]",
        ["warning servers[0].tls.tlsCertificates: may have 2 certificates, one RSA and one ECDSA"],
    ),
    (
        "[{$HTTPS, tls: {mode: ISTIO_MUTUAL, credentialName: a}}]",
        ["servers[0].tls.credentialName: must be left out: mode ISTIO_MUTUAL uses the workload's own certificate"],
    ),
    (
        "[{$HTTPS, tls: {privateKey: a, minProtocolVersion: TLSV1_0}}]",
        [
            "warning servers[0].tls.privateKey: has no effect: mode PASSTHROUGH does not open the TLS connection",
            "warning servers[0].tls.minProtocolVersion: TLSV1_0 needs cipherSuites that it can use",
        ],
    ),
    (
        "[{$HTTPS, tls: {cipherSuites: [AES128-SHA, AES128-SHA, ROT13, '-ALL']}}]",
        [
            "warning servers[0].tls.cipherSuites[1]: 'AES128-SHA' stands twice",
            "warning servers[0].tls.cipherSuites[2]: 'ROT13' is not a cipher of Envoy's; it is ignored",
        ],
    ),
]


@pytest.mark.parametrize(("servers", "expected"), SERVERS)
def test_gateways(problems_of, servers, expected):
    found = problems_of(
        "Gateway",
        f"selector: {{istio: ingressgateway}}\nservers: {servers}",
        HTTPS=HTTPS,
        HTTP=HTTP,
        C="{serverCertificate: a, privateKey: b}",
    )
    assert sorted(line.replace("spec.", "", 1) for line in found) == sorted(expected)


PORT = "port: {number: 9080, protocol: HTTP, name: http}"
SIDECARS = [
    ("{}", ["spec: needs at least one of ingress, egress, outboundTrafficPolicy, inboundConnectionPool"]),
    ("{egress: [{hosts: [./*, istio-system/*, '~other/*.example.com']}]}", []),
    ("{ingress: [{$PORT, defaultEndpoint: '127.0.0.1:9080'}], inboundConnectionPool: {tcp: {}}}", []),
    (
        "{workloadSelector: {}, egress: [{hosts: []}]}",
        [
            "warning workloadSelector.labels: the selector has no labels and so selects every workload of the namespace",
            "egress[0].hosts: needs at least one host, such as ./* or */*",
        ],
    ),
    (
        "{egress: [{hosts: [reviews, ./reviews, A/*, ./a.com, shop/a.com]}]}",
        [
            "egress[0].hosts[0]: 'reviews' is not namespace/host; for this namespace write ./reviews, for any */reviews",
            "egress[0].hosts[1]: 'reviews' is a short name; write the full host, such as reviews.example.com, or '*'",
            "egress[0].hosts[2]: 'A/*' is not namespace/host: 'A' is not a namespace, '.', '*' or '~'",
            "warning egress[0].hosts[4]: 'shop/a.com' is listed already",
        ],
    ),
    (
        "{egress: [{hosts: ['*/*', ./*]}]}",
        ["warning egress[0].hosts: '*/*' selects everything, so the other hosts have no effect"],
    ),
    (
        "{egress: [{hosts: [./*]}, {$PORT, hosts: [./*]}, {$PORT, hosts: [./*]}]}",
        [
            "egress[0].port: is required: only the last egress listener may have no port",
            "egress[2].port: 9080 is already taken by egress[1]",
        ],
    ),
    (
        "{egress: [{port: {protocol: HTTP}, hosts: [./*]}, {$PORT, bind: 'unix:///a', captureMode: IPTABLES, hosts: [./*]}]}",
        [
            "egress[0].port.number: must be from 1 to 65535, or bind must be a Unix socket",
            "egress[1].port.number: must be left out: bind is a Unix socket",
            "egress[1].captureMode: must be DEFAULT or NONE: traffic to a Unix socket cannot be captured",
        ],
    ),
    (
        "{ingress: [{}, {$PORT, defaultEndpoint: '10.0.0.1:80', bind: x}, {$PORT, defaultEndpoint: ':0'}]}",
        [
            "ingress[0].port: is required",
            "ingress[1].bind: 'x' is not an IP address",
            (
                "ingress[1].defaultEndpoint: must be 127.0.0.1:port, 0.0.0.0:port, [::1]:port, [::]:port or unix:///path, "
                "got '10.0.0.1:80'"
            ),
            (
                "ingress[2].defaultEndpoint: must be 127.0.0.1:port, 0.0.0.0:port, [::1]:port, [::]:port or unix:///path, "
                "got ':0'"
            ),
            "ingress[2].port.number: 9080 is already the port of ingress[1]",
        ],
    ),
    (
        "{ingress: [{port: {number: 1, protocol: TCP}, tls: {credentialName: a}, connectionPool: {http: {}}}]}",
        [
            "warning ingress[0].connectionPool.http: has no effect: the port's protocol is not HTTP",
            "ingress[0].tls.credentialName: is not supported in a Sidecar",
            "ingress[0].tls.mode: must be one of SIMPLE, MUTUAL, OPTIONAL_MUTUAL, got PASSTHROUGH",
            "warning ingress[0].tls.credentialName: has no effect: mode PASSTHROUGH does not open the TLS connection",
            "ingress[0].tls: needs protocol HTTPS or TLS, got 'TCP'",
        ],
    ),
    (
        "{ingress: [{port: {number: 0, protocol: HTPP, targetPort: 1}, defaultEndpoint: 'unix:///run/app.sock'}]}",
        [
            "ingress[0].port.number: must be from 1 to 65535",
            "ingress[0].port.protocol: must be one of GRPC, GRPC-WEB, HTTP, HTTP2, HTTPS, HTTP_PROXY, MONGO, MYSQL, REDIS, TCP, TLS, UDP, got 'HTPP'",
            "ingress[0].port.targetPort: has no effect in a Sidecar; remove it",
        ],
    ),
    (
        "{outboundTrafficPolicy: {egressProxy: {host: out}}}",
        [
            "outboundTrafficPolicy.egressProxy: needs mode ALLOW_ANY, got REGISTRY_ONLY",
            "outboundTrafficPolicy.egressProxy.port: is required",
        ],
    ),
]


@pytest.mark.parametrize(("spec", "expected"), SIDECARS)
def test_sidecars(problems_of, spec, expected):
    found = problems_of("Sidecar", spec, PORT=PORT)
    assert sorted(line.replace("spec.", "", 1) for line in found) == sorted(expected)


def test_a_gateways_name_has_no_dots(read):
    parsed = read(
        """\
        apiVersion: networking.istio.io/v1
        kind: Gateway
        metadata: {name: a.b}
        spec:
          servers:
          - port: {number: 80, name: http, protocol: HTTP}
            hosts: ['*']
        """
    )
    assert [problem.message for problem in parsed.problems] == [
        "'a.b' must be lower-case letters, digits and inner dashes, at most 63"
    ]
