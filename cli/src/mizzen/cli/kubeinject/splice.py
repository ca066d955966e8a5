"""New values into YAML text: only the lines that change are written, comments and order stay.

A YAML library that keeps comments still writes all of a document anew, with its own indentation, quotes and line
breaks. Here the positions of the parsed nodes say which characters belong to a value, and only those are replaced.
What cannot be done so (a change inside an anchor's or a merge key's value) raises CannotSplice.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml

WIDTH = 10_000
"""Of written lines: long values are not wrapped."""


class CannotSplice(Exception):
    """The value cannot be changed by replacing a part of the text."""


class Edit(NamedTuple):
    """Characters `start` to `end` of the text become `text`."""

    start: int
    end: int
    text: str


def spliced(text: str, node: yaml.Node, old: Any, new: Any) -> list[Edit]:
    """The edits that turn the document of `node`, whose value is `old`, into one whose value is `new`."""
    if isinstance(node, yaml.CollectionNode) and node.flow_style and not _same(old, new):
        return [Edit(node.start_mark.index, node.end_mark.index, json.dumps(new, indent=2, ensure_ascii=False))]
    return list(_Splicer(text, node).value(node, old, new))


def applied(text: str, edits: list[Edit]) -> str:
    """The text with edits made, in line breaks of its own kind."""
    crlf = "\r\n" in text
    # Of two edits at one place the second follows the first: an inner list's new items, then its mapping's new fields.
    in_order = sorted(edits, key=lambda edit: edit.start)
    for edit in in_order[::-1]:
        new = edit.text.replace("\n", "\r\n") if crlf else edit.text
        text = text[: edit.start] + new + text[edit.end :]
    return text


class _Splicer:
    """Walks one document's nodes together with their old and new values."""

    def __init__(self, text: str, root: yaml.Node) -> None:
        self._text = text
        self._shared = _shared(root)

    def value(self, node: yaml.Node, old: Any, new: Any, indent: int = 0) -> Iterator[Edit]:
        """Edits for a changed value; `indent` is for what is written in the lines below the place of a scalar."""
        if _same(old, new):
            return
        if id(node) in self._shared:
            raise CannotSplice("the value is used in several places")
        if isinstance(node, yaml.MappingNode) and isinstance(new, dict) and node.value and not node.flow_style:
            yield from self._mapping(node, old, new)
        elif isinstance(node, yaml.SequenceNode) and isinstance(new, list) and node.value and not node.flow_style:
            yield from self._sequence(node, old, new)
        else:
            yield self._replaced(node, new, indent)

    def _mapping(self, node: yaml.MappingNode, old: dict[str, Any], new: dict[str, Any]) -> Iterator[Edit]:
        entries = {key.value: (key, value) for key, value in node.value}
        column = node.start_mark.column
        if not entries.keys() & new.keys():
            yield self._replaced(node, new, column)
            return
        for name, value in old.items():
            if name not in entries:
                if name not in new or not _same(value, new[name]):
                    raise CannotSplice(f"{name} comes from a merge key")
            elif name not in new:
                yield self._without(*entries[name])
            else:
                yield from self.value(entries[name][1], value, new[name], column + 2)
        added = {name: value for name, value in new.items() if name not in old}
        if added:
            yield self._inserted_after(node, _indented(_block(added), column))

    def _without(self, key: yaml.Node, value: yaml.Node) -> Edit:
        start = self._line_start(key.start_mark.index)
        if self._text[start : key.start_mark.index].strip():
            raise CannotSplice("the key shares its line with something that stays")
        return Edit(start, self._line_end(self._end(value)), "")

    def _sequence(self, node: yaml.SequenceNode, old: list[Any], new: list[Any]) -> Iterator[Edit]:
        known, wanted = _keys(old, new)
        unique = len(set(known)) == len(known) and len(set(wanted)) == len(wanted)
        if not unique or [key for key in wanted if key in known] != known:
            yield self._replaced(node, new, node.start_mark.column)
            return
        nodes = dict(zip(known, zip(node.value, old, strict=True), strict=True))
        column = node.start_mark.column
        before: yaml.Node | None = None
        waiting: list[Any] = []
        for key, item in zip(wanted, new, strict=True):
            if key not in nodes:
                waiting.append(item)
                continue
            yield from self._items(node, before, waiting, column)
            waiting = []
            before, value = nodes[key]
            yield from self.value(before, value, item, column + 2)
        yield from self._items(node, before, waiting, column)

    def _items(self, node: yaml.Node, before: yaml.Node | None, items: list[Any], column: int) -> Iterator[Edit]:
        """New items of a list, behind the item `before` or as its first ones."""
        if not items:
            return
        text = _indented(_block(items), column)
        if before is not None:
            yield self._inserted_after(before, text)
            return
        start = self._line_start(node.start_mark.index)
        if self._text[start : node.start_mark.index].strip():
            raise CannotSplice("the list begins in a line with something else")
        while start and self._text[self._line_start(start - 1) : start].lstrip().startswith("#"):
            start = self._line_start(start - 1)  # comments above the first item are about that item
        yield Edit(start, start, text)

    def _inserted_after(self, node: yaml.Node, text: str) -> Edit:
        position = self._line_end(self._end(node))
        complete = self._text[:position].endswith("\n")
        return Edit(position, position, text if complete else "\n" + text.removesuffix("\n"))

    def _replaced(self, node: yaml.Node, new: Any, indent: int) -> Edit:
        start, end = node.start_mark.index, self._end(node)
        if isinstance(node, yaml.CollectionNode) and not node.flow_style:
            if not new or type(new) is not (dict if isinstance(node, yaml.MappingNode) else list):
                raise CannotSplice("a mapping or a list becomes something else")
            return Edit(start, end, _indented(_block(new), node.start_mark.column).strip())
        filled = isinstance(node, yaml.CollectionNode) and node.value
        if filled or not isinstance(new, dict | list) or not new:
            space = "" if self._text[start - 1 : start] in (" ", "") else " "
            return Edit(start, end, space + _flow(new))
        # A collection in the place of {}, [] or nothing.
        if self._text[end : self._line_end(end)].strip():
            raise CannotSplice("a comment stands behind the value")
        start = len(self._text[:start].rstrip(" "))
        return Edit(start, end, "\n" + _indented(_block(new), indent).removesuffix("\n"))

    def _end(self, node: yaml.Node) -> int:
        """Where the last character of a node stands, plus one; the parser's own mark may be lines further down."""
        if isinstance(node, yaml.CollectionNode) and node.value and not node.flow_style:
            last = node.value[-1]
            return self._end(last[1] if isinstance(node, yaml.MappingNode) else last)
        start, end = node.start_mark.index, node.end_mark.index
        return start + len(self._text[start:end].rstrip())

    def _line_start(self, index: int) -> int:
        return self._text.rfind("\n", 0, index) + 1

    def _line_end(self, index: int) -> int:
        found = self._text.find("\n", index)
        return found + 1 if found >= 0 else len(self._text)


def _shared(root: yaml.Node) -> set[int]:
    """Nodes that stand in several places: anchors with aliases, and all that is in them."""
    seen: set[int] = set()
    shared: set[int] = set()
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            shared.add(id(node))
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            waiting.extend(part for entry in node.value for part in entry)
        elif isinstance(node, yaml.SequenceNode):
            waiting.extend(node.value)
    return shared


def _keys(old: list[Any], new: list[Any]) -> tuple[list[str], list[str]]:
    """What tells the items of two lists apart: their names; else their places, where the lists are equally long."""
    if all(isinstance(item, dict) and "name" in item for item in (*old, *new)):
        return [str(item["name"]) for item in old], [str(item["name"]) for item in new]
    if len(old) == len(new):
        places = [str(index) for index in range(len(old))]
        return places, places
    return [json.dumps(item, sort_keys=True) for item in old], [json.dumps(item, sort_keys=True) for item in new]


def _same(one: Any, other: Any) -> bool:
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _block(value: Any) -> str:
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=WIDTH, default_flow_style=False)


def _flow(value: Any) -> str:
    """On one line; for a scalar without the end of document that YAML writes behind it."""
    text = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=WIDTH, default_flow_style=True)
    return text.removesuffix("...\n").rstrip("\n")


def _indented(text: str, column: int) -> str:
    return "".join(f"{' ' * column}{line}" if line.strip() else line for line in text.splitlines(keepends=True))
