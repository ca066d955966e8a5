"""Reports: many requests' attributes in one message, complete or as differences, with their words in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mizzen.attributes.compressed import InvalidAttributes, decode, fill
from mizzen.attributes.values import Value
from mizzen.attributes.words import WORDS, Indices, word_table
from mizzen.proto.mixer_pb2 import ReportRequest

DELTA = ReportRequest.DELTA_ENCODING
INDEPENDENT = ReportRequest.INDEPENDENT_ENCODING


@dataclass(slots=True)
class Batch:
    """What a report says, in its order, and what of it could not be read."""

    entries: list[dict[str, Value]] = field(default_factory=list)
    errors: list[InvalidAttributes] = field(default_factory=list)


def decode_report(request: ReportRequest) -> Batch:
    """Read a report of either encoding.

    An entry that cannot be read is left out. Where entries are differences everything after it is left out too, because
    nobody knows what it would differ from.
    """
    delta = request.repeated_attributes_semantics == DELTA
    words = word_table(request.default_words)
    batch = Batch()
    known: dict[str, Value] = {}
    for message in request.attributes:
        try:
            values = decode(message, words)
        except InvalidAttributes as error:
            batch.errors.append(error)
            if delta:
                break
            continue
        if delta:
            values = known = known | values
        batch.entries.append(values)
    return batch


class ReportEncoder:
    """Builds one report. INDEPENDENT is for Istio 1.1 and later and for Mizzen, DELTA for Istio 1.0."""

    def __init__(
        self, semantics: ReportRequest.RepeatedAttributesSemantics = INDEPENDENT, global_words: int = len(WORDS)
    ) -> None:
        self._delta = semantics == DELTA
        self._indices = Indices(global_words)
        self._sent: dict[str, Value] = {}
        self._request = ReportRequest(
            global_word_count=min(global_words, len(WORDS)), repeated_attributes_semantics=semantics
        )

    def __len__(self) -> int:
        """The number of entries."""
        return len(self._request.attributes)

    def add(self, values: Mapping[str, Value]) -> bool:
        """Append an entry; False when a difference cannot say it, because something that was there is gone.

        The report is then to be finished, and the entry goes first into the next one. Raises InvalidAttributes, and is
        as before, for values that have no form on the wire.
        """
        changed = values
        if self._delta:
            sent = self._sent
            if sent.keys() - values.keys():
                return False
            changed = {name: value for name, value in values.items() if not _same(sent.get(name), value)}
        entry = self._request.attributes.add()
        try:
            fill(entry, changed, self._indices)
        except InvalidAttributes:
            del self._request.attributes[-1]
            raise
        self._sent.update(changed)
        return True

    def finish(self) -> ReportRequest:
        """The report, which takes no more entries."""
        self._request.default_words.extend(self._indices.words)
        return self._request


def _same(sent: Value | None, value: Value) -> bool:
    return sent == value and type(sent) is type(value)  # 1 equals True, and goes elsewhere
