"""Which attributes there are: Istio's own, and those of attributemanifests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mizzen.api.mixer.manifest import AttributeManifest
from mizzen.api.resource import Resource
from mizzen.attributes.values import ValueType
from mizzen.attributes.vocabulary import ISTIOPROXY, KUBERNETES
from mizzen.mixer.config.problems import Problems
from mizzen.mixer.expressions.checker import Vocabulary

DEFAULT: Vocabulary = {**ISTIOPROXY, **KUBERNETES}


def vocabulary_of(manifests: Iterable[Resource], problems: Problems) -> Mapping[str, ValueType]:
    """All declared attributes. Who declares one with another type than it has already is told so, and not followed."""
    types = dict(DEFAULT)
    for resource in manifests:
        manifest = resource.spec
        assert isinstance(manifest, AttributeManifest)  # noqa: S101 - the model of this kind
        for name, info in manifest.attributes.items():
            type_ = ValueType[info.value_type]
            known = types.setdefault(name, type_)
            if known is not type_:
                problems.error(
                    resource, ("attributes", name, "valueType"), f"{name} is declared as {known.name} already"
                )
    return types
