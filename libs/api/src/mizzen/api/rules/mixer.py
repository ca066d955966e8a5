"""Mixer's kinds: what must hold between their fields.

An action that cannot work is a warning only: Mixer leaves it out and takes the rule's others, as Istio does.
"""

from collections.abc import Callable, Iterator, Mapping

from pydantic import ValidationError

from mizzen.api import wording
from mizzen.api.mixer.binding import (
    HTTPAPISpec,
    HTTPAPISpecBinding,
    IstioService,
    QuotaSpec,
    QuotaSpecBinding,
    SpecReference,
)
from mizzen.api.mixer.handler import Adapter, Handler, Template
from mizzen.api.mixer.instance import TEMPLATES, Instance
from mizzen.api.mixer.manifest import AttributeManifest
from mizzen.api.mixer.rule import HeaderOperation, HeaderOperationTemplate, Rule
from mizzen.api.problem import Path
from mizzen.api.resource import Metadata
from mizzen.api.rules import Finding, error, warning
from mizzen.api.types import Model

MAX_PARTS = 3
"""Of a reference: name, kind, namespace."""


def check_rule(spec: Rule, metadata: Metadata) -> Iterator[Finding]:
    """All rules of a rule."""
    if spec.match and spec.selector:
        yield error(("selector",), "is the old name of match; only one of them may be set")
    for index, action in enumerate(spec.actions):
        at = ("actions", index)
        if not action.handler:
            yield warning((*at, "handler"), "is required; without it the action does nothing")
        else:
            yield from _check_reference(action.handler, (*at, "handler"))
        if not action.instances:
            yield warning((*at, "instances"), "needs at least one instance; without one the action does nothing")
        for number, instance in enumerate(action.instances):
            yield from _check_reference(instance, (*at, "instances", number))
    operations = (*spec.request_header_operations, *spec.response_header_operations)
    if not spec.actions and not operations:
        yield warning(("actions",), "the rule has neither actions nor header operations, and so does nothing")
    for field, group in (
        ("requestHeaderOperations", spec.request_header_operations),
        ("responseHeaderOperations", spec.response_header_operations),
    ):
        for index, operation in enumerate(group):
            yield from _check_operation(operation, (field, index))


def _check_reference(text: str, at: Path) -> Iterator[Finding]:
    parts = text.split(".")
    if len(parts) > MAX_PARTS or not all(parts):
        yield warning(at, f"{text!r} is not name, name.kind, name.namespace or name.kind.namespace")


def _check_operation(operation: HeaderOperationTemplate, at: Path) -> Iterator[Finding]:
    if not operation.name:
        yield error((*at, "name"), "is required: the header")
    if operation.operation is not HeaderOperation.REMOVE and not operation.values:
        yield error((*at, "values"), f"needs at least one expression for {operation.operation}")
    if operation.operation is HeaderOperation.REMOVE and operation.values:
        yield warning((*at, "values"), "have no effect on REMOVE")


def check_handler(spec: Handler, metadata: Metadata) -> Iterator[Finding]:
    """All rules of a handler."""
    if bool(spec.compiled_adapter) == bool(spec.adapter):
        yield error(("compiledAdapter",), "exactly one of compiledAdapter and adapter must be set")
    if spec.adapter and spec.connection is None:
        yield error(("connection",), "is required: where the adapter listens")
    if spec.compiled_adapter and spec.connection is not None:
        yield warning(("connection",), "has no effect on a compiledAdapter")


def check_instance(spec: Instance, metadata: Metadata) -> Iterator[Finding]:
    """All rules of an instance, and of its parameters where they are those of a known template."""
    if bool(spec.compiled_template) == bool(spec.template):
        yield error(("compiledTemplate",), "exactly one of compiledTemplate and template must be set")
        return
    model = TEMPLATES.get(spec.compiled_template)
    if spec.compiled_template and model is None:
        near = wording.suggestion(spec.compiled_template, TEMPLATES)
        yield error(("compiledTemplate",), f"there is no template {spec.compiled_template!r}{near}")
    if model is not None:
        yield from check_params(model, spec.params, ("params",))


def check_params(model: type[Model], params: Mapping[str, object], at: Path) -> Iterator[Finding]:
    """What is wrong with the parameters of a template."""
    try:
        model.model_validate(params)
    except ValidationError as failure:
        for details in failure.errors(include_url=False):
            yield error((*at, *wording.location(details)), wording.message(details, model))


def check_manifest(spec: AttributeManifest, metadata: Metadata) -> Iterator[Finding]:
    """All rules of an attributemanifest."""
    for name in spec.attributes:
        if not all(part.isidentifier() for part in name.split(".")):
            yield error(("attributes", name), f"{name!r} is not an attribute: words of letters, digits and _, dotted")


def check_adapter(spec: Adapter, metadata: Metadata) -> Iterator[Finding]:
    """All rules of an adapter."""
    if not spec.templates:
        yield error(("templates",), "needs at least one template")


def check_template(spec: Template, metadata: Metadata) -> Iterator[Finding]:
    """All rules of a template."""
    if not spec.descriptor:
        yield error(("descriptor",), "is required: a FileDescriptorSet in base64")


def check_quota_spec(spec: QuotaSpec, metadata: Metadata) -> Iterator[Finding]:
    """All rules of a QuotaSpec."""
    if not spec.rules:
        yield error(("rules",), "needs at least one rule")
    for index, rule in enumerate(spec.rules):
        if not rule.quotas:
            yield error(("rules", index, "quotas"), "needs at least one quota")
        for number, quota in enumerate(rule.quotas):
            at = ("rules", index, "quotas", number)
            if not quota.quota:
                yield error((*at, "quota"), "is required: the short name of a quota instance")
            if quota.charge < 0:
                yield error((*at, "charge"), f"must be at least 0, got {quota.charge}")
        for number, match in enumerate(rule.match):
            if not match.clause:
                yield warning(("rules", index, "match", number, "clause"), "is empty and so matches every request")


def check_quota_binding(spec: QuotaSpecBinding, metadata: Metadata) -> Iterator[Finding]:
    """All rules of a QuotaSpecBinding."""
    yield from _check_services(spec.services, wildcards=True)
    yield from _check_references(spec.quota_specs, "quotaSpecs")


def check_api_spec(spec: HTTPAPISpec, metadata: Metadata) -> Iterator[Finding]:
    """All rules of an HTTPAPISpec."""
    for index, pattern in enumerate(spec.patterns):
        if pattern.uri_template is None and pattern.regex is None:
            yield error(("patterns", index), "exactly one of uriTemplate and regex must be set")
        if not pattern.http_method:
            yield error(("patterns", index, "httpMethod"), "is required")
    for index, key in enumerate(spec.api_keys):
        if not (key.query or key.header or key.cookie):
            yield error(("apiKeys", index), "exactly one of query, header and cookie must be set")


def check_api_binding(spec: HTTPAPISpecBinding, metadata: Metadata) -> Iterator[Finding]:
    """All rules of an HTTPAPISpecBinding."""
    yield from _check_services(spec.services, wildcards=False)
    yield from _check_references(spec.api_specs, "apiSpecs")


def _check_services(services: tuple[IstioService, ...], *, wildcards: bool) -> Iterator[Finding]:
    if not services:
        yield error(("services",), "needs at least one service")
    for index, service in enumerate(services):
        at = ("services", index)
        if not service.name and not service.service:
            yield error(at, "needs a name, or service with the full name")
        if "*" in service.service and not (wildcards and _is_wildcard(service.service)):
            allowed = "; '*' or '*.<namespace>.*' are possible" if wildcards else ""
            yield error((*at, "service"), f"{service.service!r} is not the name of a service{allowed}")


def _is_wildcard(text: str) -> bool:
    inner = text.removeprefix("*.").removesuffix(".*")
    return text == "*" or (text == f"*.{inner}.*" and "*" not in inner)


def _check_references(specs: tuple[SpecReference, ...], field: str) -> Iterator[Finding]:
    if not specs:
        yield error((field,), "needs at least one spec")


CHECKS: Mapping[str, Callable[..., Iterator[Finding]]] = {
    "rule": check_rule,
    "attributemanifest": check_manifest,
    "handler": check_handler,
    "instance": check_instance,
    "adapter": check_adapter,
    "template": check_template,
    "QuotaSpec": check_quota_spec,
    "QuotaSpecBinding": check_quota_binding,
    "HTTPAPISpec": check_api_spec,
    "HTTPAPISpecBinding": check_api_binding,
}
"""By kind."""
