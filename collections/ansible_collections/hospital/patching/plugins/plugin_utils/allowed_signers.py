# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may sign: an allowed-signers file (ssh-keygen(1), ALLOWED SIGNERS), and what of it is one person.

A person may be listed under several names and with several keys, on one line
or on many. Whatever names and keys hang together through any line is one
person: two approvals are those of two people only if nothing joins them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError

#: What a pattern has and a name has not: a signature has to be somebody's.
_PATTERN = re.compile(r"[*?!]")
_KEY = re.compile(r"[A-Za-z0-9+/]{32,}={0,2}")


class People:
    """The people of one list, or of several: who stands in two of them is one person.

    Raises:
        PatchingError: one cannot be read.
    """

    def __init__(self, *paths: Path) -> None:
        lines = [line for path in paths for line in _lines(path)]
        self._names: dict[str, set[str]] = {}
        self._first: dict[str, str] = {}
        for words in (line.split() for line in lines if line.strip() and not line.lstrip().startswith("#")):
            names = [name for name in words[0].split(",") if name and not _PATTERN.search(name)]
            keys = [word for word in words[1:] if _KEY.fullmatch(word)][:1]
            for key in keys:
                self._names.setdefault(key, set()).update(names)
            # One name in other letters is the same person's.
            self._join([*(f"name {name.casefold()}" for name in names), *(f"key {key}" for key in keys)])

    def names(self, key: str) -> tuple[str, ...]:
        """Return the names under which a public key (base64) is listed, sorted; none when it is nobody's."""
        return tuple(sorted(self._names.get(key, ())))

    def person(self, key: str) -> str:
        """Return what is the same for all keys of one person."""
        return self._root(f"key {key}")

    def person_named(self, name: str) -> str:
        """Return the same as :meth:`person`, for somebody who has approved without a key; not listed, he is himself."""
        return self._root(f"name {name.casefold()}")

    def _join(self, members: Sequence[str]) -> None:
        for one in members:
            self._first[self._root(one)] = self._root(members[0])

    def _root(self, member: str) -> str:
        while self._first.setdefault(member, member) != member:
            member = self._first[member]
        return member


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        subject, next_step = f"the list of approvers {path}", "correct the setting that names it"
        raise PatchingError(subject, str(error), "an allowed-signers file", next_step) from error


def place(setting: object, sources: Sequence[str]) -> Path | None:
    """Return the file that a setting such as ``patching_allowed_signers`` names, or None when it names none.

    A relative path starts at the folder of the inventory, as ``files`` of a
    playbook do: not where somebody happens to start a run.

    Args:
        sources: the inventory's sources, as ansible_inventory_sources.
    """
    if not setting:
        return None
    path = Path(str(setting)).expanduser()
    if path.is_absolute():
        return path
    found = next((Path(one) for one in sources if Path(one).exists()), None)
    if found is None:
        return None
    return (found if found.is_dir() else found.parent).absolute() / path
