"""Reports: many requests' attributes in one message, complete or as differences, with their words in common."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field

from mizzen.attributes.compressed import decode
from mizzen.attributes.errors import InvalidAttributes
from mizzen.attributes.values import Value
from mizzen.attributes.words import WORDS, Indices, word_table
from mizzen.attributes.writer import Writer, framed
from mizzen.proto.mixer_pb2 import ReportRequest

DELTA = ReportRequest.DELTA_ENCODING
INDEPENDENT = ReportRequest.INDEPENDENT_ENCODING
_ATTRIBUTES = b"\x0a"
"""The tag of ReportRequest.attributes."""
_NONE: Mapping[str, Value] = {}


@dataclass(slots=True)
class Batch:
    """What a report says, in its order, and what of it could not be read."""

    entries: list[dict[str, Value]] = field(default_factory=list)
    errors: list[InvalidAttributes] = field(default_factory=list)


def decode_report(request: ReportRequest, maps: Container[str] | None = None) -> Batch:
    """Read a report of either encoding; for `maps` see `decode`.

    An entry that cannot be read is left out. Where entries are differences everything after it is left out too, because
    nobody knows what it would differ from.
    """
    delta = request.repeated_attributes_semantics == DELTA
    words = word_table(request.default_words)
    batch = Batch()
    known: dict[str, Value] = {}
    for message in request.attributes:
        try:
            values = decode(message, words, maps)
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
        self._semantics = semantics
        self._global_words = min(global_words, len(WORDS))
        self._indices = Indices(global_words)
        self._writer = Writer(self._indices)
        self._sent: dict[str, Value] = {}
        self._parts: list[bytes] = []
        self._common: dict[int, tuple[Mapping[str, Value], bytes]] = {}

    def __len__(self) -> int:
        """The number of entries."""
        return len(self._parts)

    def add(self, values: Mapping[str, Value], common: Mapping[str, Value] = _NONE) -> bool:
        """Append an entry of `values` and `common`, whose names differ.

        `common` is written once for all entries that are given the same object, which must not change. False when a
        difference cannot say the entry, because something that was there is gone: the report is then to be finished,
        and the entry goes first into the next one. Raises InvalidAttributes, and is as before, for values that have no
        form on the wire.
        """
        if self._semantics == DELTA:
            return self._add_difference({**common, **values})
        self._parts.append(framed(_ATTRIBUTES, self._written(common) + self._writer.write(values)))
        return True

    def _add_difference(self, values: Mapping[str, Value]) -> bool:
        sent = self._sent
        if sent.keys() - values.keys():
            return False
        changed = {name: value for name, value in values.items() if not _same(sent.get(name), value)}
        self._parts.append(framed(_ATTRIBUTES, self._writer.write(changed)))
        sent.update(changed)
        return True

    def _written(self, common: Mapping[str, Value]) -> bytes:
        known = self._common.get(id(common))
        if known is None:
            # Kept with the object, lest another one gets its id.
            known = self._common[id(common)] = common, self._writer.write(common)
        return known[1]

    def finish(self) -> bytes:
        """The report as a message on the wire."""
        rest = ReportRequest(
            default_words=self._indices.words,
            global_word_count=self._global_words,
            repeated_attributes_semantics=self._semantics,
        )
        return b"".join((*self._parts, rest.SerializeToString()))


def _same(sent: Value | None, value: Value) -> bool:
    return sent == value and type(sent) is type(value)  # 1 equals True, and goes elsewhere
