"""What Mixer would say of configuration before it has it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from mizzen.api.parse import Parsed
from mizzen.api.resource import Resource, ResourceKey

if TYPE_CHECKING:
    from mizzen.attributes.values import ValueType

GROUP = "config.istio.io"


def with_policy(parsed: Parsed, held: Mapping[ResourceKey, Resource]) -> Parsed:
    """Add what is wrong with rules and their parts among the mesh's resources, found as Mixer finds it on loading.

    A reference to what is neither here nor in the mesh is a warning: it may come with the next file.
    """
    given = {resource.key: resource for resource in parsed.resources if resource.group == GROUP}
    if not given:
        return parsed
    from mizzen.mixer.adapters.registry import find
    from mizzen.mixer.config.config import load

    named = {resource.id for resource in given.values()}
    found = load((dict(held) | given).values(), find, partial=True).problems
    return Parsed(parsed.resources, (*parsed.problems, *(item for item in found if item.resource in named)))


def declared_attributes(held: Mapping[ResourceKey, Resource]) -> Mapping[str, ValueType]:
    """Istio's attributes, and those that attributemanifests among the mesh's resources declare."""
    from mizzen.mixer.config.problems import Problems
    from mizzen.mixer.config.vocabulary import vocabulary_of

    manifests = [resource for key, resource in held.items() if key.kind == "attributemanifest"]
    return vocabulary_of(manifests, Problems())


def undeclared(names: Iterable[str], declared: Mapping[str, ValueType]) -> Iterator[str]:
    """A sentence for each name that is of no attribute."""
    from mizzen.mixer.expressions.checker import unknown

    return (unknown(name, declared) for name in names if name not in declared)
