# SPDX-License-Identifier: GPL-3.0-or-later
"""Plain values: what goes into a document carries no caller's own kinds of text, list or mapping."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Kinds of values that are plain as they are; asked before a call, because most values of a document are of them.
LEAVES = frozenset({str, int, bool, float, type(None)})


def plain(value: Any) -> Any:
    """Return ``value`` with plain mappings, lists and text all the way down.

    Inventory values may be lazy or tagged subclasses, and ``dict(value)`` would
    copy such a mapping without evaluating it; iterating evaluates it.
    """
    if type(value) in LEAVES:
        return value
    if isinstance(value, Mapping):
        return {str(key): item if type(item) in LEAVES else plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [item if type(item) in LEAVES else plain(item) for item in value]
    if isinstance(value, str):
        return str(value)
    return value
