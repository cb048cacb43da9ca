# SPDX-License-Identifier: GPL-3.0-or-later
"""Which program stands behind a common name (update-alternatives(1)): read, compared, and put back.

Package scripts register and remove choices. One that removes its own choice on
an upgrade makes the system forget what a person has chosen by hand, and a new
package with a higher priority takes over a name that was left to the system.
"""

import os
from typing import Dict, List

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner

#: Where Debian, Red Hat and SUSE keep the choices; the format is the same. One of them exists on a host.
ADMIN_DIRS = ("var/lib/dpkg/alternatives", "var/lib/alternatives", "var/lib/rpm/alternatives")
LINKS = "etc/alternatives"
AUTO, MANUAL = "auto", "manual"

#: By name: the mode (auto or manual) and the path that is chosen.
Selections = Dict[str, List[str]]


def _admin_dir(root: str) -> str:
    paths = [os.path.join(root, path) for path in ADMIN_DIRS]
    return next((path for path in paths if os.path.isdir(path)), paths[0])


def _lines(root: str, name: str) -> List[str]:
    try:
        with open(os.path.join(_admin_dir(root), name), encoding="utf-8", errors="surrogateescape") as handle:
            return handle.read().split("\n")
    except OSError:
        return []


def selections(root: str = "/") -> Selections:
    """Return what is chosen, as ``update-alternatives --get-selections`` prints it, without starting it."""
    found = {}
    try:
        names = os.listdir(_admin_dir(root))
    except OSError:
        return {}
    for name in names:
        mode = _lines(root, name)[:1]
        try:
            value = os.readlink(os.path.join(root, LINKS, name))
        except OSError:
            continue
        if mode in ([AUTO], [MANUAL]):
            found[name] = [mode[0], value]
    return found


def _offered(root: str, name: str, value: str) -> bool:
    """Return whether a path can still be chosen: choices follow the first empty line, each with a priority below."""
    lines = _lines(root, name)
    return "" in lines and value in lines[lines.index("") :]


def differences(before: Selections, now: Selections, root: str, removes: bool) -> List[str]:
    """Return the names that do not give what they gave before.

    Where the system chooses, a choice that is gone is no difference. Where a
    person has chosen, it is, unless the transaction removes packages: that was
    approved. New names are none either.

    Args:
        removes: whether the transaction removes packages.
    """
    found = []
    for name, (mode, value) in sorted(before.items()):
        mode_now, value_now = now.get(name, [AUTO, ""])
        if value_now == value:
            if mode == MANUAL and mode_now == AUTO:
                found.append(name)
        elif _offered(root, name, value) or (mode == MANUAL and not removes):
            found.append(name)
    return found


def restore(runner: Runner, before: Selections, names: List[str], root: str = "/") -> List[str]:
    """Put names back to what they were; return those whose earlier choice can still be made.

    Where the system would now choose something else, the earlier choice is set
    by hand: what programs get matters more than who chose it.
    """
    back = []
    for name in names:
        mode, value = before[name]
        if not _offered(root, name, value):
            continue
        if mode == AUTO:
            _run(runner, root, ["--auto", name])
        if mode == MANUAL or selections(root).get(name, [])[1:] != [value]:
            _run(runner, root, ["--set", name, value])
        back.append(name)
    return back


def _run(runner: Runner, root: str, words: List[str]) -> None:
    folders = ["--altdir", os.path.join(root, LINKS), "--admindir", _admin_dir(root)]
    try:
        runner.run(["update-alternatives"] + folders + words, timeout_s=60)
    except PatchingError:
        return  # the comparison that follows names what could not be put back


def wanted_back(now: Selections, before: Selections, after: Selections) -> Selections:
    """Return what a way back has to leave: what was there before, unless somebody chose otherwise since.

    Args:
        now: what is chosen when the way back begins.
        before: what was, before the installation.
        after: what the installation left.
    """
    found = {name: choice for name, choice in now.items() if choice != after.get(name)}
    found.update({name: choice for name, choice in before.items() if now.get(name) == after.get(name)})
    return found
