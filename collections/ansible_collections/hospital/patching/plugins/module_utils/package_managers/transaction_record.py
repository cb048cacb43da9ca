# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host looked like before a transaction: marks, holds, alternatives, failed units.

Written once, read until the end.
"""

import contextlib
import json
import os
from abc import ABC, abstractmethod
from typing import Any, Dict, List, Optional, Set, Tuple

from ansible_collections.hospital.patching.plugins.module_utils import alternatives, reboot_required
from ansible_collections.hospital.patching.plugins.module_utils.etc_archive import proposals
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.systemd_units import failed_units


class Marks(ABC):
    """What is recorded of installed packages beside their versions, at one moment; keys are ``name:arch``.

    One subclass a package manager. ``plain`` makes keys of one package equal where
    it may change its architecture without becoming another package.
    """

    @abstractmethod
    def here(self) -> Set[str]:
        """Return all installed packages."""

    @abstractmethod
    def automatic(self) -> Set[str]:
        """Return those that came as another's dependency."""

    @abstractmethod
    def holds(self) -> Set[str]:
        """Return those that may not be changed."""

    def plain(self, key: str) -> str:
        """Return ``key`` in the form in which keys are compared."""
        return key


def path_of(directory: str) -> str:
    """Return where the record of a stage lies."""
    return os.path.join(directory, "before.json")


def read(directory: str) -> Optional[Dict[str, Any]]:
    """Return the record of an earlier attempt, or None."""
    return read_file(path_of(directory))


def read_file(path: str) -> Optional[Dict[str, Any]]:
    """Return the JSON object at ``path``, or None where there is none that can be read."""
    try:
        with open(path, encoding="utf-8") as handle:
            return dict(json.load(handle))
    except (OSError, ValueError):
        return None


def take(host: Host, marks: Marks, directory: str) -> Dict[str, Any]:
    """Return the record; the first attempt writes it, and a resumed one keeps that of the first."""
    record = read(directory)
    if record is None:
        record = _look(host, marks)
        write(path_of(directory), record)
    return record


def take_back(
    host: Host,
    marks: Marks,
    directories: Tuple[str, str],
    entries: List[Dict[str, Any]],
) -> Dict[str, Any]:
    """Return the record of a way back: the host as it is now, and what the transaction did to it undone.

    Whoever marks or holds a package after the installation means it. So only
    what is not there to be asked has its old mark and hold: packages that the
    installation removed, and all of its packages when it did not come as far as
    restoring their marks. Units that failed since it began stay new failures.
    Alternatives that are as the installation left them become what they were.

    Args:
        directories: where the record of the way back lies, and where that of the installation lies.
        entries: those of the whole transaction, forward.
    """
    own, earlier = directories
    record, before = read(own), read(earlier)
    if record is not None:
        return record
    record = _look(host, marks)
    if before is not None:
        old = {marks.plain("{name}:{arch}".format(**entry)) for entry in entries}
        if os.path.exists(os.path.join(earlier, "after.json")):
            old -= {marks.plain(key) for key in marks.here()}
        else:  # new packages, in case not all of the transaction is taken back
            new = [entry for entry in entries if entry["from"] is None]
            before = dict(before, automatic=expected_automatic(before, new, marks))
        for kind in ("automatic", "holds"):
            record[kind] = sorted(
                [key for key in record[kind] if marks.plain(key) not in old]
                + [key for key in before[kind] if marks.plain(key) in old]
            )
        record["failed_units"] = before["failed_units"]
        after = read_file(os.path.join(earlier, "after.json")) or {}
        record["alternatives"] = alternatives.wanted_back(
            record["alternatives"], before.get("alternatives", {}), after.get("alternatives", record["alternatives"])
        )
    write(path_of(own), record)
    return record


def _look(host: Host, marks: Marks) -> Dict[str, Any]:
    return {
        "automatic": sorted(marks.automatic()),
        "holds": sorted(marks.holds()),
        "alternatives": alternatives.selections(host.root),
        "failed_units": failed_units(host.runner, host.root),
        "conffile_proposals": proposals(host.root),
        "reboot_required": reboot_required.flag_reasons(host.root) + reboot_required.kernel_reasons(host.root),
        "time": host.clock.stamp(),
    }


def reference(stage_dir: str, preserved_dir: str, expect: str) -> Tuple[Optional[Dict[str, Any]], bool]:
    """Return the record that the host is held against, and whether it is a way back's.

    The ``to`` versions came by the installation. The ``from`` versions were there
    before it or came back after it: what was recorded last counts.
    """
    before, back = read(stage_dir), read(preserved_dir)
    if expect == "from" and back is not None and (before is None or back["time"] >= before["time"]):
        return back, True
    return before, False


def forget(directory: str) -> None:
    """Remove the record of a transaction that was finished, so that the next attempt takes its own."""
    for name in ("before.json", "after.json"):
        with contextlib.suppress(OSError):
            os.unlink(os.path.join(directory, name))


def write(path: str, value: Any) -> None:
    """Write JSON whole and on disk, or not at all."""
    descriptor = os.open(path + ".part", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
        json.dump(value, handle, sort_keys=True)
        handle.flush()
        os.fsync(handle.fileno())
    os.rename(path + ".part", path)


def expected_automatic(before: Dict[str, Any], entries: List[Dict[str, Any]], marks: Marks) -> Set[str]:
    """Return which installed packages must be marked automatic: as before, and new ones as planned."""
    marked = {marks.plain(key) for key in before["automatic"]}
    for entry in entries:
        key = marks.plain("{name}:{arch}".format(**entry))
        if entry["from"] is None:
            marked.discard(key)
            if entry["automatic"]:
                marked.add(key)
    here = {marks.plain(key) for key in marks.here()}
    return marked & here


def automatic_now(marks: Marks) -> Set[str]:
    """Return which installed packages are marked automatic now, in the form of :func:`expected_automatic`."""
    return {marks.plain(key) for key in marks.automatic()}


def holds_lost(before: Dict[str, Any], marks: Marks) -> List[str]:
    """Return what differs in holds among the packages that are still installed."""
    here = {marks.plain(key) for key in marks.here()}
    then = {marks.plain(key) for key in before["holds"]} & here
    return sorted(then ^ {marks.plain(key) for key in marks.holds()})


def alternatives_lost(before: Dict[str, Any], entries: List[Dict[str, Any]], root: str) -> List[str]:
    """Return the names of alternatives that do not give what they gave before."""
    removes = any(entry["to"] is None for entry in entries)
    return alternatives.differences(before.get("alternatives", {}), alternatives.selections(root), root, removes)
