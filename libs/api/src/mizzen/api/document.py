"""YAML text as plain values that remember their lines.

Kubernetes' reading of YAML: one document fails alone, duplicate keys are errors, dates stay text, and of YAML 1.1's
many booleans only true and false are taken. Aliases and merge keys work; what they may expand to is bounded.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from mizzen.api.problem import Path

MAX_NODES = 200_000
"""Values in one document, counted after aliases are expanded (a few lines can otherwise expand to gigabytes)."""
MAX_DEPTH = 100

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_SEPARATOR = re.compile(r"---(?:\s|$)")
_TAG = "tag:yaml.org,2002:"
_scalars = yaml.constructor.SafeConstructor()


class DocumentError(Exception):
    """A document that cannot be read; `line` counts from 1 in its file."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


@dataclass(slots=True)
class Document:
    """One YAML document: its number in the file from 1, its first line, its value, and the line of every path in it."""

    number: int
    line: int
    value: Any = None
    lines: dict[Path, int] = field(default_factory=dict)
    error: DocumentError | None = None

    def line_of(self, path: Path) -> int:
        """The line where `path` stands, or else its nearest ancestor."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, self.line)


def read(text: str) -> Iterator[Document]:
    """Read every document of a text; empty ones are left out and not counted."""
    number = 0
    for first_line, chunk in _split(text.removeprefix("\ufeff")):
        for document in _read_chunk(chunk, first_line):
            number += 1
            document.number = number
            yield document


def _split(text: str) -> Iterator[tuple[int, str]]:
    """Cut at `---`, so that a broken document ends where the next begins. Directives stay with what follows them."""
    chunk: list[str] = []
    first_line = 1
    for number, line in enumerate(text.splitlines(keepends=True), start=1):
        if _SEPARATOR.match(line) and any(_is_content(earlier) for earlier in chunk):
            yield first_line, "".join(chunk)
            chunk, first_line = [], number
        chunk.append(line)
    yield first_line, "".join(chunk)


def _is_content(line: str) -> bool:
    return bool(line.strip()) and not line.startswith(("#", "%"))


def _read_chunk(chunk: str, first_line: int) -> Iterator[Document]:
    try:
        if _may_be_deep(chunk):
            _check_depth(chunk, first_line)
        for node in yaml.compose_all(chunk, Loader=_Loader):
            if node is None or (isinstance(node, yaml.ScalarNode) and node.tag == f"{_TAG}null"):
                continue
            line = first_line + node.start_mark.line
            builder = _Builder(first_line)
            document = Document(0, line, lines=builder.lines)
            try:
                document.value = builder.build(node, ())
            except DocumentError as error:
                document.error = error
            yield document
    except DocumentError as error:
        yield Document(0, first_line, error=error)
    except yaml.YAMLError as error:
        yield _broken(error, first_line)


def _may_be_deep(chunk: str) -> bool:
    """A cheap test that is never wrong with False: deep nesting takes brackets, or long lines."""
    return chunk.count("[") + chunk.count("{") > MAX_DEPTH or any(len(line) > MAX_DEPTH for line in chunk.splitlines())


def _check_depth(chunk: str, first_line: int) -> None:
    """Refuse what would overflow the C stack of the composer, which recurses. Parsing into events does not."""
    depth = 0
    for event in yaml.parse(chunk, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            raise DocumentError(
                f"nested deeper than {MAX_DEPTH} levels",
                first_line + (event.start_mark.line if event.start_mark else 0),
            )


def _broken(error: yaml.YAMLError, first_line: int) -> Document:
    mark = getattr(error, "problem_mark", None)
    line = first_line + (mark.line if mark else 0)
    what = getattr(error, "problem", None) or str(error).splitlines()[0]
    context = getattr(error, "context", None)
    message = f"this is not YAML: {what}" + (f" ({context})" if context else "")
    return Document(0, first_line, error=DocumentError(message, line))


class _Builder:
    """Turns the node graph of one document into values and their lines."""

    def __init__(self, first_line: int) -> None:
        self.lines: dict[Path, int] = {}
        self._first_line = first_line
        self._count = 0

    def build(self, node: yaml.Node, path: Path) -> Any:
        self.lines.setdefault(path, self._line(node))
        self._count += 1
        if self._count > MAX_NODES or len(path) > MAX_DEPTH:
            raise DocumentError("the document is too large or refers to itself", self._line(node))
        if isinstance(node, yaml.MappingNode):
            return {key: self.build(value, (*path, key)) for key, value in self._entries(node, path).items()}
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, (*path, index)) for index, item in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)  # noqa: S101 - there are no other nodes
        return self._scalar(node)

    def _line(self, node: yaml.Node) -> int:
        return self._first_line + node.start_mark.line

    def _entries(self, node: yaml.MappingNode, path: Path, depth: int = 0) -> dict[str, yaml.Node]:
        """The mapping's own entries, and behind them those it merges with `<<`."""
        if depth > MAX_DEPTH:
            raise DocumentError("<< merges a mapping into itself", self._line(node))
        own: dict[str, yaml.Node] = {}
        merged: dict[str, yaml.Node] = {}
        own_lines: dict[str, int] = {}
        for key_node, value in node.value:
            if key_node.tag == f"{_TAG}merge":
                for source in self._merge_sources(value):
                    merged = {**self._entries(source, path, depth + 1), **merged}
                continue
            key = self._key(key_node)
            line = self._line(key_node)
            if key in own:
                raise DocumentError(f"the key {key!r} stands twice, first in line {own_lines[key]}", line)
            own[key] = value
            own_lines[key] = line
        self.lines.update({(*path, key): line for key, line in own_lines.items()})
        return {**merged, **own}

    def _merge_sources(self, node: yaml.Node) -> list[yaml.MappingNode]:
        self._count += 1
        sources = node.value if isinstance(node, yaml.SequenceNode) else [node]
        if self._count > MAX_NODES or not all(isinstance(source, yaml.MappingNode) for source in sources):
            raise DocumentError("<< can only merge mappings", self._line(node))
        return list(sources)

    def _key(self, node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode):
            raise DocumentError("a key must be text", self._line(node))
        return str(node.value)

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        text = node.value
        match node.tag.removeprefix(_TAG):
            case "bool":
                return text.lower() == "true" if text.lower() in ("true", "false") else text
            case "int" if ":" not in text:
                return _scalars.construct_yaml_int(node)
            case "float" if ":" not in text:
                return _scalars.construct_yaml_float(node)
            case "null":
                return None
            case "str" | "timestamp" | "int" | "float" | "value" | "merge":
                return text
        raise DocumentError(f"the tag {node.tag.replace(_TAG, '!!')} is not supported", self._line(node))
