"""The names of Mixer's kinds, and their models."""

from collections.abc import Mapping

from mizzen.api.mixer.binding import HTTPAPISpec, HTTPAPISpecBinding, QuotaSpec, QuotaSpecBinding
from mizzen.api.mixer.handler import Adapter, Handler, Parameters, Template
from mizzen.api.mixer.instance import TEMPLATES, Instance
from mizzen.api.mixer.manifest import AttributeManifest
from mizzen.api.mixer.rule import Rule
from mizzen.api.types import Model

GROUP = "config.istio.io"
VERSIONS = ("v1alpha2",)

ADAPTERS = (
    "bypass", "circonus", "cloudwatch", "denier", "dogstatsd", "fluentd", "kubernetesenv", "listchecker", "memquota",
    "noop", "opa", "prometheus", "rbac", "redisquota", "servicecontrol", "signalfx", "solarwinds", "stackdriver",
    "statsd", "stdio", "zipkin", "jaeger", "python", "remote",
)  # fmt: skip
"""Kinds of handlers that are named like their adapter: Istio's, and Mizzen's own at the end.

What Mixer has no adapter for is read as well, so that Mixer can say so of the handler and serve the rest.
"""

CORE: Mapping[str, type[Model]] = {
    "rule": Rule,
    "attributemanifest": AttributeManifest,
    "handler": Handler,
    "instance": Instance,
    "adapter": Adapter,
    "template": Template,
    "QuotaSpec": QuotaSpec,
    "QuotaSpecBinding": QuotaSpecBinding,
    "HTTPAPISpec": HTTPAPISpec,
    "HTTPAPISpecBinding": HTTPAPISpecBinding,
}

MODELS: Mapping[str, type[Model]] = {
    **CORE,
    **TEMPLATES,
    "servicecontrolreport": Parameters,
    **dict.fromkeys(ADAPTERS, Parameters),
}
"""All kinds of the group, with the model of their spec."""
