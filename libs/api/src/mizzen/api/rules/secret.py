"""Secret: what stands under `data` is base64."""

from collections.abc import Iterator

from mizzen.api.kubernetes import Secret
from mizzen.api.resource import Metadata
from mizzen.api.rules import Finding, error


def check(spec: Secret, _metadata: Metadata) -> Iterator[Finding]:
    """All rules of a Secret; no finding shows a value."""
    for name in spec.data.keys() - spec.string_data.keys():
        try:
            spec.value(name)
        except ValueError:
            yield error(("data", name), "is not base64; text as it is goes under stringData")
