# SPDX-License-Identifier: GPL-3.0-or-later
"""Canonical JSON and digests.

The subset of RFC 8785 that the project's contracts need: objects, arrays,
strings, integers, booleans and null. Floats are refused, because contracts
carry whole seconds and bytes only, and number formatting is where canonical
JSON implementations differ.
"""

import hashlib
import json
from functools import lru_cache
from typing import Any, List, Tuple

_LEAVES = frozenset((str, int, bool, type(None)))


def _refuse_floats(value: Any, path: str) -> None:
    if isinstance(value, float):
        raise TypeError("{} is a float; contracts carry whole numbers only".format(path))
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError("{} has the key {!r}, which is no string".format(path, key))
            _refuse_floats(item, path + "." + key)
    elif isinstance(value, (list, tuple)):
        for number, item in enumerate(value):
            _refuse_floats(item, "{}[{}]".format(path, number))


def canonical_json(value: Any) -> str:
    """Return ``value`` as canonical JSON text.

    Keys are sorted by UTF-16 code units, as RFC 8785 section 3.2.3 says; there
    is no white space; non-ASCII text is kept as it is.

    Raises:
        TypeError: for a float, a key that is no string, or an unknown type.
    """
    try:
        return json.dumps(_sorted(value), separators=(",", ":"), ensure_ascii=False)
    except TypeError:
        _refuse_floats(value, "$")  # says where it is
        raise


def _sorted(value: Any) -> Any:
    # Values that need no look themselves are told here, not by a call each: nearly all of a document are such.
    if isinstance(value, dict):
        return {
            key: value[key] if type(value[key]) in _LEAVES else _sorted(value[key])
            for key in _sorted_keys(tuple(value))
        }
    if isinstance(value, (list, tuple)):
        return [item if type(item) in _LEAVES else _sorted(item) for item in value]
    if isinstance(value, float):
        raise TypeError("a float")
    return value


@lru_cache(maxsize=1024)  # a document has few kinds of objects
def _sorted_keys(keys: Tuple[str, ...]) -> List[str]:
    """Sort by UTF-16 code units; for ASCII, which nearly all keys are, that is Python's own order."""
    try:
        "".join(keys).encode("ascii")
    except UnicodeEncodeError:
        return sorted(keys, key=lambda text: text.encode("utf-16-be"))
    return sorted(keys)


def digest(value: Any) -> str:
    """Return ``sha256:<64 hex digits>`` over the canonical JSON of ``value``."""
    return "sha256:" + hashlib.sha256(canonical_json(value).encode("utf-8")).hexdigest()
