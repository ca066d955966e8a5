"""Parameters of tracing adapters."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from mizzen.api.types import Duration, Int32, Model, Number
from mizzen.mixer.adapters.push import Limits


def _is_url(text: str) -> str:
    if urlsplit(text).scheme not in ("http", "https") or not urlsplit(text).netloc:
        raise ValueError(f"must be an http or https URL, got {text!r}")
    return text


class Params(Model):
    """Where spans go, how many of the traces, and how many spans wait."""

    url: Annotated[str, AfterValidator(_is_url)]
    sample_probability: Annotated[Number, Field(ge=0, le=1)] = 1.0
    queue_size: Annotated[Int32, Field(ge=1)] = 10_000
    push_interval: Duration = timedelta(seconds=1)
    push_timeout: Duration = timedelta(seconds=10)

    @property
    def limits(self) -> Limits:
        """As the queue wants them."""
        interval, timeout = self.push_interval.total_seconds(), self.push_timeout.total_seconds()
        return Limits(queue=self.queue_size, interval=interval, timeout=timeout)
