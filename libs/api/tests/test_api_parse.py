"""Reading text: documents, kinds, metadata, and problems at the right place."""

import pytest

from mizzen.api.parse import parse
from mizzen.api.problem import Problem, Source
from mizzen.api.resource import ResourceKey
from mizzen.api.serviceentry import ServiceEntryStatus

GOOD = """
apiVersion: networking.istio.io/{version}
kind: VirtualService
metadata: {{name: {name}}}
spec:
  hosts: [reviews]
  http:
  - route:
    - destination: {{host: reviews}}
"""


@pytest.mark.parametrize("version", ["v1", "v1beta1", "v1alpha3"])
def test_every_served_version_is_read(version):
    parsed = parse(GOOD.format(version=version, name="reviews"), file="a.yaml")
    (resource,) = parsed.resources
    assert parsed.problems == ()
    assert resource.api_version == f"networking.istio.io/{version}"
    assert resource.key == ResourceKey("VirtualService", "default", "reviews")
    assert resource.id == "VirtualService default/reviews"
    assert resource.group == "networking.istio.io"
    assert resource.source == Source("a.yaml", 1, 2)


def test_the_default_namespace_is_the_callers():
    (resource,) = parse(GOOD.format(version="v1", name="x"), default_namespace="shop").resources
    assert resource.metadata.namespace == "shop"


def test_a_problem_says_where_it_is(read):
    (problem,) = read(
        """\
        # the routes
        ---
        apiVersion: v1
        kind: Namespace
        metadata: {name: shop}
        ---
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {name: reviews, namespace: shop}
        spec:
          hosts: [reviews]
          http:
          - route:
            - destination: {host: reviews, subset: v1}
              weight: 80
            - destination: {host: reviews, subset: v2}
              wieght: 20
        """
    ).problems
    assert problem == Problem(
        Source("mesh.yaml", 2, 17),
        "VirtualService shop/reviews",
        "spec.http[0].route[1].wieght",
        'unknown field; did you mean "weight"?',
    )
    assert str(problem) == (
        "mesh.yaml:17 (document 2): error: VirtualService shop/reviews: spec.http[0].route[1].wieght: "
        'unknown field; did you mean "weight"?'
    )


def test_one_bad_document_takes_no_other_with_it():
    text = "---".join(
        [
            GOOD.format(version="v1", name="first"),
            "\n{ not: closed\n",
            GOOD.format(version="v1", name="bad").replace("hosts", "hots"),
            "\na: 1\na: 2\n",
            GOOD.format(version="v1", name="last"),
        ]
    )
    parsed = parse(text)
    assert [resource.metadata.name for resource in parsed.resources] == ["first", "last"]
    assert sorted({problem.source.document for problem in parsed.problems}) == [2, 3, 4]


def test_a_list_is_its_items(read):
    parsed = read(
        """\
        apiVersion: v1
        kind: List
        items:
        - apiVersion: v1
          kind: Namespace
          metadata: {name: shop}
        - apiVersion: v1
          kind: Service
          metadata: {name: reviews}
          spec:
            ports:
            - {port: 0}
        - apiVersion: v1
          kind: Service
          metadata: {name: ratings}
        """
    )
    assert [resource.id for resource in parsed.resources] == ["Namespace shop", "Service default/ratings"]
    (problem,) = parsed.problems
    assert (problem.source.line, problem.resource) == (12, "Service default/reviews")
    assert (problem.path, problem.message) == ("spec.ports[0].port", "must be a port from 1 to 65535, got 0")


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a: b: c", 1, "this is not YAML: mapping values are not allowed in this context"),
        ("a: 1\nb: 2\na: 3", 3, "the key 'a' stands twice, first in line 1"),
        ("a: !thing x", 1, "the tag !thing is not supported"),
        ("? [a]\n: b", 1, "a key must be text"),
        ("a: &x [*x]", 1, "the document is too large or refers to itself"),
        ("a: &x {<<: *x}", 1, "<< merges a mapping into itself"),
        ("a:\n  <<: 3", 2, "<< can only merge mappings"),
        ("a: " + "[" * 50_000, 1, "nested deeper than 100 levels"),
        ("- a\n- b", 1, "must be a resource with apiVersion, kind, metadata and spec, got a list"),
    ],
)
def test_text_that_is_no_resource(text, line, message):
    (problem,) = parse(text).problems
    assert (problem.source.line, problem.message) == (line, message)


def test_an_alias_bomb_is_refused():
    bomb = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 9))
    (problem,) = parse(bomb).problems
    assert problem.message == "the document is too large or refers to itself"


def test_aliases_and_merge_keys_work(read):
    parsed = read(
        """\
        apiVersion: networking.istio.io/v1
        kind: DestinationRule
        metadata: {name: it}
        spec:
          host: reviews
          subsets:
          - &one {name: v1, labels: {version: v1}}
          - {<<: *one, name: v2}
        """
    )
    assert [subset.name for subset in parsed.resources[0].spec.subsets] == ["v1", "v2"]
    assert [subset.labels for subset in parsed.resources[0].spec.subsets] == [{"version": "v1"}] * 2


ISTIO = "networking.istio.io/v1, networking.istio.io/v1beta1, networking.istio.io/v1alpha3"
GROUPS = (
    "apps, authentication.istio.io, config.istio.io, core, discovery.k8s.io, gateway.networking.k8s.io, "
    "networking.istio.io, rbac.istio.io, security.istio.io"
)


@pytest.mark.parametrize(
    ("head", "problem"),
    [
        ("kind: Pod", "apiVersion: is required"),
        ("apiVersion: v1", "kind: is required"),
        ("{apiVersion: v1, kind: 3}", "kind: must be text, got 3"),
        (
            "{apiVersion: networking.istio.io/v2, kind: Gateway}",
            f"apiVersion: Gateway is served as {ISTIO}, not as networking.istio.io/v2",
        ),
        ("{apiVersion: v1, kind: VirtualService}", f"apiVersion: VirtualService is served as {ISTIO}, not as v1"),
        (
            "{apiVersion: networking.istio.io/v1, kind: VirtualServices}",
            'kind: kind VirtualServices of group networking.istio.io is not known; did you mean "VirtualService"?',
        ),
        (
            "{apiVersion: telemetry.istio.io/v1, kind: Telemetry}",
            f"kind: kind Telemetry of group telemetry.istio.io is not known; groups with known kinds: {GROUPS}",
        ),
        (
            "{apiVersion: config.istio.io/v1alpha2, kind: Rule}",
            'kind: kind Rule of group config.istio.io is not known; did you mean "rule"?',
        ),
        ("{apiVersion: v1, kind: ServiceAccount}", "kind: ServiceAccount says nothing to a mesh; it is ignored"),
    ],
)
def test_kinds_and_versions(head, problem):
    parsed = parse(head)
    assert parsed.resources == ()
    assert [f"{found.path}: {found.message}" for found in parsed.problems] == [problem]


def test_what_is_ignored_is_no_error():
    (problem,) = parse("{apiVersion: v1, kind: ServiceAccount, metadata: {name: x}}").problems
    assert problem.severity == "warning"


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ("{}", ["metadata.name: is required"]),
        ("null", ["metadata.name: is required"]),
        ("[]", ["metadata: must be a mapping of fields, got a list"]),
        (
            "{name: Reviews}",
            ["metadata.name: 'Reviews' must be lower-case letters, digits, inner dashes and dots, at most 253"],
        ),
        (
            "{name: a, namespace: a.b}",
            ["metadata.namespace: 'a.b' must be lower-case letters, digits and inner dashes, at most 63"],
        ),
        ("{name: a, lables: {}}", ['metadata.lables: unknown field; did you mean "labels"?']),
        ("{name: a, labels: {version: 1}}", ["metadata.labels.version: must be text, got 1: put it in quotes"]),
        (
            "{name: a, labels: {a b: c}}",
            ["metadata.labels[\"a b\"]: 'a b' is not a label name: [prefix/]name, at most 63 letters, digits, '-_.'"],
        ),
        ("{name: a, creationTimestamp: soon}", ["must be a time like 2024-01-31T12:00:00Z, got 'soon'"]),
        (
            "{name: a, annotations: {internal.istio.io/x: y}}",
            [
                (
                    'metadata.annotations["internal.istio.io/x"]: '
                    "annotations internal.istio.io/ are the control plane's own"
                )
            ],
        ),
    ],
)
def test_metadata(metadata, expected):
    text = GOOD.format(version="v1", name="x").replace("{name: x}", metadata)
    found = [f"{problem.path}: {problem.message}" for problem in parse(text).problems]
    assert len(found) == len(expected)
    assert all(line.endswith(wanted) for line, wanted in zip(found, expected, strict=True)), found


def test_what_the_api_server_adds_is_accepted(read):
    parsed = read(
        """\
        apiVersion: networking.istio.io/v1
        kind: ServiceEntry
        metadata:
          name: it
          creationTimestamp: 2024-05-01T10:00:00Z
          generation: 3
          resourceVersion: "12"
          uid: 6e1f
          finalizers: [a/b]
          managedFields: [{manager: kubectl}]
        spec:
          hosts: [api.example.com]
          ports: [{number: 443, name: tls, protocol: TLS}]
          resolution: DNS
        status:
          addresses: [{value: 240.240.0.1, host: api.example.com}]
          conditions: []
        """
    )
    assert parsed.problems == ()
    (resource,) = parsed.resources
    assert resource.metadata.creation_timestamp.isoformat() == "2024-05-01T10:00:00+00:00"
    assert isinstance(resource.status, ServiceEntryStatus)
    assert resource.status.addresses[0].value == "240.240.0.1"


def test_resources_are_equal_wherever_they_stand():
    here = parse(GOOD.format(version="v1", name="x"), file="a.yaml").resources[0]
    there = parse("\n\n" + GOOD.format(version="v1", name="x"), file="b.yaml").resources[0]
    other = parse(GOOD.format(version="v1", name="x").replace("reviews", "ratings")).resources[0]
    assert here.source != there.source
    assert here == there
    assert hash(here) == hash(there)
    assert here != other


def test_unknown_top_level_fields_and_missing_spec(read):
    parsed = read("{apiVersion: networking.istio.io/v1, kind: Gateway, metadata: {name: a}, sepc: {}}")
    assert [(problem.path, problem.message) for problem in parsed.problems] == [
        ("sepc", 'unknown field; did you mean "spec"?'),
        ("spec", "is required"),
    ]


def test_names_as_protobuf_json_has_them(read):
    parsed = read(
        """\
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {name: it}
        spec:
          hosts: [reviews]
          export_to: null
          http:
          - retries: {attempts: "3", per_try_timeout: 2s, retryOn: null}
            route:
            - destination: {host: reviews, port: {number: "9080"}}
        """
    )
    assert parsed.problems == ()
    (route,) = parsed.resources[0].spec.http
    assert (route.retries.attempts, route.retries.per_try_timeout.total_seconds()) == (3, 2)
    assert route.route[0].destination.port.number == 9080


def test_the_path_is_the_one_the_user_wrote(read):
    parsed = read(
        """\
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {name: it}
        spec:
          hosts: [reviews]
          http:
          - retries:
              attempts: 3
              per_try_timeout: fast
            route:
            - destination: {host: reviews}
        """
    )
    (problem,) = parsed.problems
    assert (problem.path, problem.source.line) == ("spec.http[0].retries.per_try_timeout", 9)


def test_errors_of_fields_do_not_hide_errors_between_fields(problems_of):
    assert problems_of(
        "VirtualService",
        """\
        hosts: [reviews]
        http:
        - timeout: 5
          route:
          - destination: {host: 're views'}
            weight: 10
          - destination: {host: reviews, subset: v1}
        - redirect: {}
        """,
    ) == [
        "spec.http[0].timeout: must be a duration with a unit, like 1.5s or 250ms, got 5",
        (
            "spec.http[0].route[0].destination.host: 're views' is not a host name: its part 're views' is not "
            "letters, digits and inner dashes (at most 63)"
        ),
        "spec.http[0].route[1].weight: is required: this route has 2 destinations, each needs a weight",
        "spec.http[1].redirect: needs at least one of uri, prefixRewrite, authority, scheme, port, derivePort",
        "warning spec.http[1]: is never reached: http[0] before it takes the same requests",
    ]


def test_a_misspelt_field_is_not_also_missing(problems_of):
    assert problems_of("VirtualService", "hosts: [reviews]\nhtpp: []\n") == [
        'spec.htpp: unknown field; did you mean "http"?'
    ]
