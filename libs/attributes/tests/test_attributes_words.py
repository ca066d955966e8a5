"""The global dictionary is Istio's, to the letter."""

from __future__ import annotations

import hashlib

import pytest

from mizzen.attributes.words import BASE_COUNT, WORDS, Indices, word_table


def test_words_are_those_of_istio() -> None:
    # Computed over istio/mixer/pkg/attribute/list.gen.go at 1.0.9 (203 words), 1.1.0 (221) and 1.7.0 (222).
    expected = {
        203: "99aab21f2865c70c3443b5bc23999c1942ac9cb482d7d455e5bd6327061fc86c",
        221: "5280c09be856da6faf5e281c0ccbd6b265eee4a3cfb4fa4067a57eeea046450c",
        222: "26fb30f3aa07715166c19d9e872569f4e420c80cc746a2e870b39f18fe9cd2cd",
    }
    assert len(WORDS) == 222
    assert {size: hashlib.sha256("\n".join(WORDS[:size]).encode()).hexdigest() for size in expected} == expected


def test_no_word_occurs_twice() -> None:
    assert len(set(WORDS)) == len(WORDS)


@pytest.mark.parametrize(
    ("index", "word"),
    [
        (0, "source.ip"),
        (94, "'200'"),
        (110, "text/plain; charset=utf-8"),
        (111, "'0'"),
        (112, "'1'"),
        (134, "0"),
        (135, "1"),
        (136, "200"),
        (202, "connection.requested_server_name"),
        (218, '"-"'),
        (221, "context.proxy_version"),
    ],
)
def test_words_that_are_easily_lost(index: int, word: str) -> None:
    assert WORDS[index] == word
    assert word_table([])[index] == word
    assert Indices()[word] == index


def test_words_of_a_message_count_down_from_minus_one() -> None:
    table = word_table([b"first", b"second"])
    assert (table[-1], table[-2]) == ("first", "second")
    assert table.keys() == {*range(len(WORDS)), -1, -2}


def test_words_that_are_not_utf8_can_be_read() -> None:
    assert word_table([b"caf\xe9"])[-1] == "caf\\xe9"


def test_new_words_are_appended_once() -> None:
    indices = Indices()
    assert [indices[word] for word in ("first", "source.uid", "second", "first")] == [-1, 3, -2, -1]
    assert indices.words == [b"first", b"second"]


@pytest.mark.parametrize("known", [0, 1, BASE_COUNT, 203, 221, 222, 5000])
def test_only_the_words_that_the_reader_knows_are_used(known: int) -> None:
    indices = Indices(known)
    for number, word in enumerate(WORDS):
        assert (indices[word] == number) == (number < known)
    assert len(indices.words) == max(0, len(WORDS) - known)


def test_words_that_were_not_utf8_leave_as_they_came() -> None:
    indices = Indices()
    assert indices[b"caf\xe9".decode("utf-8", "surrogateescape")] == -1
    assert indices.words == [b"caf\xe9"]
