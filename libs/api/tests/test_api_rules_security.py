"""security.istio.io: every rule, with the words that users read."""

# ruff: noqa: E501 - a text that is compared stands in one piece

import pytest

PEER = [
    ("{}", []),
    ("{mtls: {mode: STRICT}}", []),
    ("{mtls: {mode: STRICTLY}}", ["mtls.mode: must be one of UNSET, DISABLE, PERMISSIVE, STRICT, got 'STRICTLY'"]),
    ("{selector: {matchLabels: {app: a}}, portLevelMtls: {8080: {mode: DISABLE}}}", []),
    (
        "{portLevelMtls: {8080: {mode: DISABLE}}}",
        ["portLevelMtls: needs a selector with labels: ports are those of workloads"],
    ),
    (
        "{selector: {matchLabels: {app: a}}, portLevelMtls: {}}",
        ["portLevelMtls: has no ports; leave it out"],
    ),
    (
        "{selector: {matchLabels: {app: a}}, portLevelMtls: {70000: {mode: DISABLE}}}",
        ["portLevelMtls.70000: must be a port from 1 to 65535, got 70000"],
    ),
    (
        "{selector: {matchLabels: {app: 'a*'}}}",
        ["selector.matchLabels.app: a selector has no wildcards, got app=a*"],
    ),
]

REQUEST = [
    ("{}", []),
    ("{jwtRules: [{issuer: a, jwksUri: https://a.example/keys}]}", []),
    (
        "{jwtRules: [{}]}",
        ["jwtRules[0].issuer: is required where neither jwksUri nor jwks says which keys are good"],
    ),
    (
        "{jwtRules: [{issuer: a, jwksUri: a.example/keys}]}",
        ["jwtRules[0].jwksUri: 'a.example/keys' is not a URL of the form https://host/path"],
    ),
    (
        "{jwtRules: [{issuer: a, jwksUri: http://a.example/keys}]}",
        ["warning jwtRules[0].jwksUri: is fetched without encryption: who can change the answer can sign tokens"],
    ),
    (
        "{jwtRules: [{issuer: a, jwks: '{}'}]}",
        ['jwtRules[0].jwks: is not a JSON Web Key Set: {"keys": [{"kty": ...}]}'],
    ),
    ("""{jwtRules: [{issuer: a, jwks: '{"keys": []}'}]}""", ["jwtRules[0].jwks: has no keys"]),
    (
        """{jwtRules: [{issuer: a, jwks: '{"keys": [{"kty": "RSA", "d": "x"}]}'}]}""",
        [
            "warning jwtRules[0].jwks: key 0 has its private part in it: who can read this resource can sign tokens",
        ],
    ),
    (
        "{jwtRules: [{issuer: a, audiences: [''], fromParams: [''], outputClaimToHeaders: [{header: x, claim: ''}]}]}",
        [
            "jwtRules[0].audiences[0]: must not be empty",
            "jwtRules[0].fromParams[0]: must not be empty",
            "jwtRules[0].outputClaimToHeaders[0].claim: must not be empty",
        ],
    ),
    (
        "{jwtRules: [{issuer: a, outputPayloadToHeader: Host, outputClaimToHeaders: [{header: Content-Length, claim: n}]}]}",
        [
            "jwtRules[0].outputClaimToHeaders[0].header: Content-Length cannot tell of tokens",
            "jwtRules[0].outputPayloadToHeader: Host cannot tell of tokens",
        ],
    ),
    (
        "{targetRefs: [{kind: Deployment, name: a}]}",
        [
            "targetRefs[0].kind: /Deployment cannot have policies; these can: gateway.networking.k8s.io/Gateway, gateway.networking.k8s.io/GatewayClass, Service, networking.istio.io/ServiceEntry"
        ],
    ),
]

KNOWN_KEYS = "source.ip, remote.ip, source.namespace, source.principal, source.serviceAccount, source.trustDomain, request.auth.principal, request.auth.audiences, request.auth.presenter, destination.ip, destination.port, connection.sni, request.headers[NAME], request.auth.claims[NAME]"
OUTSIDE = "cannot be a condition of action CUSTOM: who asks is what the provider is to find out"
AUTHORIZATION = [
    ("{}", []),
    ("{rules: [{}]}", []),
    ("{action: DENY}", ["rules: action DENY needs at least one rule; `- {}` matches everything"]),
    ("{action: REFUSE}", ["action: must be one of ALLOW, DENY, AUDIT, CUSTOM, got 'REFUSE'"]),
    ("{action: CUSTOM, rules: [{}]}", ["provider.name: is required with action CUSTOM"]),
    ("{provider: {name: a}}", ["provider: goes with action CUSTOM, not ALLOW"]),
    ("{action: CUSTOM, provider: {name: a}, rules: [{to: [{operation: {paths: [/a]}}]}]}", []),
    (
        "{action: CUSTOM, provider: {name: a}, rules: [{from: [{source: {principals: [a]}}], when: [{key: 'request.auth.claims[a]', values: [b]}]}]}",
        [
            f"rules[0].from[0].source.principals: {OUTSIDE}",
            f"rules[0].when[0].key: request.auth.claims[a] {OUTSIDE}",
        ],
    ),
    ("{rules: [{from: []}]}", ["rules[0].from: has no alternatives; leave it out to match everything"]),
    ("{rules: [{from: [{}]}]}", ["rules[0].from[0].source: has no conditions"]),
    ("{rules: [{to: [{operation: {}}]}]}", ["rules[0].to[0].operation: has no conditions"]),
    (
        "{rules: [{to: [{operation: {methods: []}}]}]}",
        ["rules[0].to[0].operation.methods: has no values; leave it out"],
    ),
    (
        "{rules: [{from: [{source: {namespaces: ['']}}]}]}",
        ["rules[0].from[0].source.namespaces[0]: must not be empty"],
    ),
    (
        "{rules: [{to: [{operation: {ports: ['80', http, '0']}}]}]}",
        [
            "rules[0].to[0].operation.ports[1]: must be a port from 1 to 65535, got 'http'",
            "rules[0].to[0].operation.ports[2]: must be a port from 1 to 65535, got '0'",
        ],
    ),
    (
        "{rules: [{from: [{source: {serviceAccounts: [a, ns/a, 'a*', a/b/c]}}]}]}",
        [
            "rules[0].from[0].source.serviceAccounts[2]: 'a*' is not of the form [namespace/]name",
            "rules[0].from[0].source.serviceAccounts[3]: 'a/b/c' is not of the form [namespace/]name",
        ],
    ),
    (
        "{rules: [{from: [{source: {serviceAccounts: [a], namespaces: [b]}}]}]}",
        ["rules[0].from[0].source.namespaces: cannot stand beside service accounts: they say it already"],
    ),
    (
        "{rules: [{when: [{key: source.user, values: [a]}]}]}",
        [f"rules[0].when[0].key: 'source.user' is unknown; these are known: {KNOWN_KEYS}"],
    ),
    ("{rules: [{when: [{key: source.ip}]}]}", ["rules[0].when[0]: needs values or notValues"]),
    ("{rules: [{when: [{key: 'request.headers[x-a]', values: ['*']}]}]}", []),
    ("{rules: [{when: [{key: 'request.auth.claims[a][b]', notValues: [c]}]}]}", []),
    ("{rules: [{to: [{operation: {paths: ['/a/{*}/b/{**}', '/a*', '*/b', '*']}}]}]}", []),
    (
        "{rules: [{to: [{operation: {paths: ['/a{*}', '/{**}/{*}', '/{a}', '/{*}/*']}}]}]}",
        [
            "rules[0].to[0].operation.paths[0]: in '/a{*}', {*} and {**} must each be a whole segment",
            "rules[0].to[0].operation.paths[1]: in '/{**}/{*}', {**} must be the last of the wildcards",
            "rules[0].to[0].operation.paths[2]: '/{a}' is not a path template: /, literal text, {*} for a segment, {**} for several",
            "rules[0].to[0].operation.paths[3]: '/{*}/*' is not a path template: /, literal text, {*} for a segment, {**} for several",
        ],
    ),
    (
        "{action: DENY, rules: [{to: [{operation: {methods: [POST]}}]}]}",
        ["warning rules[0]: denies every connection to ports of plain TCP, if there are any; name ports to spare them"],
    ),
    ("{action: DENY, rules: [{to: [{operation: {methods: [POST], ports: ['80']}}]}]}", []),
]

CASES = [
    (kind, *case)
    for kind, cases in (
        ("PeerAuthentication", PEER),
        ("RequestAuthentication", REQUEST),
        ("AuthorizationPolicy", AUTHORIZATION),
    )
    for case in cases
]


@pytest.mark.parametrize(("kind", "spec", "expected"), CASES)
def test_security_policies(problems_of, kind, spec, expected):
    found = problems_of(kind, spec)
    assert sorted(line.replace("spec.", "", 1) for line in found) == sorted(expected)


@pytest.mark.parametrize(
    ("value", "action", "expected"),
    [
        ("true", "ALLOW", []),
        ("maybe", "ALLOW", ["the annotation istio.io/dry-run must be true or false, got 'maybe'"]),
        (
            "true",
            "AUDIT",
            ["AUDIT cannot be tried with the annotation istio.io/dry-run: ALLOW and DENY can"],
        ),
    ],
)
def test_only_verdicts_can_be_tried(read, value, action, expected):
    parsed = read(
        f"""\
        apiVersion: security.istio.io/v1
        kind: AuthorizationPolicy
        metadata: {{name: a, annotations: {{istio.io/dry-run: "{value}"}}}}
        spec:
          action: {action}
          rules: [{{}}]
        """
    )
    assert [problem.message for problem in parsed.problems] == expected


def test_values_of_a_secret_are_base64_and_are_not_shown(read):
    values = "{data: {tls.crt: '-----BEGIN', tls.key: aHVzaA==, over: '---'}, stringData: {over: plain}}"
    parsed = read(f"{{apiVersion: v1, kind: Secret, metadata: {{name: shop}}, {values[1:]}")
    assert [(problem.path, problem.message) for problem in parsed.errors] == [
        ('data["tls.crt"]', "is not base64; text as it is goes under stringData")
    ]
    assert "BEGIN" not in str(parsed.problems)


def test_what_nobody_would_read_of_a_secret_is_an_error(read):
    parsed = read(
        "{apiVersion: v1, kind: Secret, metadata: {name: shop}, immutable: true, stringdata: {tls.key: hush}}"
    )
    [problem] = parsed.errors
    assert problem.path == "stringdata"
    assert "stringData" in problem.message
    assert "hush" not in str(problem)
