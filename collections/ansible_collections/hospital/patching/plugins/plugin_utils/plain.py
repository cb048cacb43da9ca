# SPDX-License-Identifier: GPL-3.0-or-later
"""Plain values: what goes into a document carries no caller's own kinds of text, list or mapping."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def plain(value: Any) -> Any:
    """Return ``value`` with plain mappings, lists and text all the way down.

    Inventory values may be lazy or tagged subclasses, and ``dict(value)`` would
    copy such a mapping without evaluating it; iterating evaluates it.
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, str):
        return str(value)
    return value
