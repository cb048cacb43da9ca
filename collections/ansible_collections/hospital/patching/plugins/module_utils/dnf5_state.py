# SPDX-License-Identifier: GPL-3.0-or-later
"""Which repository a package came from and why it is installed, from dnf 5's own state; and its versionlocks.

The files are TOML, which the standard library of old Pythons cannot read. What dnf 5 writes of it is read here: a table
a file, an entry a line. Anything else is refused, never guessed.
"""

import fnmatch
import os
import re
from typing import Dict, List, NamedTuple, Optional, Tuple

from ansible_collections.hospital.patching.plugins.module_utils import rpm_version
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError

#: ``origins`` (a repository's id) by ``name-[epoch:]version-release.arch``, the epoch only when it is not 0;
#: ``reasons`` by ``name.arch``.
State = NamedTuple("State", [("origins", Dict[str, str]), ("reasons", Dict[str, str])])

LOCKS = "etc/dnf/versionlock.toml"
DIRECTORY = "usr/lib/sysimage/libdnf5"
#: libdnf5's reasons of what came as another package's dependency.
AUTOMATIC = ("Dependency", "Weak Dependency")
_PACKAGES, _NEVRAS = DIRECTORY + "/packages.toml", DIRECTORY + "/nevras.toml"
#: ``"key" = {inner = "value"}``; a package's name has neither quotes nor backslashes.
_ENTRY = re.compile(r'"([^"\\]+)"\s*=\s*\{\s*([a-z_]+)\s*=\s*"([^"\\]*)"\s*\}$')
_MAX_BYTES = 16 * 1024 * 1024
#: An entry of the versionlocks: a pattern of names, and its conditions (key, comparator, value).
_Lock = NamedTuple("_Lock", [("name", "re.Pattern[str]"), ("conditions", List[Tuple[str, str, str]])])


def present(root: str) -> bool:
    """Return whether dnf 5 keeps its state under ``root``."""
    return os.path.exists(os.path.join(root, _PACKAGES))


def read(root: str) -> State:
    """Return what dnf 5 remembers of every package; only reads.

    Raises:
        PatchingError: a file is missing or has another format.
    """
    return State(_table(root, _NEVRAS, "nevras", "from_repo"), _table(root, _PACKAGES, "packages", "reason"))


def automatic(state: State, name: str, arch: str) -> Optional[bool]:
    """Return whether a package came as a dependency; None of one that dnf 5 did not install.

    What came with a group has no entry of its own: a group is what somebody asked for.
    """
    reason = state.reasons.get("{}.{}".format(name, arch))
    return None if reason is None else reason in AUTOMATIC


def origin(state: State, name: str, version: str, arch: str) -> Optional[str]:
    """Return the id of the repository that this version came from; None if none is known."""
    return state.origins.get("{}-{}.{}".format(name, version, arch)) or None


def _table(root: str, relative: str, table: str, inner: str) -> Dict[str, str]:
    path = os.path.join(root, relative)
    try:
        with open(path, encoding="utf-8", errors="replace") as handle:
            lines = handle.read(_MAX_BYTES).split("\n")
    except OSError as error:
        raise _unreadable(path, str(error))
    found: Dict[str, str] = {}
    heading = ['version = "1.0"', "[{}]".format(table)]
    for line in filter(None, map(str.strip, lines)):
        if heading and line == heading[0]:
            heading.pop(0)
            continue
        entry = None if heading else _ENTRY.match(line)
        if entry is None or entry.group(2) != inner:
            raise _unreadable(path, line[:80])
        found[entry.group(1)] = entry.group(3)
    if heading:
        raise _unreadable(path, "it ends before {}".format(heading[0]))
    return found


def locked(root: str) -> List["re.Pattern[str]"]:
    """Return patterns of the names that versionlocks hold; an entry that leaves out single versions only holds none.

    A package is held whatever version its lock allows; what the lock lets through is the resolver's to say.
    """
    return [
        lock.name for lock in _locks(root) if {comparator for _key, comparator, _value in lock.conditions} != {"!="}
    ]


def allows(root: str, name: str, version: str, arch: str) -> bool:
    """Return whether the versionlocks let this version be chosen.

    Of the entries that name the package, one must have all its conditions met (dnf5-versionlock(8)).
    """
    locks = [lock for lock in _locks(root) if lock.name.match(name)]
    return not locks or any(all(_holds(each, version, arch) for each in lock.conditions) for lock in locks)


def _holds(condition: Tuple[str, str, str], version: str, arch: str) -> bool:
    key, comparator, value = condition
    if key == "arch":
        order = 0 if arch == value else 1
    elif key == "epoch":
        order = rpm_version.compare_text(version.rpartition(":")[0] or "0", value)
    elif key == "evr":
        order = rpm_version.compare(version, value)
    else:
        return False
    wanted = {"<": (-1,), "<=": (-1, 0), "=": (0,), ">=": (0, 1), ">": (1,), "!=": (-1, 1)}
    return order in wanted.get(comparator, ())


def _locks(root: str) -> List[_Lock]:
    try:
        with open(os.path.join(root, LOCKS), encoding="utf-8", errors="replace") as handle:
            text = handle.read(_MAX_BYTES)
    except OSError:
        return []
    found = []
    for block in re.split(r"^\s*\[\[packages\]\]", text, flags=re.MULTILINE)[1:]:
        entry = re.split(r"^\s*\[\[packages\.conditions\]\]", block, flags=re.MULTILINE)
        name = _value(entry[0], "name")
        conditions = [(_value(one, "key"), _value(one, "comparator"), _value(one, "value")) for one in entry[1:]]
        if name:
            found.append(_Lock(re.compile(fnmatch.translate(name)), conditions))
    return found


def _value(text: str, key: str) -> str:
    found = re.search(r'^\s*{}\s*=\s*["\']([^"\']+)["\']'.format(key), text, re.MULTILINE)
    return found.group(1) if found else ""


def _unreadable(path: str, seen: str) -> PatchingError:
    return PatchingError(
        path,
        seen,
        "dnf 5's state as dnf 5.4 writes it",
        "look at dnf5 repoquery --installed on the host; origins and reasons are unknown until then",
    )
