# SPDX-License-Identifier: GPL-3.0-or-later
"""YAML with the line of every value, and without what YAML may hide: keys twice, keys that are no text, aliases."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError

#: Keys and positions from the document's top.
Place = tuple[str | int, ...]
#: Where it is wrong, what was seen, what was expected, what to do next.
Problem = tuple[Place, str, str, str]


@dataclass(frozen=True)
class Document:
    """What a file says: plain mappings, lists and values, and on which line each begins."""

    name: str
    value: Any
    lines: dict[Place, int] = field(default_factory=dict)

    def where(self, place: Sequence[str | int]) -> str:
        """Return ``FILE:LINE`` of the value at ``place``, or of the nearest above it."""
        for length in range(len(place), -1, -1):
            line = self.lines.get(tuple(place[:length]))
            if line is not None:
                return f"{self.name}:{line}"
        return self.name


def read(text: str, name: str) -> Document:
    """Read one YAML document.

    Args:
        name: of the file, for messages.

    Raises:
        PatchingError: it is no YAML, or has what it must not have; the message names the line.
    """
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            _refuse_hidden(event, name)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except RecursionError as error:
        raise PatchingError(name, "nested too deep", "one YAML document", "flatten it") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error)
        raise PatchingError(f"{name}{line}", f"no YAML: {problem}", "one YAML document", "correct that line") from error
    document = Document(name, None if node is None else _value(node, name, ()))
    if node is not None:
        document.lines.update(_lines(node, ()))
    return document


def _refuse_hidden(event: yaml.Event, name: str) -> None:
    """Refuse aliases, with which a short file unfolds without end, and tags, which mean what this file cannot say."""
    where = f"{name}:{event.start_mark.line + 1 if event.start_mark else 1}"
    if isinstance(event, yaml.AliasEvent):
        raise PatchingError(where, f"the alias *{event.anchor}", "plain YAML", "write the value out")
    tag = getattr(event, "tag", None)
    if tag is not None:
        raise PatchingError(where, f"the tag {tag}", "plain YAML", "remove the tag")


def _value(node: yaml.Node, name: str, place: Place) -> Any:
    if isinstance(node, yaml.MappingNode):
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = _scalar(key_node) if isinstance(key_node, yaml.ScalarNode) else None
            key_where = f"{name}:{key_node.start_mark.line + 1}"
            if not isinstance(key, str):
                shown = getattr(key_node, "value", key)
                raise PatchingError(key_where, f"the key {shown!r} is no text", "a name", "put it in quotes")
            if key in found:
                raise PatchingError(key_where, f"the key {key} stands there twice", "once", "remove one of the two")
            found[key] = _value(value_node, name, (*place, key))
        return found
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, name, (*place, number)) for number, item in enumerate(node.value)]
    return _scalar(node)


def _scalar(node: yaml.Node) -> Any:
    """Return text, a whole number, a fraction, true, false or nothing; dates stay as they are written."""
    kind = node.tag.rpartition(":")[2]
    # Neither what only YAML 1.1 reads as a number of seconds, 1:30, nor what Python cannot read, 0x_.
    if kind in ("int", "float") and not re.fullmatch(r"[-+]?[0-9]+(\.[0-9]+)?", node.value):
        return node.value
    return yaml.SafeLoader("").construct_object(node) if kind in ("null", "bool", "int", "float") else node.value


def _lines(node: yaml.Node, place: Place) -> Iterator[tuple[Place, int]]:
    yield place, node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _lines(value, (*place, key.value))
            yield (*place, key.value), key.start_mark.line + 1
    elif isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            yield from _lines(item, (*place, number))
