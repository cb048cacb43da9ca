# SPDX-License-Identifier: GPL-3.0-or-later
"""Maven's order of versions (Version Order Specification, maven.apache.org/pom.html), without its nested lists."""

import itertools
import re
from typing import List, Tuple

#: Qualifiers in their order; those that mean the release itself share its place. Others come after.
_RANKS = {
    "alpha": 0, "a": 0, "beta": 1, "b": 1, "milestone": 2, "m": 2, "rc": 3, "cr": 3, "snapshot": 4,
    "": 5, "ga": 5, "final": 5, "release": 5, "sp": 6,
}  # fmt: skip
_RELEASE = (5, 0, "")
_OTHER, _NUMBER = 7, 8
#: Longer texts are no versions.
_LIMIT = 64


def _parts(version: str) -> List[Tuple[int, int, str]]:
    parts: List[Tuple[int, int, str]] = []
    for text in re.findall(r"[0-9]+|[a-z]+", version[:_LIMIT].lower()):
        if text[0].isdigit():
            parts.append((_NUMBER, int(text), "") if int(text) else _RELEASE)
        else:
            while parts and parts[-1] == _RELEASE:
                parts.pop()  # 2.0-beta is 2-beta
            rank = _RANKS.get(text, _OTHER)
            parts.append((rank, 0, text if rank == _OTHER else ""))
    return parts


def compare(left: str, right: str) -> int:
    """Return -1, 0 or 1 as ``left`` is older than, equal to or newer than ``right``."""
    for a, b in itertools.zip_longest(_parts(left), _parts(right), fillvalue=_RELEASE):
        if a != b:
            return -1 if a < b else 1
    return 0
