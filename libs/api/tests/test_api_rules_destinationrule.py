"""DestinationRule: every rule, with the exact words."""

# ruff: noqa: E501 - a text that is compared stands in one piece

import pytest

POLICY = [
    ("{}", ["trafficPolicy: needs at least one field"]),
    ("{connectionPool: {}}", ["trafficPolicy.connectionPool: needs tcp, http or both"]),
    ("{connectionPool: {tcp: {connectTimeout: 30ms, idleTimeout: 0s, tcpKeepalive: {probes: 3, time: 2h}}}}", []),
    (
        "{connectionPool: {tcp: {maxConnections: -1}}}",
        ["trafficPolicy.connectionPool.tcp.maxConnections: must be at least 0, got -1"],
    ),
    (
        "{connectionPool: {http: {useClientProtocol: true, h2UpgradePolicy: UPGRADE, http2KeepAlive: {interval: 1s}}}}",
        [
            "trafficPolicy.connectionPool.http.useClientProtocol: cannot be true while h2UpgradePolicy is UPGRADE",
            "trafficPolicy.connectionPool.http.http2KeepAlive.timeout: is required",
        ],
    ),
    (
        "{loadBalancer: {simple: FASTEST}}",
        [
            (
                "trafficPolicy.loadBalancer.simple: must be one of UNSPECIFIED, LEAST_CONN, RANDOM, PASSTHROUGH, ROUND_ROBIN, "
                "LEAST_REQUEST, got 'FASTEST'"
            )
        ],
    ),
    (
        "{loadBalancer: {simple: RANDOM, consistentHash: {useSourceIp: true}}}",
        ["trafficPolicy.loadBalancer: only one of simple, consistentHash may be set, found simple and consistentHash"],
    ),
    (
        "{loadBalancer: {consistentHash: {}}}",
        [
            (
                "trafficPolicy.loadBalancer.consistentHash: needs one of httpHeaderName, httpCookie, useSourceIp, "
                "httpQueryParameterName"
            )
        ],
    ),
    (
        (
            "{loadBalancer: {consistentHash: {httpCookie: {name: '', ttl: 0s, attributes: [{name: a}, {name: a}]}, "
            "maglev: {tableSize: 10}}}}"
        ),
        [
            "trafficPolicy.loadBalancer.consistentHash.httpCookie.name: must not be empty",
            "trafficPolicy.loadBalancer.consistentHash.httpCookie.attributes[1].name: 'a' stands twice",
            "trafficPolicy.loadBalancer.consistentHash.maglev.tableSize: must be a prime number less than 5000011, got 10",
        ],
    ),
    (
        "{loadBalancer: {consistentHash: {useSourceIp: true, minimumRingSize: 8, ringHash: {minimumRingSize: 8}}}}",
        [
            (
                "warning trafficPolicy.loadBalancer.consistentHash.minimumRingSize: is deprecated; use ringHash with "
                "minimumRingSize"
            ),
            "trafficPolicy.loadBalancer.consistentHash.minimumRingSize: cannot stand beside ringHash or maglev",
        ],
    ),
    (
        "{loadBalancer: {localityLbSetting: {distribute: [{from: eu/*, to: {eu/a: 80, us: 21}}, {from: eu/b, to: {us: 100}}]}}}",
        [
            "trafficPolicy.loadBalancer.localityLbSetting.distribute[0].to: the weights must sum to 100, they sum to 101",
            "trafficPolicy.loadBalancer.localityLbSetting.distribute[1].from: 'eu/b' overlaps with 'eu/*'",
        ],
    ),
    (
        "{loadBalancer: {localityLbSetting: {failover: [{from: eu, to: eu}, {from: us/a, to: eu}]}}}",
        [
            (
                "warning trafficPolicy.loadBalancer.localityLbSetting: failover has no effect without outlierDetection "
                "beside the loadBalancer"
            ),
            "trafficPolicy.loadBalancer.localityLbSetting.failover[0].to: must be another region than from, got 'eu'",
            (
                "trafficPolicy.loadBalancer.localityLbSetting.failover[1].from: must be a region without zone or '*', "
                "got 'us/a'"
            ),
        ],
    ),
    (
        "{loadBalancer: {localityLbSetting: {}, zoneAwareLbSetting: {}, warmup: {aggression: 0, minimumPercent: 101}}}",
        [
            "trafficPolicy.loadBalancer.zoneAwareLbSetting: cannot stand beside localityLbSetting",
            "trafficPolicy.loadBalancer.warmup.duration: is required",
            "trafficPolicy.loadBalancer.warmup.aggression: must be more than 0, got 0",
            "trafficPolicy.loadBalancer.warmup.minimumPercent: must be at most 100, got 101",
        ],
    ),
    (
        "{outlierDetection: {consecutiveErrors: 5, consecutiveLocalOriginFailures: 3, maxEjectionPercent: 101, interval: 0s}}",
        [
            (
                "warning trafficPolicy.outlierDetection.consecutiveErrors: is deprecated; use consecutive5xxErrors or "
                "consecutiveGatewayErrors"
            ),
            "trafficPolicy.outlierDetection.consecutiveLocalOriginFailures: needs splitExternalLocalOriginErrors: true",
            "trafficPolicy.outlierDetection.maxEjectionPercent: must be at most 100, got 101",
            "trafficPolicy.outlierDetection.interval: must be at least 1ms; leave the field out for its default",
        ],
    ),
    ("{outlierDetection: {consecutive5xxErrors: 0, consecutiveGatewayErrors: 5, baseEjectionTime: 30s}}", []),
    (
        "{tls: {mode: MUTUAL, clientCertificate: a}}",
        ["trafficPolicy.tls.privateKey: is required for mode MUTUAL"],
    ),
    (
        "{tls: {mode: SIMPLE, credentialName: a, caCertificates: b}}",
        ["trafficPolicy.tls.credentialName: cannot stand beside certificate files"],
    ),
    (
        "{tls: {mode: SIMPLE, insecureSkipVerify: true, subjectAltNames: [a]}}",
        ["trafficPolicy.tls.insecureSkipVerify: cannot stand beside what the server would be verified with"],
    ),
    (
        "{tls: {mode: SIMPLE}}",
        ["warning trafficPolicy.tls.caCertificates: is unset: the operating system's authorities are trusted"],
    ),
    (
        "{portLevelSettings: [{}, {port: {number: 80}, tls: {}}, {port: {number: 80}, tls: {}}]}",
        [
            "trafficPolicy.portLevelSettings[0].port: is required",
            "trafficPolicy.portLevelSettings[0]: needs at least one of loadBalancer, connectionPool, outlierDetection, tls",
            "trafficPolicy.portLevelSettings[2].port: port 80 has a policy already, portLevelSettings[1]",
        ],
    ),
    (
        "{tunnel: {protocol: GET, targetHost: '*.a', targetPort: 80}, proxyProtocol: {version: V2}}",
        [
            "trafficPolicy.tunnel.protocol: must be CONNECT or POST, got 'GET'",
            (
                "trafficPolicy.tunnel.targetHost: '*.a' is not a host name: its part '*' is not letters, digits and inner "
                "dashes (at most 63)"
            ),
            "trafficPolicy.tunnel: cannot stand beside proxyProtocol",
        ],
    ),
    (
        "{loadBalancer: {zoneAwareLbSetting: {failover: [{from: eu, to: us}]}, warmupDurationSecs: 30s}, outlierDetection: {}}",
        [
            "warning trafficPolicy.loadBalancer.warmupDurationSecs: is deprecated; use warmup with duration",
        ],
    ),
    (
        "{loadBalancer: {localityLbSetting: {distribute: [{from: a//b, to: {us: 0, eu: 100}}], failover: [{from: a, to: b}], failoverPriority: [topology.kubernetes.io/region]}}, outlierDetection: {}}",
        [
            "trafficPolicy.loadBalancer.localityLbSetting.failover: cannot stand beside distribute",
            "trafficPolicy.loadBalancer.localityLbSetting.distribute[0].to.us: must be from 1 to 100, got 0",
            "trafficPolicy.loadBalancer.localityLbSetting.distribute[0].from: 'a//b' is not a locality: region/zone/subzone, where a '*' may only end it",
            "trafficPolicy.loadBalancer.localityLbSetting.failoverPriority: cannot have topology labels beside failover",
        ],
    ),
    ("{retryBudget: {percent: 25.5, minRetryConcurrency: 5, budgetInterval: 0s}}", []),
]


@pytest.mark.parametrize(("policy", "expected"), POLICY)
def test_policies(problems_of, policy, expected):
    found = problems_of("DestinationRule", f"host: reviews\ntrafficPolicy: {policy}")
    assert sorted(line.replace("spec.", "", 1) for line in found) == sorted(expected)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("{subsets: []}", ["spec.host: is required"]),
        (
            "{host: reviews, subsets: [{name: v1}, {name: v1}, {name: a.b, trafficPolicy: {}}]}",
            [
                "spec.subsets[1].name: 'v1' is already the name of subsets[0]",
                "spec.subsets[2].name: 'a.b' is not a subset's name: letters, digits and inner dashes",
                "spec.subsets[2].trafficPolicy: needs at least one field",
            ],
        ),
        (
            "{host: reviews, exportTo: [other], workloadSelector: {matchLabels: {app: 'a*'}}}",
            [
                "spec.workloadSelector.matchLabels.app: a selector has no wildcards, got app=a*",
                "spec.exportTo[0]: a rule with workloadSelector applies to its own namespace only ('.')",
            ],
        ),
    ],
)
def test_the_whole(problems_of, spec, expected):
    assert sorted(problems_of("DestinationRule", spec)) == sorted(expected)
