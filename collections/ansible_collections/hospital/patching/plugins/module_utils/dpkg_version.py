# SPDX-License-Identifier: GPL-3.0-or-later
"""dpkg's order of versions: Debian Policy 5.6.12 and deb-version(7)."""

import functools
import re
from typing import Tuple

_DIGITS = "0123456789"
#: dpkg's epochs are of C's type int.
_EPOCH = re.compile(r"[0-9]{1,10}\Z")


def split(version: str) -> Tuple[int, str, str]:
    """Return ``(epoch, upstream version, revision)``; a missing revision is ``""``."""
    epoch = 0
    head, colon, rest = version.partition(":")
    if colon and _EPOCH.match(head):
        epoch, version = int(head), rest
    upstream, _dash, revision = version.rpartition("-")
    return (epoch, upstream, revision) if _dash else (epoch, revision, "")


def _weight(character: str) -> int:
    """Return a character's place: tilde before the end, letters before the rest."""
    if character == "~":
        return -1
    return ord(character) if character.isalpha() else ord(character) + 256


def _compare_text(left: str, right: str) -> int:
    for place in range(max(len(left), len(right))):
        a = _weight(left[place]) if place < len(left) else 0
        b = _weight(right[place]) if place < len(right) else 0
        if a != b:
            return -1 if a < b else 1
    return 0


def _next_part(rest: str) -> Tuple[str, Tuple[int, str], str]:
    """Return the leading text, the number after it (0 for none), and what remains.

    The number is its count of digits and its digits, because it may have more digits than Python converts.
    """
    start = next((place for place, character in enumerate(rest) if character in _DIGITS), len(rest))
    end = next((place for place in range(start, len(rest)) if rest[place] not in _DIGITS), len(rest))
    digits = rest[start:end].lstrip("0")
    return rest[:start], (len(digits), digits), rest[end:]


def _compare_part(left: str, right: str) -> int:
    while left or right:
        text, number, left = _next_part(left)
        other_text, other_number, right = _next_part(right)
        order = _compare_text(text, other_text)
        if order:
            return order
        if number != other_number:
            return -1 if number < other_number else 1
    return 0


def compare(left: str, right: str) -> int:
    """Return -1, 0 or 1 as ``left`` is older than, equal to or newer than ``right``."""
    a, b = split(left), split(right)
    if a[0] != b[0]:
        return -1 if a[0] < b[0] else 1
    return _compare_part(a[1], b[1]) or _compare_part(a[2], b[2])


#: Sort key for version texts.
key = functools.cmp_to_key(compare)
