"""ServiceRole and ServiceRoleBinding (`rbac.istio.io/v1alpha1`): who may call what.

Source: rbac/v1alpha1 of istio/api at 1.0.9.
"""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from mizzen.api.types import Model


class Constraint(Model):
    """A property of the action that must have one of these values."""

    key: str
    values: tuple[str, ...] = ()


class AccessRule(Model):
    """What may be done. No paths means every path."""

    services: Annotated[tuple[str, ...], Field(min_length=1)]
    paths: tuple[str, ...] = ()
    methods: Annotated[tuple[str, ...], Field(min_length=1)]
    constraints: tuple[Constraint, ...] = ()


class ServiceRole(Model):
    """Things that may be done."""

    rules: tuple[AccessRule, ...] = ()


class Subject(Model):
    """Who: everything that is set must be so."""

    user: str = ""
    group: str = ""
    properties: dict[str, str] = Field(default_factory=dict)


class RoleRef(Model):
    """A role of the binding's namespace."""

    kind: str
    name: Annotated[str, Field(min_length=1)]


class Mode(StrEnum):
    """PERMISSIVE bindings are for trying out; Mixer's adapter never looked at this."""

    ENFORCED = "ENFORCED"
    PERMISSIVE = "PERMISSIVE"


class ServiceRoleBinding(Model):
    """Who has a role."""

    subjects: tuple[Subject, ...] = ()
    role_ref: RoleRef
    mode: Mode = Mode.ENFORCED
