# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of hosts: their natural order, and which of them Ansible would take for something else."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache

#: What Ansible reads in a ``hosts:`` expression as a pattern, a list, a range or a path.
PATTERN_CHARACTERS = re.compile(r"[*?\[\]!&~:,;@/\\\s{}()|^$]")


@lru_cache(maxsize=65536)
def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Return a sort key in which ``web2`` comes before ``web10``."""
    parts = re.findall(r"[0-9]+|[^0-9]+", name)
    key = tuple((0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts)
    return (*key, (2, 0, name))


def name_problem(name: str, groups: Collection[str] = ()) -> str | None:
    """Return why ``name`` cannot stand in a play's list of hosts, or None.

    A play's ``serial`` counts hosts: a name that expands to several, or to
    none, would shift every later wave.
    """
    if not name or PATTERN_CHARACTERS.search(name) or name.startswith(("-", ".")):
        return f"the name {name!r} is a pattern to Ansible"
    if name in groups or name in ("all", "ungrouped"):
        return f"the name {name!r} is also a group of the inventory"
    return None


def unknown_terms(pattern: str, known: Collection[str]) -> list[str]:
    """Return the plain names of a ``hosts:`` pattern that no host or group of the inventory has.

    Ansible only warns about them, and a host would be left out unseen.
    """
    terms = (term.strip().lstrip("&!") for term in re.split(r"[,:]", pattern))
    return [term for term in terms if term and not PATTERN_CHARACTERS.search(term) and term not in known]
