"""YAML's scalars as Kubernetes reads them, and the lines of paths."""

import pytest

from mizzen.api.document import read


@pytest.mark.parametrize(
    ("scalar", "value"),
    [
        ("true", True),
        ("False", False),
        ("yes", "yes"),
        ("on", "on"),
        ("12", 12),
        ("0x10", 16),
        ("1.5", 1.5),
        ("12:30", "12:30"),
        ("2024-01-31", "2024-01-31"),
        ("'12'", "12"),
        ("!!str 12", "12"),
        ("~", None),
        ("", None),
        ("1.2.3", "1.2.3"),
    ],
)
def test_scalars(scalar, value):
    (document,) = read(f"a: {scalar}")
    assert document.value == {"a": value}
    assert type(document.value["a"]) is type(value)


def test_lines_of_paths():
    (document,) = read("# top\na:\n  b:\n  - c: 1\n  - d\n\n  e: {f: 2}\n")
    assert document.line_of(()) == 2
    assert document.line_of(("a", "b", 0, "c")) == 4
    assert document.line_of(("a", "b", 1)) == 5
    assert document.line_of(("a", "e", "f")) == 7
    assert document.line_of(("a", "e", "nowhere", "deep")) == 7


def test_numbers_and_lines_over_documents():
    documents = list(read("%YAML 1.1\n---\na: 1\n---\n# nothing\n---\n\nb: |\n  text\n...\n--- {c: 3}\n"))
    assert [(document.number, document.line, document.value) for document in documents] == [
        (1, 3, {"a": 1}),
        (2, 8, {"b": "text\n"}),
        (3, 11, {"c": 3}),
    ]


def test_a_byte_order_mark_and_windows_line_ends_do_not_matter():
    (document,) = read("\ufeffa: 1\r\nb: 2\r\n")
    assert document.value == {"a": 1, "b": 2}
