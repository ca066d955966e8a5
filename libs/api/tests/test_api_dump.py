"""What is dumped is read back equal: for whole resources, and for any value of any kind's model."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from types import UnionType
from typing import Any, Union, get_args, get_origin

import pytest
import yaml
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from mizzen.api.document import read
from mizzen.api.dump import to_dict, to_yaml
from mizzen.api.kinds import KINDS
from mizzen.api.parse import parse
from mizzen.api.resource import Metadata, Resource
from mizzen.api.types import UNCHECKED_TEXT, Model
from mizzen.api.virtualservice import HTTPRoute, HTTPRouteDestination, VirtualService

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12) | st.sampled_from(
    [
        "yes",
        "on",
        "null",
        "~",
        "1",
        "1.0",
        "12:30",
        "2024-01-31",
        "- a",
        "a: b",
        "'",
        '"',
        "#",
        "reviews",
        "<<",
        "=",
        "!x",
    ]
)
LABEL = st.from_regex(r"[a-z]([-a-z0-9]{0,8}[a-z0-9])?", fullmatch=True)
NUMBERS = st.integers(min_value=1, max_value=100)


ANYTHING = st.recursive(
    TEXT | NUMBERS | st.booleans(), lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2)
)


def values_of(annotation: Any) -> st.SearchStrategy[Any]:
    """Values for a field, before validation; some do not pass it."""
    origin = get_origin(annotation)
    if hasattr(annotation, "__metadata__"):
        return values_of(annotation.__origin__)
    if origin in (Union, UnionType):
        return st.one_of([values_of(arg) for arg in get_args(annotation) if arg is not type(None)])
    if origin is tuple:
        return st.lists(values_of(get_args(annotation)[0]), max_size=2)
    if origin is dict:
        of_key, of_value = get_args(annotation)
        return st.dictionaries(LABEL if of_key is str else values_of(of_key), values_of(of_value), max_size=2)
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return fields_of(annotation)
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return st.sampled_from(list(annotation))
    return {
        bool: st.booleans(),
        int: NUMBERS,
        float: NUMBERS.map(lambda number: number / 8),
        str: TEXT | LABEL,
        bytes: st.binary(max_size=4),
        SecretStr: TEXT,
        timedelta: NUMBERS.map(lambda number: timedelta(milliseconds=number)),
        datetime: st.just(datetime(2024, 1, 31, tzinfo=UTC)),
        Any: ANYTHING,
    }[annotation]


def fields_of(model: type[Model]) -> st.SearchStrategy[dict[str, Any]]:
    """Some fields of a model; of a oneof at most one."""
    fields = {name: st.deferred(lambda a=field.annotation: values_of(a)) for name, field in model.model_fields.items()}
    required = {name: fields.pop(name) for name, field in model.model_fields.items() if field.is_required()}

    def drop_one_of(values: dict[str, Any]) -> dict[str, Any]:
        for group in model.one_of:
            for name in [name for name in group if name in values][1:]:
                del values[name]
        return values

    known = st.fixed_dictionaries(required, optional=fields).map(drop_one_of)
    if model.model_config.get("extra") != "allow":
        return known
    return st.builds(lambda more, values: {**more, **values}, st.dictionaries(LABEL, ANYTHING, max_size=3), known)


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.key)
@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_value_of_a_model_survives_yaml(kind, data):
    fields = data.draw(fields_of(kind.model))
    # Random text is rarely a host or a regex.
    try:
        spec = kind.model.model_validate(fields, context=UNCHECKED_TEXT)
    except ValidationError as failure:
        if {details["type"] for details in failure.errors()} <= {"too_short", "string_too_short"}:
            reject()  # what must not be empty was
        raise
    resource = Resource(kind.api_versions[0], kind.name, Metadata(name="it"), spec)
    (document,) = read(to_yaml([resource], reveal=True))
    given_back = document.value if kind.flat else document.value["spec"]
    if kind.flat:
        given_back = {key: value for key, value in given_back.items() if key not in ("apiVersion", "kind", "metadata")}
    assert kind.model.model_validate(given_back, context=UNCHECKED_TEXT) == spec


ROUTES = st.lists(
    st.builds(
        HTTPRoute,
        name=TEXT,
        timeout=st.integers(min_value=1, max_value=10**9).map(lambda number: timedelta(milliseconds=number)),
        match=st.lists(
            st.fixed_dictionaries(
                {},
                optional={
                    "uri": st.fixed_dictionaries({"prefix": TEXT}),
                    "headers": st.dictionaries(LABEL, st.fixed_dictionaries({"exact": TEXT}), max_size=2),
                    "query_params": st.dictionaries(TEXT, st.fixed_dictionaries({"exact": TEXT}), max_size=2),
                    "ignore_uri_case": st.booleans(),
                },
            ),
            max_size=2,
        ),
        route=st.lists(
            st.builds(
                HTTPRouteDestination,
                destination=st.fixed_dictionaries({"host": LABEL}, optional={"subset": LABEL}),
                weight=NUMBERS,
                headers=st.fixed_dictionaries({}, optional={"request": st.just({"set": {"x-a": "%REQ(b)%"}})}),
            ),
            min_size=1,
            max_size=3,
        ),
    ),
    min_size=1,
    max_size=3,
)
RESOURCES = st.builds(
    lambda name, namespace, labels, annotations, host, http: Resource(
        "networking.istio.io/v1",
        "VirtualService",
        Metadata(name=name, namespace=namespace, labels=labels, annotations=annotations),
        VirtualService(hosts=(host,), http=tuple(http)),
    ),
    LABEL,
    LABEL,
    st.dictionaries(LABEL, LABEL, max_size=2),
    st.dictionaries(LABEL, TEXT, max_size=2),
    LABEL,
    ROUTES,
)


@settings(deadline=None, max_examples=150)
@given(st.lists(RESOURCES, max_size=3))
def test_resources_survive_yaml(resources):
    parsed = parse(to_yaml(resources))
    assert parsed.errors == ()
    assert parsed.resources == tuple(resources)


def test_a_dump_says_what_was_set_and_no_more(read):
    text = """\
    apiVersion: networking.istio.io/v1beta1
    kind: VirtualService
    metadata:
      name: reviews
      namespace: shop
    spec:
      hosts: [reviews]
      http:
      - timeout: 1m30s
        retries: {attempts: 0}
        fault: {delay: {percentage: {value: 0.1}, fixedDelay: 7s}}
        route:
        - destination: {host: reviews, port: {number: 9080}}
        directResponse: null
    """
    (resource,) = read(text).resources
    assert to_dict(resource) == {
        "apiVersion": "networking.istio.io/v1beta1",
        "kind": "VirtualService",
        "metadata": {"name": "reviews", "namespace": "shop"},
        "spec": {
            "hosts": ["reviews"],
            "http": [
                {
                    "timeout": "90s",
                    "retries": {"attempts": 0},
                    "fault": {"delay": {"percentage": {"value": 0.1}, "fixedDelay": "7s"}},
                    "route": [{"destination": {"host": "reviews", "port": {"number": 9080}}}],
                }
            ],
        },
    }


def test_flat_kinds_statuses_and_namespaces_survive(read):
    text = """\
    {apiVersion: v1, kind: Namespace, metadata: {name: shop}}
    ---
    {apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {}, status: {podIP: 127.1.0.1, phase: Running}}
    ---
    {apiVersion: v1, kind: Endpoints, metadata: {name: e}, subsets: [{addresses: [{ip: 127.1.0.1}]}]}
    """
    parsed = read(text)
    again = parse(to_yaml(parsed.resources))
    assert again.problems == ()
    assert again.resources == parsed.resources
    assert "namespace" not in to_dict(parsed.resources[0])["metadata"]
    assert to_dict(parsed.resources[1])["status"] == {"podIP": "127.1.0.1", "phase": "Running"}


@given(
    st.text(max_size=60)
    | st.recursive(TEXT | NUMBERS | st.none(), lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner)).map(
        yaml.safe_dump
    )
)
@settings(deadline=None)
def test_no_text_makes_parse_raise(text):
    assert parse(text).resources == ()


@settings(deadline=None, max_examples=200)
@given(
    st.sampled_from(sorted(KINDS)),
    st.recursive(
        st.none() | st.booleans() | NUMBERS | TEXT,
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["hosts", "http", "route", "match", "host", "servers", "port", "tls", "spec", "ports", "labels"]
                ),
                inner,
                max_size=3,
            )
        ),
    ),
)
def test_no_spec_makes_parse_raise(kind, spec):
    data = {
        "apiVersion": KINDS[kind].api_versions[0],
        "kind": KINDS[kind].name,
        "metadata": {"name": "it"},
        "spec": spec,
    }
    parsed = parse(yaml.safe_dump(data))
    assert parsed.resources or parsed.errors


def test_values_of_secrets_are_shown_only_when_asked_for():
    text = "apiVersion: v1\nkind: Secret\nmetadata: {name: shop}\ndata: {a: aHVzaA==}\nstringData: {b: hush}\n"
    (resource,) = parse(text).resources
    assert to_dict(resource)["data"] == {"a": "**********"}
    assert to_dict(resource)["stringData"] == {"b": "**********"}
    assert to_dict(resource, reveal=True)["data"] == {"a": "aHVzaA=="}
    assert parse(to_yaml([resource], reveal=True)).resources == (resource,)
    assert "hush" not in repr(resource)
    assert (resource.spec.value("a"), resource.spec.value("b"), resource.spec.value("c")) == (b"hush", b"hush", b"")


def test_what_kubectl_notes_of_an_object_is_no_part_of_it():
    """For a Secret it is all of its values, in a place where nobody looks for them."""
    note = """{"kubectl.kubernetes.io/last-applied-configuration": '{"data": {"a": "aHVzaA=="}}', mine: kept}"""
    text = f"apiVersion: v1\nkind: Secret\nmetadata: {{name: shop, annotations: {note}}}\ndata: {{a: aHVzaA==}}\n"
    (resource,) = parse(text).resources
    assert resource.metadata.annotations == {"mine": "kept"}
    assert "aHVzaA==" not in to_yaml([resource])


@pytest.mark.parametrize("data", ["aHVzaA==", "{a: [aHVzaA==]}", "{a: {b: aHVzaA==}}"])
def test_errors_do_not_show_what_a_secret_has(data):
    parsed = parse(f"apiVersion: v1\nkind: Secret\nmetadata: {{name: shop}}\ndata: {data}\n")
    (problem,) = parsed.errors
    assert "must be" in problem.message
    assert "aHVzaA" not in str(problem)
