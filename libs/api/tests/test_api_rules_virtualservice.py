"""VirtualService: every rule, with the exact words."""

# ruff: noqa: E501 - a text that is compared stands in one piece

import pytest

HEAD = "hosts: [reviews]\n"
TO = "destination: {host: reviews}"
RETRY_ON = (
    "5xx, cancelled, connect-failure, deadline-exceeded, envoy-ratelimited, gateway-error, http3-post-connect-failure, "
    "internal, refused-stream, reset, reset-before-request, resource-exhausted, retriable-4xx, retriable-headers, "
    "retriable-status-codes, unavailable"
)

WHOLE = [
    ("{}", ["spec: needs at least one of http, tls, tcp"]),
    (
        "hosts: ['*']\nhttp: [{route: [{$TO}]}]",
        ["spec.hosts[0]: '*' is not allowed in the mesh: name hosts, or list only gateways under gateways"],
    ),
    ("hosts: ['*']\ngateways: [front]\nhttp: [{route: [{$TO}]}]", []),
    (
        "hosts: ['*.example.com', a.example.com]\nhttp: [{route: [{$TO}]}]",
        ["spec.hosts[1]: 'a.example.com' overlaps with hosts[0] '*.example.com'"],
    ),
    (
        HEAD + "gateways: [Front, shop/front, front.shop.svc.cluster.local, mesh, A/b]\nhttp: [{route: [{$TO}]}]",
        [
            "spec.gateways[0]: 'Front' is not a gateway's name: lower-case letters, digits and inner dashes",
            (
                "warning spec.gateways[2]: 'front.shop.svc.cluster.local' is the old form of a gateway's name; "
                "write shop/front"
            ),
            "spec.gateways[4]: 'A/b' is not namespace/name: 'A' is not a namespace",
        ],
    ),
    (
        HEAD + "exportTo: [., shop, '*', '~']\nhttp: [{route: [{$TO}]}]",
        [
            "spec.exportTo[1]: 'shop' is the same as exportTo[0]",
            "spec.exportTo[3]: '~' is only allowed in a ServiceEntry",
            "spec.exportTo[2]: '*' must stand alone",
            "spec.exportTo[3]: '~' must stand alone",
        ],
    ),
    (
        "gateways: [front]\ntcp: [{route: [{$TO}]}]",
        [
            "spec.gateways: a VirtualService without hosts is a delegate and has http routes only",
            "spec.tcp: a VirtualService without hosts is a delegate and has http routes only",
        ],
    ),
    (
        "http: [{delegate: {name: other}}]",
        ["spec.http[0].delegate: a delegate (a VirtualService without hosts) cannot delegate further"],
    ),
]

ROUTES = [
    ("- {}", ["spec.http[0]: needs one of route, redirect, directResponse, delegate"]),
    (
        "- {route: [{$TO}], redirect: {uri: /}, fault: {delay: {fixedDelay: 1s}}}",
        [
            (
                "spec.http[0].redirect: cannot stand beside route: a route has one of route, redirect, directResponse, "
                "delegate"
            ),
            "spec.http[0].fault: has no meaning beside route, which answers without a destination",
        ],
    ),
    ("- {route: [{}]}", ["spec.http[0].route[0].destination: is required"]),
    (
        "- {route: [{destination: {host: '*'}}]}",
        ["spec.http[0].route[0].destination.host: '*' is not a destination: name a host"],
    ),
    (
        "- {route: [{$TO}, {$TO, weight: 1}]}",
        ["spec.http[0].route[0].weight: is required: this route has 2 destinations, each needs a weight"],
    ),
    (
        "- {route: [{$TO, weight: 0}, {$TO, weight: 0}]}",
        ["spec.http[0].route: all weights are 0, so no destination would get traffic"],
    ),
    ("- {route: [{$TO, weight: -1}]}", ["spec.http[0].route[0].weight: must be at least 0, got -1"]),
    ("- {route: [{$TO, weight: true}]}", ["spec.http[0].route[0].weight: must be a number, got true"]),
    (
        "- {route: [{$TO, weight: 1.5}]}",
        ["spec.http[0].route[0].weight: must be a whole number, got 1.5"],
    ),
    (
        "- {route: [{$TO}], timeout: 0s}",
        ["spec.http[0].timeout: must be at least 1ms; leave the field out for its default"],
    ),
    ("- {route: {}}", ["spec.http[0].route: must be a list, got a mapping"]),
    ("- {route: [null]}", ["spec.http[0].route[0]: must be a mapping of fields, got nothing"]),
    (
        "- {route: [{$TO}], match: [{uri: {exact: /, prefix: /}}]}",
        ["spec.http[0].match[0].uri: only one of exact, prefix, regex may be set, found exact and prefix"],
    ),
    (
        "- {route: [{$TO}], match: [{uri: {prefix: ''}, method: {prefix: ''}, sourceNamespace: A}]}",
        [
            "spec.http[0].match[0].method.prefix: must not be empty; to match any value write {} instead of a prefix",
            "spec.http[0].match[0].sourceNamespace: 'A' is not a namespace",
        ],
    ),
    (
        "- {route: [{$TO}], match: [{uri: {regex: '('}}]}",
        ["spec.http[0].match[0].uri.regex: '(' is not an RE2 regex: missing ): ("],
    ),
    (
        "- {route: [{$TO}], match: [{headers: {'a b': {exact: x}}, withoutHeaders: {a: {regex: '*'}, b: {}}}]}",
        ["spec.http[0].match[0].headers[\"a b\"]: 'a b' is not a header name"],
    ),
    (
        "- {route: [{$TO}], match: [{headers: {'@request.auth.claims.group': {exact: x}}}]}",
        [
            (
                'spec.http[0].match[0].headers["@request.auth.claims.group"]: claims can only be matched at gateways: '
                "list them under gateways, without mesh"
            )
        ],
    ),
    (
        "- route: [{$TO}]\n  headers: {request: {set: {':path': x, host: a}}, response: {add: {Host: a}, remove: [host]}}",
        [
            "spec.http[0].headers.request.set[\":path\"]: ':path' is a pseudo header, which cannot be edited; see rewrite",
            "spec.http[0].headers.response.add.Host: Host can only be set in requests",
            "spec.http[0].headers.response.remove[0]: host can only be set in requests",
        ],
    ),
    (
        "- {redirect: {uri: /, prefixRewrite: /, redirectCode: 304, scheme: ftp}, match: [{uri: {exact: /}}]}",
        [
            "spec.http[0].redirect.prefixRewrite: cannot stand beside uri",
            "spec.http[0].redirect.prefixRewrite: needs every uri match of this route to be a prefix",
            "spec.http[0].redirect.redirectCode: must be one of 301, 302, 303, 307, 308, got 304",
            "spec.http[0].redirect.scheme: must be http or https, got 'ftp'",
        ],
    ),
    (
        "- {redirect: {port: 80, derivePort: FROM_REQUST_PORT}}",
        [
            (
                "spec.http[0].redirect.derivePort: must be one of FROM_PROTOCOL_DEFAULT, FROM_REQUEST_PORT, "
                "got 'FROM_REQUST_PORT'"
            )
        ],
    ),
    ("- {directResponse: {status: 99}}", ["spec.http[0].directResponse.status: must be from 200 to 599, got 99"]),
    ("- {directResponse: {}}", ["spec.http[0].directResponse.status: is required"]),
    (
        "- {directResponse: {status: 200, body: {bytes: '%'}}}",
        ["spec.http[0].directResponse.body.bytes: must be base64 text"],
    ),
    (
        "- {route: [{$TO}], rewrite: {uri: /, uriRegexRewrite: {match: a}}}",
        [
            "spec.http[0].rewrite.uriRegexRewrite: cannot stand beside uri",
            "spec.http[0].rewrite.uriRegexRewrite.rewrite: is required",
        ],
    ),
    (
        "- {route: [{$TO}], rewrite: {}}",
        ["spec.http[0].rewrite: needs at least one of uri, uriRegexRewrite, authority"],
    ),
    (
        "- {route: [{$TO}], rewrite: {authority: a}, headers: {request: {set: {Host: b}}}}",
        ["spec.http[0].rewrite.authority: the authority is set twice: here and by headers.request (Host)"],
    ),
    (
        "- {route: [{$TO}], retries: {attempts: 0, perTryTimeout: 1s}}",
        ["spec.http[0].retries.attempts: is 0, which turns retries off, so the other fields have no effect"],
    ),
    (
        "- {route: [{$TO}], retries: {attempts: -1, retryOn: '5xx,503,5xy'}}",
        [
            "spec.http[0].retries.attempts: must be at least 0, got -1",
            f"spec.http[0].retries.retryOn: '5xy' is neither a status code nor one of {RETRY_ON}",
        ],
    ),
    ("- {route: [{$TO}], fault: {}}", ["spec.http[0].fault: needs delay, abort or both"]),
    (
        "- {route: [{$TO}], fault: {delay: {percentage: {value: 0.1}}, abort: {http2Error: x}}}",
        [
            "spec.http[0].fault.delay.fixedDelay: is required",
            "spec.http[0].fault.abort.http2Error: is not supported; use httpStatus or grpcStatus",
        ],
    ),
    (
        "- {route: [{$TO}], fault: {abort: {httpStatus: 700, percentage: {value: 101}}}}",
        [
            "spec.http[0].fault.abort.httpStatus: must be from 200 to 599, got 700",
            "spec.http[0].fault.abort.percentage.value: must be at most 100, got 101",
        ],
    ),
    (
        "- {route: [{$TO}], fault: {abort: {percentage: {value: 0.00001}}}}",
        [
            "warning spec.http[0].fault.abort: has no effect without httpStatus or grpcStatus",
            "spec.http[0].fault.abort.percentage.value: must be 0 or at least 0.0001, got 1e-05",
        ],
    ),
    (
        "- {route: [{$TO}], corsPolicy: {allowOrigins: [{}], allowMethods: [GOT], maxAge: 1.5s, allowOrigin: [a]}}",
        [
            "spec.http[0].corsPolicy.allowOrigins[0]: needs one of exact, prefix, regex, and not empty",
            "warning spec.http[0].corsPolicy.allowOrigin: is deprecated; use allowOrigins with exact",
            (
                "spec.http[0].corsPolicy.allowMethods[0]: 'GOT' is not one of *, CONNECT, DELETE, GET, HEAD, OPTIONS, PATCH, "
                "POST, PUT, TRACE"
            ),
            "spec.http[0].corsPolicy.maxAge: must be whole seconds",
        ],
    ),
    (
        "- {route: [{$TO}], mirror: {host: a}, mirrors: [{destination: {host: a}}], mirrorPercent: 5}",
        [
            "spec.http[0].mirror: cannot stand beside mirrors",
            "warning spec.http[0].mirrorPercent: is deprecated; use mirrorPercentage with value",
        ],
    ),
]

MORE_ROUTES = [
    (
        "- {route: [{$TO}], fault: {delay: {exponentialDelay: 1s, percent: 5}, abort: {grpcStatus: NOT_THERE}}}",
        [
            "spec.http[0].fault.delay.exponentialDelay: is not supported; use fixedDelay",
            "warning spec.http[0].fault.delay.percent: is deprecated; use percentage with value",
            "spec.http[0].fault.abort.grpcStatus: 'NOT_THERE' is not one of OK, CANCELLED, UNKNOWN, INVALID_ARGUMENT, DEADLINE_EXCEEDED, NOT_FOUND, ALREADY_EXISTS, PERMISSION_DENIED, RESOURCE_EXHAUSTED, FAILED_PRECONDITION, ABORTED, OUT_OF_RANGE, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS, UNAUTHENTICATED",
        ],
    ),
    ("- {route: [{$TO}], fault: {abort: {grpcStatus: NOT_FOUND, percentage: {value: 0.1}}}}", []),
    (
        '- {route: [{$TO, headers: {request: {add: {a: "x\\ny"}}}}]}',
        ["spec.http[0].route[0].headers.request.add.a: must not contain line breaks or NUL"],
    ),
    (
        "- {route: [{destination: {host: a, subset: v1.0}}]}",
        ["spec.http[0].route[0].destination.subset: 'v1.0' is not a subset's name: letters, digits and inner dashes"],
    ),
    (
        f"- {{directResponse: {{status: 200, body: {{string: {'x' * 102_401}}}}}}}",
        [
            "warning spec.http[0].directResponse.body: is large (102401 bytes): it is sent to every proxy with the routes"
        ],
    ),
    (
        f"- {{directResponse: {{status: 200, body: {{string: {'x' * 1_048_577}}}}}}}",
        ["spec.http[0].directResponse.body: may have 1 MiB, this one has 1048577 bytes"],
    ),
    (
        "- {route: [{$TO}], rewrite: {uriRegexRewrite: {rewrite: a}}}",
        ["spec.http[0].rewrite.uriRegexRewrite.match: is required"],
    ),
]

CONNECTIONS = [
    (
        "tls: [{match: [], route: []}]",
        [
            "spec.tls[0].match: needs at least one match with sniHosts",
            "spec.tls[0].route: needs at least one destination",
        ],
    ),
    ("tls: [{route: [{$TO}]}]", ["spec.tls[0].match: is required"]),
    (
        "tls: [{match: [{sniHosts: [ratings], port: 70000}], route: [{$TO}]}]",
        [
            "spec.tls[0].match[0].sniHosts[0]: 'ratings' is not among the hosts of this VirtualService (reviews)",
            "spec.tls[0].match[0].port: must be a port from 1 to 65535, got 70000",
        ],
    ),
    ("tls: [{match: [{sniHosts: []}], route: [{$TO}]}]", ["spec.tls[0].match[0].sniHosts: needs at least one host"]),
    (
        "tcp: [{match: [{destinationSubnets: [10.0.0.0/33], sourceLabels: {a: 'b c'}}], route: [{$TO}]}]",
        [
            (
                "spec.tcp[0].match[0].destinationSubnets[0]: '10.0.0.0/33' is not an IP address or CIDR block such as "
                "10.0.0.0/8"
            ),
            "spec.tcp[0].match[0].sourceLabels.a: 'b c' is not a label value: at most 63 letters, digits, '-_.'",
        ],
    ),
]

REACH = [
    (
        "- {route: [{$TO}]}\n- {route: [{$TO}], match: [{uri: {prefix: /}}]}",
        ["spec.http[1].match[0]: is never reached: http[0]"],
    ),
    (
        "- {route: [{$TO}], match: [{name: a}]}\n- {route: [{$TO}]}",
        ["spec.http[1]: is never reached: http[0].match[0]"],
    ),
    (
        "- {match: [{uri: {prefix: /a}}], route: [{$TO}]}\n- {match: [{uri: {exact: /ab}}], route: [{$TO}]}",
        ["http[1].match[0]"],
    ),
    ("- {match: [{uri: {prefix: /ab}}], route: [{$TO}]}\n- {match: [{uri: {prefix: /a}}], route: [{$TO}]}", []),
    (
        "- {match: [{headers: {a: {}}}], route: [{$TO}]}\n- {match: [{headers: {a: {}, b: {}}}], route: [{$TO}]}",
        ["http[1].match[0]"],
    ),
    ("- {match: [{headers: {a: {}, b: {}}}], route: [{$TO}]}\n- {match: [{headers: {a: {}}}], route: [{$TO}]}", []),
    ("- {match: [{method: {prefix: P}}], route: [{$TO}]}\n- {match: [{method: {exact: POST}}], route: [{$TO}]}", []),
    ("- {match: [{port: 80}], route: [{$TO}]}\n- {match: [{port: 81}], route: [{$TO}]}\n", []),
]


@pytest.mark.parametrize(("spec", "expected"), WHOLE)
def test_the_whole(problems_of, spec, expected):
    assert sorted(problems_of("VirtualService", spec, TO=TO)) == sorted(expected)


@pytest.mark.parametrize(("route", "expected"), [*ROUTES, *MORE_ROUTES])
def test_http_routes(problems_of, route, expected):
    assert sorted(problems_of("VirtualService", f"{HEAD}http:\n{route}", TO=TO)) == sorted(expected)


@pytest.mark.parametrize(("routes", "expected"), CONNECTIONS)
def test_tls_and_tcp_routes(problems_of, routes, expected):
    assert sorted(problems_of("VirtualService", HEAD + routes, TO=TO)) == sorted(expected)


@pytest.mark.parametrize(("routes", "expected"), REACH)
def test_what_cannot_be_reached(problems_of, routes, expected):
    found = problems_of("VirtualService", f"{HEAD}http:\n{routes}", TO=TO)
    assert len(found) == len(expected)
    assert all(wanted in line for line, wanted in zip(found, expected, strict=True)), found


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("%PROTOCL%", ['%PROTOCL% is no operator of Envoy; did you mean "PROTOCOL"?; write %% for a percent sign']),
        ("100%", []),
        ("%%FOO%%", []),
        ("%REQ(x-a?x-b):5% %START_TIME(%s)%", []),
    ],
)
def test_operators_in_header_values(problems_of, value, expected):
    route = f"- {{route: [{{$TO}}], headers: {{request: {{set: {{x-a: '{value}'}}}}}}}}"
    found = problems_of("VirtualService", f"{HEAD}http:\n{route}", TO=TO)
    assert found == [f"spec.http[0].headers.request.set.x-a: {sentence}" for sentence in expected]
