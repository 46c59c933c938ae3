"""YAML to plain values that remember their lines, by the rules of the Kubernetes API: text keys, no dates, no tags.

PyYAML composes the nodes; what is built from them is bounded, so that aliases of aliases can't fill the memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

NODES_MAX = 100_000
DEPTH_MAX = 100
_WHOLE_MAX = 2.0**53

_TAG = "tag:yaml.org,2002:"
_PLAIN = {f"{_TAG}{name}" for name in ("null", "bool", "int", "float")}
# Kubernetes knows no dates: what looks like one is text.
_TEXT = {f"{_TAG}{name}" for name in ("str", "timestamp", "value")}
_MERGE = f"{_TAG}merge"

Path = tuple[str | int, ...]
_Entries = dict[str, tuple[yaml.Node, yaml.Node]]


@dataclass(frozen=True, slots=True)
class Mistake:
    """What can't be read, and its line, from 1."""

    line: int
    message: str


class _Loader(yaml.SafeLoader):
    """SafeLoader that reads 1e3 as a number, as YAML 1.2 and Kubernetes do."""


_Loader.add_implicit_resolver(
    f"{_TAG}float", re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


class Document:
    """One document, or a part of one: its plain value, and the lines of what is in it.

    Attributes:
        value: dicts, lists, text, numbers, booleans and None.
        line: where it starts, from 1.
        mistakes: duplicate keys, unknown tags and the like, which are left out of the value.
    """

    def __init__(self, loader: yaml.SafeLoader, node: yaml.Node) -> None:
        self._loader = loader
        self._node = node
        self._known: dict[int, _Entries] = {}
        self._steps = 0
        self._mistakes: dict[Mistake, None] = {}
        self.line = _line(node)
        self.value = self._plain(node, depth=0)
        self.mistakes = tuple(self._mistakes)

    def line_of(self, path: Path) -> int:
        """The line of what a path names, or of the nearest part above it that exists."""
        node, line = self._node, self.line
        for part in path:
            if isinstance(node, yaml.MappingNode) and part in self._entries(node):
                key, node = self._entries(node)[str(part)]
                line = _line(key)
            elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
                node = node.value[part]
                line = _line(node)
            else:
                break
        return line

    def part(self, path: Path) -> Document:
        """What a path of the document names, as a document of its own; the path must exist."""
        node: Any = self._node
        for part in path:
            node = self._entries(node)[part][1] if isinstance(part, str) else node.value[part]
        return Document(self._loader, node)

    def _plain(self, node: yaml.Node, *, depth: int) -> Any:
        if not self._step(node):
            return None
        if depth > DEPTH_MAX:
            self._mistake(node, f"is nested deeper than {DEPTH_MAX} levels")
            return None
        if isinstance(node, yaml.MappingNode):
            return {name: self._plain(value, depth=depth + 1) for name, (_, value) in self._entries(node).items()}
        if isinstance(node, yaml.SequenceNode):
            return [self._plain(item, depth=depth + 1) for item in node.value]
        return self._scalar(node)

    def _scalar(self, node: yaml.Node) -> Any:
        if node.tag in _TEXT:
            return node.value
        if node.tag not in _PLAIN:
            self._mistake(node, f"has the tag {node.tag.removeprefix(_TAG)}, which a manifest can't have")
            return None
        try:
            value = self._loader.construct_object(node)
            # JSON, which the API server is sent, has one kind of number: 1.0 is 1.
            whole = isinstance(value, float) and value.is_integer() and abs(value) < _WHOLE_MAX
            return int(value) if whole else value
        except ValueError:  # '0x_' looks like a number
            self._mistake(node, f"{node.value[:40]!r} is not a number")
            return None

    def _entries(self, node: yaml.MappingNode) -> _Entries:
        """Key to (key's node, value's node); what '<<' merges in gives way to what is stated."""
        if id(node) in self._known:
            return self._known[id(node)]
        stated: _Entries = {}
        merged: _Entries = {}
        self._known[id(node)] = stated  # so that a mapping which merges itself ends
        for key, value in node.value:
            if key.tag == _MERGE:
                for source in self._merged(value):
                    merged = self._entries(source) | merged
                continue
            if not isinstance(key, yaml.ScalarNode):
                self._mistake(key, "is a key that is not text")
            elif key.value in stated:
                self._mistake(key, f"{key.value!r} is given twice; it is on line {_line(stated[key.value][0])} already")
            else:
                stated[key.value] = (key, value)
        stated |= {name: entry for name, entry in merged.items() if name not in stated}
        return stated

    def _merged(self, value: yaml.Node) -> Iterator[yaml.MappingNode]:
        for source in value.value if isinstance(value, yaml.SequenceNode) else (value,):
            if not isinstance(source, yaml.MappingNode):
                self._mistake(source, "'<<' merges mappings only")
            elif self._step(source, size=len(self._entries(source))):
                yield source

    def _step(self, node: yaml.Node, size: int = 1) -> bool:
        """Count what is built; False once it is too much."""
        within = self._steps <= NODES_MAX
        self._steps += size
        if within and self._steps > NODES_MAX:
            self._mistake(node, f"holds more than {NODES_MAX:,} values, aliases included")
        return self._steps <= NODES_MAX

    def _mistake(self, node: yaml.Node, message: str) -> None:
        """Note it once, however many aliases lead to it."""
        self._mistakes[Mistake(_line(node), message)] = None


def read_documents(content: bytes) -> Iterator[Document | Mistake]:
    """The documents of a YAML stream; a mistake in the syntax ends it. Empty documents are left out."""
    try:
        loader = _Loader(content)
        while loader.check_node():
            node = loader.get_node()
            if node is not None and node.tag != f"{_TAG}null":
                yield Document(loader, node)
    except yaml.reader.ReaderError as error:
        line = content[: error.position].count(b"\n") + 1 if isinstance(error.position, int) else 1
        # For characters that no YAML may have the reader says 'unicode', for bytes that are no text their encoding.
        told = f"not YAML: {error.reason}" if error.encoding == "unicode" else "is not UTF-8 text; save it as UTF-8"
        yield Mistake(line, told)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"column {mark.column + 1}: " if mark else ""
        yield Mistake(mark.line + 1 if mark else 1, f"{where}not YAML: {error.problem or error.context}")
    except RecursionError:
        yield Mistake(1, f"is nested deeper than {DEPTH_MAX} levels")


def objects_of(document: Document) -> Iterator[Document]:
    """The object of a document, or those of a List, as `kubectl get -o yaml` writes it."""
    value = document.value
    if isinstance(value, dict) and value.get("kind") == "List" and isinstance(value.get("items"), list):
        yield from (document.part(("items", at)) for at in range(len(value["items"])))
    else:
        yield document


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
