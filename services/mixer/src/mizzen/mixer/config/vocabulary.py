"""Which attributes there are: Istio's own, and those of attributemanifests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

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


class WithOutputs(Mapping[str, ValueType]):
    """All declared attributes, and any output of some actions: `<action>.output.<name>`, which is a text."""

    def __init__(self, declared: Vocabulary, actions: Iterable[str]) -> None:
        self._declared = declared
        self._actions = frozenset(actions)

    def __getitem__(self, name: str) -> ValueType:
        return ValueType.STRING if action_of(name) in self._actions else self._declared[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._declared)

    def __len__(self) -> int:
        return len(self._declared)


def action_of(name: str) -> str | None:
    """The action whose output an attribute of this name is; None for other attributes."""
    action, output, field = name.partition(".output.")
    return action if output and field else None
