# SPDX-License-Identifier: GPL-3.0-or-later
"""Install exactly the transaction: one apt run that sees the stage and nothing else."""

import contextlib
import json
import os
from typing import Any, Dict, List, Optional, Tuple

from ansible_collections.hospital.patching.plugins.module_utils import (
    etc_archive,
    package_lock,
    transaction,
    transient_scope,
)
from ansible_collections.hospital.patching.plugins.module_utils.dpkg_database import DpkgDatabase, Package
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.hold_check import (
    refuse_other_holder,
    refuse_other_pending,
)
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.journal import Journal
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import apt_guard_hook, apt_record
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.apt_local_repository import (
    LocalRepository,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.apt_metadata import words
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.apt_resolve import (
    python,
    source_of,
    target,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.apt_stage import installed_package
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import InstallRequest
from ansible_collections.hospital.patching.plugins.module_utils.policy_rc_d import PolicyRcD

Installed = Dict[Tuple[str, str], Package]

#: Nothing may ask, restart or page while dpkg runs.
ENVIRONMENT = {
    "DEBIAN_FRONTEND": "noninteractive",
    "DEBCONF_NONINTERACTIVE_SEEN": "true",
    "DEBCONF_NOWARNINGS": "yes",
    "APT_LISTCHANGES_FRONTEND": "none",
    "APT_LISTBUGS_FRONTEND": "none",
    "NEEDRESTART_SUSPEND": "1",
    "NEEDRESTART_MODE": "l",
    "UCF_FORCE_CONFFOLD": "1",
    # A become method may hand over a path without sbin, and dpkg refuses to run then.
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
}
#: States from which a package is put right by installing it again.
BROKEN = ("half-installed", "unpacked", "half-configured")
#: Runs a command with its output in the file $0: a daemon that keeps a pipe open cannot hold us up.
_LOGGED = 'exec "$@" >>"$0" 2>&1'
#: Kept configuration wins; as separate words, because dpkg takes one option a word.
CONFFILES = ["--force-confdef", "--force-confold"]


def split(entries: List[Dict[str, Any]], installed: Installed) -> Tuple[List[Dict[str, Any]], List[Dict[str, Any]]]:
    """Return the entries still to do, and those that are at their target.

    Raises:
        PatchingError: a package is neither at its "from" nor at its "to".
    """
    todo, done = [], []
    for entry in entries:
        package = installed_package(installed, entry["name"], entry["arch"])
        version = package.version if package is not None else None
        broken = package is not None and package.status in BROKEN
        if version == entry["to"] and not broken:
            done.append(entry)
        elif version == entry["from"] or broken:
            todo.append(entry)
        else:
            raise PatchingError(
                "{}:{}".format(entry["name"], entry["arch"]),
                "{} is installed".format(version or "nothing"),
                "{} (or {}, the target)".format(entry["from"] or "nothing", entry["to"] or "nothing"),
                "find out what else changed this host, then assess, plan and stage it again; nothing was changed",
            )
    return todo, done


def enter_work(host: Host, request: InstallRequest) -> None:
    """Wait for an earlier call that is still at work, and outlive the session from here on.

    Called before anything is read: a call that lost its connection may still be
    installing, and what is read meanwhile is stale.
    """
    transient_scope.enter(host.runner, host.clock, request.timeout_s, host.root)


class AptTransaction:
    """One installation on an apt host, from a local repository whose files were checked."""

    #: The journal's step.
    step = "install"
    #: Only the way back may install older versions.
    allow_downgrades = False

    def __init__(self, host: Host, request: InstallRequest, repository: LocalRepository, record_dir: str) -> None:
        self.host = host
        self.request = request
        self.repository = repository
        self.record_dir = record_dir
        self.journal = Journal(host.state_dir, host.clock)
        self.database = DpkgDatabase(host.root)
        self.policy = PolicyRcD(host.root)
        self.digest = request.transaction["digest"]
        self.repaired = False
        self.moments = [host.clock.monotonic()]

    def run(self, entries: List[Dict[str, Any]]) -> Dict[str, Any]:
        """Bring every entry from its ``from`` to its ``to``; return the shape of ``update_install``."""
        refuse_other_holder(self.journal, self.request.run_id)
        refuse_other_pending(self.journal, self.request.run_id)
        held = self._is_held()
        if not self.request.check:
            enter_work(self.host, self.request)
        installed = self.database.present()
        interrupted = self.database.interrupted(installed)
        # A half-done transaction is repaired first; only then can it be told what is left to do.
        todo, done = (entries, []) if interrupted else split(entries, installed)
        unfinished = self._begun_and_not_done()
        if not (todo or unfinished):
            return self._result([], done, changed=False)
        if not interrupted:
            self.repository.check(todo)
        # Asked in the dry run too, which comes before a host is held and drained.
        package_lock.wait_until_free(self.host.root, self.request.lock_timeout_s, self.host.clock)
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
                apt_record.forget(self.record_dir)
            result = self._work(entries, installed, interrupted)
        except PatchingError as error:
            self.journal.append(self.request.run_id, self.step, "failed", transaction=self.digest, reason=str(error))
            raise
        self.journal.append(
            self.request.run_id,
            self.step,
            "done",
            transaction=self.digest,
            installed=result["installed"],
            marks_equal=result["marks_equal"],
            holds_equal=result["holds_equal"],
        )
        return result

    def _is_held(self) -> bool:
        holder = self.journal.holder()
        return holder is not None and holder["run_id"] == self.request.run_id

    def _begun_and_not_done(self) -> bool:
        """Return whether an earlier attempt was cut off after it began."""
        last = None
        for record in self.journal.read():
            if record["step"] == self.step and record["detail"].get("transaction") == self.digest:
                last = record["event"]
        return last in ("begin", "failed")

    def _work(self, entries: List[Dict[str, Any]], installed: Installed, interrupted: List[str]) -> Dict[str, Any]:
        before = self._before(installed)
        with contextlib.suppress(OSError):
            os.unlink(self._guard_answer())
        archive = None
        with self.policy:
            if interrupted:
                self._repair()
                installed = self.database.present()
            todo, done = split(entries, installed)
            if todo:
                self.repository.check(todo)
                archive = self._archive_etc()
                self._run_apt(todo)
            else:
                self._mark_time()
        self._mark_time()
        installed = self.database.present()
        self.repaired = bool(interrupted)
        self._compare_versions(entries, installed)
        marks = self._restore_marks(before, entries, installed)
        lost = apt_record.holds_lost(before, installed)
        apt_record.write(os.path.join(self.record_dir, "after.json"), {"ended": int(self.host.clock.now().timestamp())})
        self.moments.append(self.host.clock.monotonic())
        result = self._result(todo, done, changed=True)
        result.update(
            marks_equal=not marks,
            holds_equal=not lost,
            conffile_proposals=sorted(set(etc_archive.proposals(self.host.root)) - set(before["conffile_proposals"])),
            etc_archive=archive,
        )
        return result

    def _before(self, installed: Installed) -> Dict[str, Any]:
        return apt_record.take(self.host, self.database, installed, self.record_dir)

    def _result(self, todo: List[Dict[str, Any]], done: List[Dict[str, Any]], changed: bool) -> Dict[str, Any]:
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
            "conffile_proposals": [],
            "etc_archive": None,
            "policy_rc_d": self.policy.owner,
            "repaired": self.repaired,
            "seconds_ms": {
                name: int((moments[number + 1] - moments[number]) * 1000)
                for number, name in enumerate(("prepare", "dpkg", "after"))
            },
        }

    def _mark_time(self) -> None:
        self.moments.append(self.host.clock.monotonic())

    def _archive_etc(self) -> str:
        name = "etc-before-{}-{}.tar".format(self.step, transaction.short_name(self.request.transaction))
        path = os.path.join(self.host.state_dir, "etc", name)
        # A resumed attempt keeps the archive of the first, which saw /etc untouched.
        return path if os.path.exists(path) else etc_archive.archive(self.host.root, path)

    def _repair(self) -> None:
        """Finish what an interrupted dpkg left half done, as far as dpkg can by itself.

        It cannot where a package waits for another that was not unpacked yet, or
        where a package's script fails: then the installation that follows
        completes it or says why not.
        """
        try:
            self._logged(["dpkg"] + CONFFILES + ["--configure", "-a"], "dpkg --configure -a")
        except PatchingError:
            return

    def _run_apt(self, todo: List[Dict[str, Any]]) -> None:
        guard = self._write_guard(todo)
        os.makedirs(os.path.join(self.repository.apt, "cache", "archives", "partial"), exist_ok=True)
        flags = ["--allow-downgrades"] if self.allow_downgrades else []
        self._mark_time()
        self._logged(
            ["apt-get", "install", "-y", "-q", "--no-install-recommends"]
            + flags
            + self.repository.options()
            + words(
                ["Dpkg::Options::=" + option for option in CONFFILES]
                + [
                    "Dpkg::Use-Pty=0",
                    "DPkg::Lock::Timeout={}".format(self.request.lock_timeout_s),
                    "APT::Get::AutomaticRemove=false",
                    "APT::ExtractTemplates::TempDir=" + self.repository.apt,
                    "DPkg::Tools::Options::exec::Version=3",
                    "DPkg::Pre-Install-Pkgs::=exec " + guard,
                ]
            )
            + [target(entry["name"], entry["arch"], entry["to"]) for entry in todo],
            "apt-get install",
        )

    def _write_guard(self, todo: List[Dict[str, Any]]) -> str:
        """Write the hook that compares apt's actions with the transaction; return its command."""
        script = os.path.join(self.record_dir, "guard.py")
        expected = os.path.join(self.record_dir, "guard-expected.json")
        with open(script, "w", encoding="utf-8") as handle:
            handle.write(source_of(apt_guard_hook))
        apt_record.write(expected, {"{name}:{arch}".format(**entry): entry["to"] for entry in todo})
        return "{} -I -S {} {} {}".format(python(), script, expected, self._guard_answer())

    def _guard_answer(self) -> str:
        return os.path.join(self.record_dir, "guard-differences.json")

    def _logged(self, command: List[str], name: str) -> None:
        """Run one command with its output in the step's log.

        Raises:
            PatchingError: with the guard's finding, or the end of the log.
        """
        log = os.path.join(self.record_dir, self.step + ".log")
        os.close(os.open(log, os.O_WRONLY | os.O_CREAT, 0o600))
        start = os.path.getsize(log)
        try:
            result = self.host.runner.run(
                ["sh", "-c", _LOGGED, log] + command, timeout_s=self.request.timeout_s, env=ENVIRONMENT, check=False
            )
        except PatchingError:
            raise PatchingError(
                name,
                "no end after {} s; it was stopped. It said last: {}".format(self.request.timeout_s, _tail(log, start)),
                "an end within that time",
                "roll this host back, then find out which package script waits",
            )
        if result.rc == 0:
            return
        differences = self._differences()
        if differences:
            raise PatchingError(
                name,
                "stopped before anything was installed: {}".format("; ".join(differences[:5])),
                "exactly the transaction {}".format(self.digest),
                "stage the host again; if it stays so, look for apt configuration that adds or removes packages",
            )
        raise PatchingError(
            name,
            "exit {}: {}".format(result.rc, _tail(log, start)),
            "exit 0",
            "read {} on the host; run again to repair and go on, or roll this host back".format(log),
        )

    def _differences(self) -> List[str]:
        try:
            with open(self._guard_answer(), encoding="utf-8") as handle:
                return list(json.load(handle))
        except (OSError, ValueError):
            return []

    def _compare_versions(self, entries: List[Dict[str, Any]], installed: Installed) -> None:
        """Refuse to call it done unless every version is the transaction's."""
        for problem in version_problems(entries, installed):
            raise PatchingError(
                problem["subject"],
                problem["seen"],
                problem["expected"],
                "read the log in {}; run again, or roll this host back".format(self.record_dir),
            )
        guard = self._differences()
        if guard:
            raise PatchingError("apt", "; ".join(guard[:5]), "exactly the transaction", "roll this host back")

    def _restore_marks(self, before: Dict[str, Any], entries: List[Dict[str, Any]], installed: Installed) -> List[str]:
        """Set the auto/manual marks to what they were; return what still differs."""
        expected = apt_record.expected_automatic(before, entries, installed)
        found = apt_record.automatic_now(self.database, installed)
        for mark, names in (("auto", expected - found), ("manual", found - expected)):
            if names:
                self._logged(
                    ["apt-mark"] + self.repository.options() + [mark] + sorted(names), "apt-mark {}".format(mark)
                )
        return sorted(expected ^ apt_record.automatic_now(self.database, installed))


def version_problems(entries: List[Dict[str, Any]], installed: Installed) -> List[Dict[str, str]]:
    """Return what is not at its target, as {subject, seen, expected}."""
    problems = []
    for entry in entries:
        package = installed_package(installed, entry["name"], entry["arch"])
        version = package.version if package is not None else None
        subject = "{}:{}".format(entry["name"], entry["arch"])
        if version != entry["to"]:
            problems.append(
                {
                    "subject": subject,
                    "seen": "{} is installed".format(version or "nothing"),
                    "expected": entry["to"] or "its removal",
                }
            )
        elif package is not None and package.status != "installed":
            problems.append({"subject": subject, "seen": "it is {}".format(package.status), "expected": "installed"})
    return problems


def _tail(path: str, start: int, size: int = 1200) -> str:
    """Return the end of what was written to a log since ``start``, in one line."""
    with open(path, "rb") as handle:
        handle.seek(max(start, os.path.getsize(path) - size))
        text = handle.read().decode("utf-8", "replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    first = next((number for number, line in enumerate(lines) if line.startswith(("E:", "dpkg: error", "error"))), None)
    # What a package's script said stands just before the first error.
    told = lines[-6:] if first is None else lines[max(0, first - 2) :][:6]
    return " | ".join(told)[-700:] or "nothing was printed"


def install(host: Host, request: InstallRequest) -> Dict[str, Any]:
    """Install the transaction from its stage."""
    transaction.validate(request.transaction)
    directory = os.path.join(host.state_dir, "stage", transaction.short_name(request.transaction))
    repository = LocalRepository(host.runner, directory)
    if request.transaction["entries"] and not _staged(directory, request.transaction):
        raise PatchingError(
            directory,
            "no finished stage of this transaction",
            "the stage that update_stage wrote for {}".format(request.transaction["digest"]),
            "stage the host again; nothing was installed",
        )
    return AptTransaction(host, request, repository, directory).run(request.transaction["entries"])


def _staged(directory: str, wanted: Dict[str, Any]) -> bool:
    try:
        with open(os.path.join(directory, "stage.json"), encoding="utf-8") as handle:
            staged: Optional[Dict[str, Any]] = json.load(handle)["transaction"]
    except (OSError, ValueError, KeyError):
        return False
    return staged == wanted
