# SPDX-License-Identifier: GPL-3.0-or-later
"""HTML that cannot be broken out of: whatever was not made by :func:`tag` is escaped."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from html import escape


class Markup(str):
    """Text that is markup already; only this module makes it."""

    __slots__ = ()


Child = str | int | None | Iterable["Child"]
Attribute = str | int | bool | None

#: Elements that have no end tag.
_VOID = frozenset({"meta", "br", "hr"})


def visible(text: str) -> str:
    """Return ``text`` on one line, with what would act instead of being read replaced.

    Control characters can drive a terminal, bidirectional overrides can make a
    name read as another one, and lone surrogates cannot be written at all.
    """
    return "".join(_visible(char) for char in text)


_ACTING = ("Cc", "Cf", "Cs", "Co", "Cn")
_NBSP = "\N{NO-BREAK SPACE}"


def _visible(char: str) -> str:
    if char.isspace():
        return char if char == _NBSP else " "
    return "\N{REPLACEMENT CHARACTER}" if unicodedata.category(char) in _ACTING else char


def tag(element: str, /, *children: Child, **attributes: Attribute) -> Markup:
    """Return an element; children that are no markup are escaped, None and empty ones left out.

    ``class_`` gives ``class``, ``aria_label`` gives ``aria-label``; an
    attribute of None or False is left out, one of True stands alone.
    """
    opening = element + "".join(_attribute(key, value) for key, value in attributes.items())
    if element in _VOID:
        return Markup(f"<{opening}>")
    return Markup(f"<{opening}>{join(*children)}</{element}>")


def join(*children: Child) -> Markup:
    """Return children one after the other, escaped where they are no markup."""
    return Markup("".join(_child(child) for child in children))


def stylesheet(css: str) -> Markup:
    """Return a style element; ``css`` is the project's own text, never data."""
    return Markup(f"<style>{css}</style>")


def document(root: Markup) -> str:
    """Return a whole page."""
    return f"<!doctype html>\n{root}\n"


def _child(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, Markup):
        return child
    if isinstance(child, str | int):
        return escape(visible(str(child)))
    return "".join(_child(one) for one in child)


def _attribute(key: str, value: Attribute) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(visible(str(value)))}"'
