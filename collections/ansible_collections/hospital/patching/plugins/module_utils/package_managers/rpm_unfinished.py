# SPDX-License-Identifier: GPL-3.0-or-later
"""Which packages rpm has begun to install and not finished: a killed rpm leaves no other trace of scripts it owes.

rpm records a package before its %post has run, runs every %posttrans at the very end, and goes on after a script that
failed. So each package is noted before rpm touches it, and forgotten when the whole transaction has ended well. What
is noted is installed again, which runs all its scripts.
"""

import json
import os
from typing import Any, Dict, Iterable, List, Set, Tuple

from ansible_collections.hospital.patching.plugins.module_utils.package_managers.transaction_work import Find, State

Key = Tuple[str, str]
STATUS = "not finished: rpm was cut off, or a script of it failed"


def path_of(state_dir: str) -> str:
    """Return the file, one JSON line ``[name, arch]`` a package."""
    return os.path.join(state_dir, "rpm-unfinished.jsonl")


def read(state_dir: str) -> Set[Key]:
    """Return the packages that were begun; a torn last line was not begun yet."""
    found = set()
    try:
        with open(path_of(state_dir), "rb") as handle:
            lines = handle.read().split(b"\n")[:-1]
    except OSError:
        return set()
    for line in lines:
        try:
            name, arch = json.loads(line.decode("utf-8"))
            found.add((str(name), str(arch)))
        except (ValueError, TypeError):
            continue
    return found


def keep(state_dir: str, packages: Iterable[Key]) -> None:
    """Write these packages as those that are not finished."""
    wanted = sorted(set(packages))
    path = path_of(state_dir)
    if not wanted:
        if os.path.exists(path):
            os.unlink(path)
        return
    os.makedirs(state_dir, mode=0o700, exist_ok=True)
    with open(path + ".part", "w", encoding="utf-8") as handle:
        handle.writelines(json.dumps(list(package)) + "\n" for package in wanted)
        handle.flush()
        os.fsync(handle.fileno())
    os.rename(path + ".part", path)


def forget(state_dir: str, entries: List[Dict[str, Any]]) -> None:
    """Take the packages of ``entries`` as finished, whatever architecture they were begun in."""
    names = {entry["name"] for entry in entries}
    keep(state_dir, [(name, arch) for name, arch in read(state_dir) if name not in names])


def of_entries(state_dir: str, entries: List[Dict[str, Any]]) -> List[str]:
    """Return ``name:arch`` of those ``entries`` that are not finished."""
    names = {name for name, _arch in read(state_dir)}
    return sorted("{name}:{arch}".format(**entry) for entry in entries if entry["name"] in names)


def finder(state_dir: str, find: Find) -> Find:
    """Return ``find``, to which packages that are not finished are broken at one of the entry's own versions."""
    names = {name for name, _arch in read(state_dir)}

    def finding(entry: Dict[str, Any]) -> Any:
        state = find(entry)
        if state is None or entry["name"] not in names or state.version not in (entry["from"], entry["to"]):
            return state
        return State(state.version, STATUS, True)

    return finding
