# SPDX-License-Identifier: GPL-3.0-or-later
"""For how long a host keeps its stages, the preserved versions and the archives of /etc: by its journal alone.

A transaction's folders go together. They stay for the given number of days
after the transaction was last used or could last be begun, and longer while a
run needs them: an unfinished one, one that is staged for a window to come, the
newest that was finished here, and the newest that still stands. What cannot be
read, or is nobody's, is kept and told.
"""

import calendar
import contextlib
import os
import re
import shutil
import stat
import time
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Set

from ansible_collections.hospital.patching.plugins.module_utils import transaction
from ansible_collections.hospital.patching.plugins.module_utils.clock import seconds_of
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.journal import STAGE_STEP, Journal

Records = List[Dict[str, Any]]
#: Two monthly windows.
KEEP_DAYS = 62
_DAY_S = 86400
#: What lies below the state directory, and how the name of each tells its transaction.
_KINDS = (
    ("preserved", re.compile(r"([0-9a-f]{12})\Z")),
    ("stage", re.compile(r"([0-9a-f]{12})\Z")),
    # The archives, and what declared software found proposed (third_party/etc_before.py).
    ("etc", re.compile(r"(?:etc|software)-before-(?:install|rollback)-([0-9a-f]{12})\.(?:tar|json)(?:\.part)?\Z")),
)
#: The steps that change packages.
_WORK = ("install", "rollback")

#: ``days`` as the setting says; ``controller_time`` as :class:`Clock` stamps it, or empty.
Retention = NamedTuple("Retention", [("run_id", str), ("days", int), ("controller_time", str), ("check", bool)])


def apply(host: Host, wanted: Retention) -> Dict[str, Any]:
    """Remove what no way back needs any more; in check mode only say what that is.

    Returns:
        ``removed``, each with ``path``, ``transaction`` and ``freed_bytes``, their sum as ``freed_bytes``, and what
        is ``kept`` because nobody can tell, with ``path`` and ``reason``.

    Raises:
        PatchingError: ``days`` is no number of days.
    """
    if wanted.days < 1:
        raise PatchingError(
            "patching_preserved_keep_days", str(wanted.days), "a whole number from 1", "correct it in the inventory"
        )
    return _Sweep(host, wanted).run()


class _Sweep:
    """One call of :func:`apply`."""

    def __init__(self, host: Host, wanted: Retention) -> None:
        self.host = host
        self.wanted = wanted
        self.journal = Journal(host.state_dir, host.clock)
        self.removed: List[Dict[str, Any]] = []
        self.kept: List[Dict[str, str]] = []

    def run(self) -> Dict[str, Any]:
        found = self._found()
        expired = self._expired(found) if found else []
        going = [item for name in expired for item in self._measured(name, found[name])]
        if self.wanted.check:
            self.removed = going
        elif going:
            self._remove(going)
        return {
            "removed": self.removed,
            "freed_bytes": sum(item["freed_bytes"] for item in self.removed),
            "kept": self.kept,
        }

    def _keep(self, path: str, reason: str) -> None:
        self.kept.append({"path": path, "reason": reason})

    def _found(self) -> Dict[str, List[str]]:
        """Return the paths of each transaction, by its short name."""
        found: Dict[str, List[str]] = {}
        for kind, pattern in _KINDS:
            directory = os.path.join(self.host.state_dir, kind)
            try:
                names = sorted(os.listdir(directory))
            except FileNotFoundError:
                continue
            except OSError as error:
                self._keep(directory, "it cannot be read: {}".format(error))
                continue
            for name in names:
                match = pattern.match(name)
                if match:
                    found.setdefault(match.group(1), []).append(os.path.join(directory, name))
                else:
                    self._keep(os.path.join(directory, name), "its name is none that update_stage gives")
        return found

    def _expired(self, found: Dict[str, List[str]]) -> List[str]:
        """Return the transactions that nothing needs; none while a run holds the host, or nobody can tell."""
        try:
            reason = self._in_use()
            records = self.journal.read()
            known = {name: why_kept(records, name, self._now_s(), self.wanted) for name in sorted(found)}
        except (PatchingError, LookupError, TypeError, ValueError, AttributeError) as error:
            reason, known = "nobody can tell what is needed: {}".format(error), {}
        if reason is not None:
            self._keep(self.host.state_dir, reason)
            return []
        for name in known:
            for path in found[name] if known[name] == UNKNOWN else []:
                self._keep(path, UNKNOWN)
        return [name for name in known if known[name] is None]

    def _in_use(self) -> Optional[str]:
        holder = self.journal.holder()
        if holder is not None:
            return "run {} holds this host".format(holder["run_id"])
        if self.journal.pending() is not None:
            return "the journal ends in a snapshot: this host may be one that was put back"
        return None

    def _now_s(self) -> int:
        """Return the earlier of both clocks: one that is wrong makes nothing old."""
        now = seconds_of(self.host.clock.stamp())
        return min(now, seconds_of(self.wanted.controller_time)) if self.wanted.controller_time else now

    def _measured(self, name: str, paths: List[str]) -> List[Dict[str, Any]]:
        """Return what is removed of a transaction: all of it, or nothing where a part cannot be read."""
        going: List[Dict[str, Any]] = []
        for path in paths:
            try:
                going.append({"path": path, "transaction": name, "freed_bytes": _size_bytes(path)})
            except (OSError, ValueError) as error:
                self._keep(path, str(error))
                return []
        return going

    def _remove(self, going: List[Dict[str, Any]]) -> None:
        # A full disk is what this may be about: then the second record has to do.
        with contextlib.suppress(OSError):
            self._tell("removing", [item["path"] for item in going])
        for item in going:
            left = self._remove_one(item["path"])
            if left is None:
                self.removed.append(item)
                continue
            self._keep(item["path"], left)
            with contextlib.suppress(OSError, ValueError):
                freed = item["freed_bytes"] - _size_bytes(item["path"])
                if freed > 0:
                    self.removed.append(dict(item, freed_bytes=freed))
        try:
            self._tell("removed", self.removed)
        except OSError as error:
            self._keep(self.journal.path, "what was removed could not be written: {}".format(error))

    def _remove_one(self, path: str) -> Optional[str]:
        """Remove a folder or file; return why it is still there, or None."""
        try:
            if self._in_use() is not None:
                return "a run has taken this host meanwhile"
            if os.path.isdir(path):
                shutil.rmtree(path)
            else:
                os.unlink(path)
        except (OSError, PatchingError) as error:
            return "it could not be removed: {}".format(error)
        return None

    def _tell(self, what: str, value: List[Any]) -> None:
        # Under the stage's step: such a record does not hide how the journal ends.
        self.journal.append(self.wanted.run_id, STAGE_STEP, "note", retention={what: value, "days": self.wanted.days})


#: Nobody has journalled a transaction of this name.
UNKNOWN = "the journal names no transaction of this name"


def why_kept(records: Records, name: str, now_s: int, wanted: Retention) -> Optional[str]:
    """Return why the transaction of this short name has to stay, or None.

    Args:
        records: the host's journal, in which no run holds the host.
    """
    mine = list(_about(records, name))
    runs = {record["run_id"] for record in mine}
    if not mine:
        return UNKNOWN
    if wanted.run_id in runs:
        return "this run has staged it"
    if now_s - max(_moments(mine)) < wanted.days * _DAY_S:
        return "it was used, or can be begun, within {} days".format(wanted.days)
    if runs & _unfinished(records):
        return "its run is not finished"
    if runs & _newest(records):
        return "no newer run was finished here"
    return None


def _about(records: Records, name: str) -> Iterator[Dict[str, Any]]:
    for record in records:
        digest = record["detail"].get("transaction")
        if digest is not None and transaction.short_name({"digest": digest}) == name:
            yield record


def _moments(mine: Records) -> Iterator[int]:
    """Yield when a transaction was in use: by the host's clock, by the runs' ids, and by the windows it is for."""
    for record in mine:
        yield seconds_of(record["time"])
        if record["detail"].get("window_end"):
            yield seconds_of(record["detail"]["window_end"])
        begun = re.match(r"(\d{8}T\d{6}Z)-", record["run_id"])
        if begun:
            yield calendar.timegm(time.strptime(begun.group(1), "%Y%m%dT%H%M%SZ"))


def _unfinished(records: Records) -> Set[str]:
    """Return the runs that began to change packages and did not come to an end, forward or back."""
    last = {record["detail"].get("transaction"): record for record in records if record["step"] in _WORK}
    return {record["run_id"] for record in last.values() if record["event"] != "done"}


def _newest(records: Records) -> Set[str]:
    """Return the newest run that was finished here, and the newest whose transaction was not taken back since."""
    standing: List[str] = []
    finished = []
    back: Set[Any] = set()
    for record in reversed(records):
        if (record["step"], record["event"]) == ("rollback", "done"):
            back.add(record["detail"].get("transaction"))
        elif (record["step"], record["event"]) == ("install", "done"):
            finished.append(record["run_id"])
            if record["detail"].get("transaction") not in back:
                standing.append(record["run_id"])
    return set(finished[:1] + standing[:1])


def _size_bytes(path: str) -> int:
    """Return what removing ``path`` gives back.

    Raises:
        OSError: a part of it cannot be read.
        ValueError: it is a link, or another file system lies in it.
    """
    top = os.lstat(path)
    if stat.S_ISLNK(top.st_mode):
        raise ValueError("it is a link to another place")
    total = 0
    for found in [top] + list(_below(path) if stat.S_ISDIR(top.st_mode) else []):
        if found.st_dev != top.st_dev or (found is top and os.path.ismount(path)):
            raise ValueError("another file system lies in it")
        if found.st_nlink == 1 or stat.S_ISDIR(found.st_mode):
            total += found.st_blocks * 512
    return total


def _below(path: str) -> Iterator[os.stat_result]:
    for name in os.listdir(path):
        each = os.path.join(path, name)
        found = os.lstat(each)
        yield found
        if stat.S_ISDIR(found.st_mode):
            yield from _below(each)
