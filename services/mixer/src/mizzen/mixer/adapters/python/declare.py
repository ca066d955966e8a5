"""What a file writes to offer an adapter."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeVar

from mizzen.mixer import templates

KINDS: Final[Mapping[str, type[templates.Instance]]] = {
    "apikey": templates.ApiKey,
    "authorization": templates.Authorization,
    "checknothing": templates.CheckNothing,
    "edge": templates.Edge,
    "kubernetes": templates.Kubernetes,
    "listentry": templates.ListEntry,
    "logentry": templates.LogEntry,
    "metric": templates.Metric,
    "quota": templates.Quota,
    "reportnothing": templates.ReportNothing,
    "tracespan": templates.TraceSpan,
}
"""The instances of each template."""

METHODS: Final[Mapping[str, str]] = {
    "apikey": "check",
    "authorization": "check",
    "checknothing": "check",
    "edge": "report",
    "kubernetes": "generate",
    "listentry": "check",
    "logentry": "report",
    "metric": "report",
    "quota": "quota",
    "reportnothing": "report",
    "tracespan": "report",
}
"""What is done with the instances of each template: the name of the method in a class."""

MARK: Final = "__mizzen_template__"
D = TypeVar("D", bound=Callable[..., object])


def adapter(*, template: str) -> Callable[[D], D]:
    """Offer a function, or a class with the template's method, to instances of `template`.

    A function takes what the method takes: `check(instance) -> CheckResult | Status`, `report(instances) -> None`,
    `quota(instance, args) -> QuotaResult`, `generate(instance) -> Mapping`. It may be `async`. A class is made once
    for each handler, with the handler's `params` if its constructor takes one argument, and its `close` is called in
    the end if it has one.
    """
    if template not in KINDS:
        raise ValueError(f"template must be one of {', '.join(KINDS)}, got {template!r}")

    def mark(offered: D) -> D:
        if isinstance(offered, type) and not callable(getattr(offered, METHODS[template], None)):
            raise TypeError(f"{offered.__name__} is offered for {template} and needs a method {METHODS[template]}")
        setattr(offered, MARK, template)
        return offered

    return mark
