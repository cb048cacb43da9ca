# SPDX-License-Identifier: GPL-3.0-or-later
"""What installing exactly a transaction is under every package manager; each adds its own commands."""

import contextlib
import errno
import json
import os
from abc import ABC, abstractmethod
from typing import Any, Callable, ContextManager, Dict, List, NamedTuple, Optional, Tuple, Type, TypeVar

from ansible_collections.hospital.patching.plugins.module_utils import (
    alternatives,
    etc_archive,
    package_lock,
    transaction,
    transient_scope,
)
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.hold_check import (
    refuse_other_holder,
    refuse_other_pending,
)
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.journal import Journal
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import transaction_record
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import InstallRequest
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.package_folder import PackageFolder
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.transaction_record import Marks

Entry = Dict[str, Any]
#: What is installed of one package; ``status`` in the package manager's words. ``broken``: installing it again
#: puts it right.
State = NamedTuple("State", [("version", str), ("status", str), ("broken", bool)])
#: Finds the package that an entry is about, or None where none is installed.
Find = Callable[[Entry], Optional[State]]

#: The status of a package with which nothing is wrong.
WHOLE = "installed"
#: Runs a command with its output in the file $0: a daemon that keeps a pipe open cannot hold us up.
_LOGGED = 'exec "$@" >>"$0" 2>&1'


def split(entries: List[Entry], find: Find) -> Tuple[List[Entry], List[Entry]]:
    """Return the entries still to do, and those that are at their target.

    Raises:
        PatchingError: a package is neither at its "from" nor at its "to".
    """
    todo, done = [], []
    for entry in entries:
        state = find(entry)
        version = state.version if state is not None else None
        broken = state is not None and state.broken
        if version == entry["to"] and not broken:
            done.append(entry)
        elif version == entry["from"] or (broken and _is_of(entry, version)):
            todo.append(entry)
        else:
            raise PatchingError(
                "{}:{}".format(entry["name"], entry["arch"]),
                "{} is installed".format(version or "nothing"),
                "{} (or {}, the target)".format(entry["from"] or "nothing", entry["to"] or "nothing"),
                "find out what else changed this host, then assess, plan and stage it again; nothing was changed",
            )
    return todo, done


def _is_of(entry: Entry, version: Optional[str]) -> bool:
    """Return whether a half-done package may be this entry's; one that dpkg knew before has any version."""
    return version == entry["to"] or entry["from"] is None or entry["to"] is None


def version_problems(entries: List[Entry], find: Find) -> List[Dict[str, str]]:
    """Return what is not at its target, as {subject, seen, expected}."""
    problems = []
    for entry in entries:
        state = find(entry)
        version = state.version if state is not None else None
        subject = "{}:{}".format(entry["name"], entry["arch"])
        if version != entry["to"]:
            problems.append(
                {
                    "subject": subject,
                    "seen": "{} is installed".format(version or "nothing"),
                    "expected": entry["to"] or "its removal",
                }
            )
        elif state is not None and state.status != WHOLE:
            problems.append({"subject": subject, "seen": "it is {}".format(state.status), "expected": WHOLE})
    return problems


def reversed_entry(entry: Entry) -> Entry:
    """Return the entry that undoes ``entry``."""
    return dict(entry, **{"from": entry["to"], "to": entry["from"]})


def enter_work(host: Host, request: InstallRequest) -> None:
    """Wait for an earlier call that is still at work, and outlive the session from here on.

    Called before anything is read: a call that lost its connection may still be
    installing, and what is read meanwhile is stale.
    """
    transient_scope.enter(host.runner, host.clock, request.timeout_s, host.root)


def stage_dir(host: Host, wanted: Dict[str, Any]) -> str:
    """Return the folder of the transaction's stage."""
    return os.path.join(host.state_dir, "stage", transaction.short_name(wanted))


def preserved_dir(host: Host, wanted: Dict[str, Any]) -> str:
    """Return the folder of the versions that the transaction replaces."""
    return os.path.join(host.state_dir, "preserved", transaction.short_name(wanted))


def require_stage(directory: str, wanted: Dict[str, Any]) -> None:
    """Refuse a transaction with entries whose stage is not finished.

    Raises:
        PatchingError: naming the folder.
    """
    if wanted["entries"] and not _staged(directory, wanted):
        raise PatchingError(
            directory,
            "no finished stage of this transaction",
            "the stage that update_stage wrote for {}".format(wanted["digest"]),
            "stage the host again; nothing was installed",
        )


def _staged(directory: str, wanted: Dict[str, Any]) -> bool:
    try:
        with open(os.path.join(directory, "stage.json"), encoding="utf-8") as handle:
            staged: Optional[Dict[str, Any]] = json.load(handle)["transaction"]
    except (OSError, ValueError, KeyError):
        return False
    return staged == wanted


Work = TypeVar("Work", bound="TransactionWork")


class TransactionWork(ABC):
    """One installation from ``folder``, whose files are checked; ``record_dir`` keeps what was before, and the log."""

    #: The tool that changes the packages, under whose name RV(seconds_ms) gives its time.
    TOOL = ""
    #: The beginnings of the lines in which the tool says what went wrong.
    ERRORS: Tuple[str, ...] = ("error",)
    #: The environment of every command that changes packages.
    ENVIRONMENT: Dict[str, str] = {}
    #: The journal's step: ``install``, and of the way back, which alone may install older versions, ``rollback``.
    step = "install"

    def __init__(self, host: Host, request: InstallRequest, folder: PackageFolder, record_dir: str) -> None:
        self.host = host
        self.request = request
        self.folder = folder
        self.record_dir = record_dir
        #: Where the record of the installation lies that this way back undoes; None for an installation.
        self.undoes: Optional[str] = None
        self.journal = Journal(host.state_dir, host.clock)
        self.digest = request.transaction["digest"]
        self.repaired = False
        #: Whether no earlier attempt is gone on with.
        self.anew = False
        #: Whether all packages of the transaction are brought to where they belong, not a part of them.
        self.whole = True
        self.moments = [host.clock.monotonic()]

    @classmethod
    def install(cls, host: Host, request: InstallRequest) -> Dict[str, Any]:
        """Install the transaction from its stage.

        Raises:
            PatchingError: it was changed, its stage is not finished, or the installation failed.
        """
        transaction.validate(request.transaction)
        directory = stage_dir(host, request.transaction)
        require_stage(directory, request.transaction)
        return cls(host, request, cls.folder_at(host, directory), directory).run(request.transaction["entries"])

    @classmethod
    def of_preserved(cls: "Type[Work]", host: Host, request: InstallRequest) -> "Work":
        """Return the work on the versions that the transaction replaces; :meth:`as_way_back` makes it the way back.

        Raises:
            PatchingError: the transaction was changed.
        """
        transaction.validate(request.transaction)
        directory = preserved_dir(host, request.transaction)
        return cls(host, request, cls.folder_at(host, directory), directory)

    def as_way_back(self) -> "TransactionWork":
        """Make this the way back of its transaction, which begins now."""
        self.moments = [self.host.clock.monotonic()]
        self.step = "rollback"
        self.undoes = stage_dir(self.host, self.request.transaction)
        return self

    # --- what each package manager does in its own way ---

    @staticmethod
    @abstractmethod
    def folder_at(host: Host, directory: str) -> PackageFolder:
        """Return the folder of package files at ``directory``."""

    @abstractmethod
    def look(self) -> Any:
        """Return what is installed, in a form of this package manager's own."""

    @abstractmethod
    def find(self, installed: Any) -> Find:
        """Return the function that finds an entry's package in what :meth:`look` returned."""

    @abstractmethod
    def marks(self, installed: Any) -> Marks:
        """Return the marks and holds of now."""

    @abstractmethod
    def interrupted(self, installed: Any) -> List[str]:
        """Return what an earlier attempt left half done; empty when the package database is whole."""

    @abstractmethod
    def holders(self, root: str) -> List[Tuple[str, int]]:
        """Return (lock, process) for each lock of the package database that is held."""

    @abstractmethod
    def quiet(self) -> ContextManager[Any]:
        """Return the context in which package scripts neither stop nor start services."""

    @abstractmethod
    def quiet_owner(self) -> Optional[str]:
        """Return the result's ``policy_rc_d``."""

    @abstractmethod
    def repair(self) -> None:
        """Finish what :meth:`interrupted` found, as far as it goes without the transaction's packages."""

    @abstractmethod
    def clear(self) -> None:
        """Remove what an earlier attempt of :meth:`change` left in the record."""

    @abstractmethod
    def change(self, todo: List[Entry]) -> None:
        """Bring each entry to its target by one run of the tool; calls :meth:`mark_time` just before it.

        Raises:
            PatchingError: it would do something else (nothing was changed then), or it failed.
        """

    def refuse_locked(self, todo: List[Entry], installed: Any) -> None:  # noqa: B027 - others' tools do
        """Refuse an installation of what somebody has locked since it was staged, where the tool itself does not."""

    def settled(self, entries: List[Entry]) -> None:  # noqa: B027 - most note nothing
        """Forget what was noted of packages that are all at their targets now."""

    @abstractmethod
    def set_marks(self, automatic: List[str], manual: List[str]) -> None:
        """Mark these ``name:arch`` as automatically or manually installed."""

    def differences(self) -> List[str]:
        """Return in what the tool's own list of actions differed from the transaction, so that it was stopped."""
        return []

    # --- what is the same for all ---

    def wait_until_free(self) -> None:
        """Return when nobody holds the package database; raises PatchingError after the request's time."""
        package_lock.wait_until_free(self.host.root, self.request.lock_timeout_s, self.host.clock, self.holders)

    def run(self, entries: List[Entry]) -> Dict[str, Any]:
        """Bring every entry from its ``from`` to its ``to``; return the shape of ``update_install``."""
        self.whole = len(entries) == len(self.request.transaction["entries"])
        refuse_other_holder(self.journal, self.request.run_id)
        refuse_other_pending(self.journal, self.request.run_id)
        held = self._is_held()
        if not self.request.check:
            enter_work(self.host, self.request)
        installed = self.look()
        interrupted = self.interrupted(installed)
        # A half-done transaction is repaired first; only then can it be told what is left to do.
        todo, done = (entries, []) if interrupted else split(entries, self.find(installed))
        unfinished = self._begun_and_not_done()
        if not (todo or unfinished):
            return self._result([], done, changed=False)
        if self.undoes is None:
            self.refuse_locked(todo, installed)
        if not interrupted:
            self.folder.check(todo)
        # Asked in the dry run too, which comes before a host is held and drained.
        self.wait_until_free()
        if self.request.check:
            return self._result(todo, done, changed=bool(todo))
        if held and not self._is_held():
            raise PatchingError(
                self.journal.path,
                "released while the package database was waited for",
                "a hold of run {}".format(self.request.run_id),
                "nothing was installed; the run that was waited for has gone on without this step",
            )
        self.journal.append(self.request.run_id, self.step, "begin", transaction=self.digest)
        try:
            if not unfinished:
                self._begin_anew(interrupted)
            result = self._work(entries, installed, interrupted)
        except (PatchingError, OSError) as error:
            failure = self._told(error)
            with contextlib.suppress(OSError):  # a full disk is what failed, perhaps
                self.journal.append(
                    self.request.run_id, self.step, "failed", transaction=self.digest, reason=str(failure)
                )
            raise failure
        self.journal.append(
            self.request.run_id,
            self.step,
            "done",
            transaction=self.digest,
            installed=result["installed"],
            marks_equal=result["marks_equal"],
            holds_equal=result["holds_equal"],
            alternatives_equal=result["alternatives_equal"],
        )
        return result

    def _told(self, error: Exception) -> PatchingError:
        """Turn an error of the disk into a message that the operator can act on."""
        if isinstance(error, PatchingError):
            return error
        return PatchingError(
            self.record_dir,
            str(error),
            "a disk that can be read and written",
            "correct it, then run again to repair and go on, or roll this host back",
        )

    def _is_held(self) -> bool:
        holder = self.journal.holder()
        return holder is not None and holder["run_id"] == self.request.run_id

    def _begun_and_not_done(self) -> bool:
        """Return whether an earlier attempt was cut off after it began, and not undone since."""
        opposite = "rollback" if self.step == "install" else "install"
        last = None
        for record in self.journal.read():
            if record["detail"].get("transaction") != self.digest:
                continue
            if record["step"] == self.step or (record["step"] == opposite and record["event"] == "done"):
                last = (record["step"], record["event"])
        return last in ((self.step, "begin"), (self.step, "failed"))

    def _begin_anew(self, interrupted: List[str]) -> None:
        """Forget what an earlier attempt that came to its end has recorded of the host before it."""
        self.anew = True
        transaction_record.forget(self.record_dir)
        if not interrupted:  # else a repair may be all that there is to do, and the archive is still that of before
            with contextlib.suppress(OSError):
                os.unlink(self.etc_before(self.step))

    def _work(self, entries: List[Entry], installed: Any, interrupted: List[str]) -> Dict[str, Any]:
        before = self._before(installed)
        self.clear()
        archive = None
        with self.quiet():
            if interrupted:
                self.repair()
                installed = self.look()
            todo, done = split(entries, self.find(installed))
            if todo:
                self.folder.check(todo)
                archive = self._archive_etc()
                self.change(todo)
            else:
                self.mark_time()
        self.mark_time()
        installed = self.look()
        self.repaired = bool(interrupted)
        self._compare_versions(entries, installed)
        self.settled(entries)
        marks = self._restore_marks(before, entries, installed)
        lost = transaction_record.holds_lost(before, self.marks(installed))
        others = self._restore_alternatives(before, entries)
        transaction_record.write(
            os.path.join(self.record_dir, "after.json"),
            {
                "ended": int(self.host.clock.now().timestamp()),
                "alternatives": alternatives.selections(self.host.root),
            },
        )
        self.mark_time()
        result = self._result(todo, done, changed=True)
        result.update(
            marks_equal=not marks,
            holds_equal=not lost,
            alternatives_equal=not others,
            conffile_proposals=sorted(set(etc_archive.proposals(self.host.root)) - set(before["conffile_proposals"])),
            etc_archive=archive,
        )
        return result

    def _before(self, installed: Any) -> Dict[str, Any]:
        marks = self.marks(installed)
        if self.undoes is None:
            return transaction_record.take(self.host, marks, self.record_dir)
        return transaction_record.take_back(
            self.host, marks, (self.record_dir, self.undoes), self.request.transaction["entries"]
        )

    def _result(self, todo: List[Entry], done: List[Entry], changed: bool) -> Dict[str, Any]:
        moments = self.moments + [self.moments[-1]] * (4 - len(self.moments))
        return {
            "changed": changed,
            "nothing_to_do": not todo and not changed,
            "transaction": self.digest,
            "installed": [
                {"name": entry["name"], "arch": entry["arch"], "from": entry["from"], "to": entry["to"]}
                for entry in todo
            ],
            "already": [{"name": entry["name"], "arch": entry["arch"], "version": entry["to"]} for entry in done],
            "marks_equal": True,
            "holds_equal": True,
            "alternatives_equal": True,
            "conffile_proposals": [],
            "etc_archive": None,
            "policy_rc_d": self.quiet_owner(),
            "repaired": self.repaired,
            "seconds_ms": {
                name: int((moments[number + 1] - moments[number]) * 1000)
                for number, name in enumerate(("prepare", self.TOOL, "after"))
            },
        }

    def mark_time(self) -> None:
        """Note that one of ``prepare``, the tool and ``after`` has ended."""
        self.moments.append(self.host.clock.monotonic())

    def etc_before(self, step: str) -> str:
        """Return where the archive of /etc from before ``install`` or ``rollback`` lies."""
        name = "etc-before-{}-{}.tar".format(step, transaction.short_name(self.request.transaction))
        return os.path.join(self.host.state_dir, "etc", name)

    def _archive_etc(self) -> Optional[str]:
        path = self.etc_before(self.step)
        # A resumed attempt keeps the archive of the first, which saw /etc untouched.
        if os.path.exists(path) and not self.anew:
            return path
        try:
            return etc_archive.archive(self.host.root, path)
        except OSError as error:
            if self.undoes is not None:
                return None  # no disk is too full for the way back: the installation's archive is there
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                expected, cure = "room for a copy of /etc", "make room there"
            else:
                expected, cure = "a copy of /etc", "correct it"
            raise PatchingError(path, str(error), expected, cure + ", then run again; nothing was installed")

    def logged(self, command: List[str], name: str) -> None:
        """Run one command with its output in the step's log.

        Raises:
            PatchingError: with the differences found, or the end of the log.
        """
        log = os.path.join(self.record_dir, self.step + ".log")
        os.close(os.open(log, os.O_WRONLY | os.O_CREAT, 0o600))
        start = os.path.getsize(log)
        try:
            result = self.host.runner.run(
                ["sh", "-c", _LOGGED, log] + command,
                timeout_s=self.request.timeout_s,
                env=self.ENVIRONMENT,
                check=False,
            )
        except PatchingError:
            raise PatchingError(
                name,
                "no end after {} s; it was stopped. It said last: {}".format(
                    self.request.timeout_s, self._tail(log, start)
                ),
                "an end within that time",
                "roll this host back, then find out which package script waits",
            )
        if result.rc == 0:
            return
        differences = self.differences()
        if differences:
            raise self.not_exactly(name, differences)
        raise PatchingError(
            name,
            "{}: {}".format(
                "exit {}".format(result.rc) if result.rc > 0 else "killed by signal {}".format(-result.rc),
                self._tail(log, start),
            ),
            "exit 0",
            "read {} on the host; run again to repair and go on, or roll this host back".format(log),
        )

    def not_exactly(self, name: str, differences: List[str]) -> PatchingError:
        """Return the error of a tool that was about to do something else, and was stopped."""
        return PatchingError(
            name,
            "stopped before anything was installed: {}".format("; ".join(differences[:5])),
            "exactly the transaction {}".format(self.digest),
            "stage the host again; if it stays so, look for {} configuration that adds or removes packages".format(
                self.request.transaction["manager"]
            ),
        )

    def _tail(self, path: str, start: int, size: int = 1200) -> str:
        """Return the end of what was written to a log since ``start``, in one line."""
        with open(path, "rb") as handle:
            handle.seek(max(start, os.path.getsize(path) - size))
            text = handle.read().decode("utf-8", "replace")
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        first = next((number for number, line in enumerate(lines) if line.startswith(self.ERRORS)), None)
        # What a package's script said stands just before the first error.
        told = lines[-6:] if first is None else lines[max(0, first - 2) :][:6]
        return " | ".join(told)[-700:] or "nothing was printed"

    def _compare_versions(self, entries: List[Entry], installed: Any) -> None:
        """Refuse to call it done unless every version is the transaction's."""
        for problem in version_problems(entries, self.find(installed)):
            raise PatchingError(
                problem["subject"],
                problem["seen"],
                problem["expected"],
                "read the log in {}; run again, or roll this host back".format(self.record_dir),
            )
        found = self.differences()
        if found:
            raise PatchingError(self.TOOL, "; ".join(found[:5]), "exactly the transaction", "roll this host back")

    def _restore_marks(self, before: Dict[str, Any], entries: List[Entry], installed: Any) -> List[str]:
        """Set the automatic and manual marks to what they were; return what still differs."""
        marks = self.marks(installed)
        expected = transaction_record.expected_automatic(before, entries, marks)
        found = transaction_record.automatic_now(marks)
        if expected != found:
            self.set_marks(sorted(expected - found), sorted(found - expected))
        return sorted(expected ^ transaction_record.automatic_now(self.marks(installed)))

    def _restore_alternatives(self, before: Dict[str, Any], entries: List[Entry]) -> List[str]:
        """Put back the alternatives that package scripts have changed; return what still differs."""
        root, chosen = self.host.root, before.get("alternatives", {})
        lost = transaction_record.alternatives_lost(before, entries, root)
        # What an installation had to set by hand is left to the system again on the way back.
        names = sorted(chosen) if self.undoes else lost
        now = alternatives.selections(root) if names else {}
        names = [name for name in names if now.get(name) != chosen[name]]
        if not names:
            return lost
        alternatives.restore(self.host.runner, chosen, names, root)
        return transaction_record.alternatives_lost(before, entries, root)
