"""How a metric is written in the parameters, and what follows from it: its name, its labels, its buckets."""

from __future__ import annotations

from enum import StrEnum
from itertools import pairwise
from typing import Annotated, ClassVar

from prometheus_client import Histogram
from pydantic import Field, field_validator, model_validator

from mizzen.api.types import Int32, Model, Number
from mizzen.mixer.adapters.params import by_number

NAMESPACE = "istio"
_CHARACTERS = str.maketrans({"/": "_", ".": "_", " ": "_", "-": None})


class Kind(StrEnum):
    """What a metric's values mean."""

    UNSPECIFIED = "UNSPECIFIED"
    GAUGE = "GAUGE"
    COUNTER = "COUNTER"
    DISTRIBUTION = "DISTRIBUTION"


_Buckets = Annotated[Int32, Field(gt=0, le=1000)]


class Linear(Model):
    """Bounds at offset, offset + width, ...: one more than there are finite buckets."""

    num_finite_buckets: _Buckets
    width: Annotated[Number, Field(gt=0)]
    offset: Number = 0.0


class Exponential(Model):
    """Bounds at scale, scale × growthFactor, ...: one more than there are finite buckets."""

    num_finite_buckets: _Buckets
    growth_factor: Annotated[Number, Field(gt=1)]
    scale: Annotated[Number, Field(gt=0)]


class Explicit(Model):
    """Bounds as they are written, each more than the one before."""

    bounds: Annotated[tuple[Number, ...], Field(min_length=1, max_length=1000)]

    @field_validator("bounds")
    @classmethod
    def _rise(cls, bounds: tuple[float, ...]) -> tuple[float, ...]:
        if any(low >= high for low, high in pairwise(bounds)):
            raise ValueError("each bound must be more than the one before")
        return bounds


class Buckets(Model):
    """The upper bounds of a distribution's buckets, in one of three forms."""

    linear_buckets: Linear | None = None
    exponential_buckets: Exponential | None = None
    explicit_buckets: Explicit | None = None
    one_of: ClassVar[tuple[tuple[str, ...], ...]] = (("linear_buckets", "exponential_buckets", "explicit_buckets"),)

    @property
    def bounds(self) -> tuple[float, ...]:
        """Finite upper bounds; a Prometheus client's own when nothing is said."""
        if linear := self.linear_buckets:
            return tuple(linear.offset + linear.width * i for i in range(linear.num_finite_buckets + 1))
        if exponential := self.exponential_buckets:
            growth, count = exponential.growth_factor, exponential.num_finite_buckets + 1
            return tuple(exponential.scale * growth**i for i in range(count))
        if self.explicit_buckets:
            return self.explicit_buckets.bounds
        return GO_BUCKETS


GO_BUCKETS = tuple(bound for bound in Histogram.DEFAULT_BUCKETS if bound not in (0.075, 0.75, 7.5, float("inf")))
"""The default buckets of Prometheus' client for Go, which Istio's users know: 0.005 to 10."""


class Definition(Model):
    """One metric: the instance it comes from and how Prometheus sees it."""

    name: str = ""
    instance_name: str
    description: str = ""
    kind: Annotated[Kind, by_number(Kind)] = Kind.UNSPECIFIED
    buckets: Buckets = Buckets()
    label_names: tuple[str, ...] = ()
    namespace: str = ""

    @model_validator(mode="after")
    def _is_complete(self) -> Definition:
        if self.kind is Kind.UNSPECIFIED:
            raise ValueError("kind must be one of GAUGE, COUNTER, DISTRIBUTION")
        labels = [safe_name(label) for label in self.label_names]
        if len(set(labels)) < len(labels):
            raise ValueError("labelNames must differ, also after / . and space became _ and - went")
        return self

    @property
    def exported_name(self) -> str:
        """`istio_requests_total`."""
        return f"{safe_name(self.namespace) or NAMESPACE}_{safe_name(self.name or self.instance_name)}"

    @property
    def shape(self) -> tuple[object, ...]:
        """What Prometheus sees of it: metrics of one name must be alike in this."""
        return self.exported_name, self.kind, self.buckets.bounds, self.label_names, self.description


def safe_name(name: str) -> str:
    """A name that Prometheus accepts, made as Istio makes it: `/a/b-c.d e` becomes `a_bc_d_e`."""
    return name.removeprefix("/").translate(_CHARACTERS)
