"""What a decision has read, on the wire."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mizzen.attributes.bag import References
from mizzen.attributes.errors import InvalidAttributes
from mizzen.attributes.referenced import decode_references, encode_references
from mizzen.attributes.words import WORDS
from mizzen.proto.mixer_pb2 import ReferencedAttributes

WORD = st.sampled_from(WORDS) | st.text(max_size=8)


@given(st.dictionaries(WORD | st.tuples(WORD, WORD), st.booleans(), max_size=8), st.integers(0, 300))
def test_references_survive_the_wire(references: References, known: int) -> None:
    message = ReferencedAttributes.FromString(encode_references(references, known).SerializeToString())
    assert decode_references(message) == references
    for match in message.attribute_matches:
        assert match.name < known
        assert match.map_key < max(known, 1)
        assert not match.regex


def test_conditions_and_words_are_as_istio_has_them() -> None:
    message = encode_references(
        {"source.uid": False, "request.path": True, ("request.headers", "x-user"): True, "custom": True}, 203
    )
    matches = [(match.name, match.condition, match.map_key) for match in message.attribute_matches]
    absence, exact = ReferencedAttributes.ABSENCE, ReferencedAttributes.EXACT
    assert matches == [(3, absence, 0), (17, exact, 0), (15, exact, -1), (-2, exact, 0)]
    assert message.words[:] == ["x-user", "custom"]


def test_nothing_global_is_said_to_a_caller_who_knows_no_words() -> None:
    message = encode_references({("request.headers", "cookie"): True, "source.ip": True}, 0)
    assert [(match.name, match.map_key) for match in message.attribute_matches] == [(-1, -2), (-3, 0)]


def test_words_that_the_caller_does_not_know_are_spelled_out() -> None:
    message = encode_references({"context.proxy_version": True}, 221)
    assert message.words[:] == ["context.proxy_version"]


def test_the_word_zero_can_be_a_key() -> None:
    references = {("source.labels", "source.ip"): True, "source.ip": True}
    message = encode_references(references)
    assert message.attribute_matches[0].map_key == -1
    assert decode_references(message) == references


@pytest.mark.parametrize("condition", [ReferencedAttributes.REGEX, ReferencedAttributes.CONDITION_UNSPECIFIED])
def test_results_by_pattern_cannot_be_kept(condition: ReferencedAttributes.Condition) -> None:
    message = ReferencedAttributes()
    message.attribute_matches.add(name=17, condition=condition)
    assert decode_references(message) is None


@pytest.mark.parametrize("where", [{"name": 222}, {"name": -1}, {"name": 15, "map_key": -1}])
def test_an_index_without_a_word_is_an_error(where: dict[str, int]) -> None:
    message = ReferencedAttributes()
    message.attribute_matches.add(condition=ReferencedAttributes.EXACT, **where)
    with pytest.raises(InvalidAttributes, match="is not defined"):
        decode_references(message)
