# SPDX-License-Identifier: GPL-3.0-or-later
"""rpm's order of versions: rpm-version(7) and rpm's rpmio/rpmvercmp.cc.

A version is cut into runs of ASCII digits and runs of ASCII letters. Whatever
else lies between them only separates, except ``~``, which sorts before the end
of the text, and ``^``, which sorts after the end and before anything else.
"""

import functools
import re
from typing import List, Tuple

#: A tilde, a caret, or a run of digits or letters; what is left over separates.
_PART = re.compile(r"[~^]|[0-9]+|[A-Za-z]+")
#: rpm's epochs have 32 bits.
_EPOCH = re.compile(r"[0-9]{0,10}\Z")
#: The places of what differs in kind: a run of digits is newer than a run of letters.
_TILDE, _END, _CARET, _LETTERS, _NUMBER = range(5)


def split(text: str) -> Tuple[int, str, str]:
    """Return ``(epoch, version, release)`` of ``[epoch:]version[-release]``; a missing release is ``""``."""
    epoch = 0
    head, colon, rest = text.partition(":")
    if colon and _EPOCH.match(head):
        epoch, text = int(head or 0), rest
    version, dash, release = text.rpartition("-")
    return (epoch, version, release) if dash else (epoch, release, "")


def joined(epoch: int, version: str, release: str) -> str:
    """Return EVR text with the epoch only when it is not 0."""
    return ("{}:".format(epoch) if epoch else "") + version + ("-" + release if release else "")


def compare_text(left: str, right: str) -> int:
    """Return -1, 0 or 1 by rpmvercmp, which knows neither epochs nor releases."""
    a, b = _parts(left), _parts(right)
    return (a > b) - (a < b)


def compare(left: str, right: str) -> int:
    """Return -1, 0 or 1 as ``left`` is older than, equal to or newer than ``right`` (rpmVersionCompare).

    As in rpm's rpmverCmp, no release is older than any release.
    """
    a, b = split(left), split(right)
    if a[0] != b[0]:
        return -1 if a[0] < b[0] else 1
    order = compare_text(a[1], b[1])
    if order or not (a[2] and b[2]):
        return order or bool(a[2]) - bool(b[2])
    return compare_text(a[2], b[2])


def _parts(text: str) -> List[Tuple[int, int, str]]:
    """Return the parts of ``text`` as values that sort as rpm sorts them, with the end as the last."""
    found = []
    for part in _PART.findall(text):
        if part == "~":
            found.append((_TILDE, 0, ""))
        elif part == "^":
            found.append((_CARET, 0, ""))
        elif part[0] in "0123456789":
            # As text, because a number may have more digits than Python converts.
            number = part.lstrip("0")
            found.append((_NUMBER, len(number), number))
        else:
            found.append((_LETTERS, 0, part))
    return found + [(_END, 0, "")]


#: Sort key for version texts.
key = functools.cmp_to_key(compare)
