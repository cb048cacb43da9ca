# SPDX-License-Identifier: GPL-3.0-or-later
"""In the window: the declared software of one host, to its target or back, journalled."""

from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from ansible_collections.hospital.patching.plugins.module_utils import package_lock
from ansible_collections.hospital.patching.plugins.module_utils.data_owners import may_go_back
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.journal import Journal
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import zypper_lock
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import InstallRequest
from ansible_collections.hospital.patching.plugins.module_utils.third_party import registry
from ansible_collections.hospital.patching.plugins.module_utils.third_party.etc_before import EtcBefore
from ansible_collections.hospital.patching.plugins.module_utils.third_party.running import running
from ansible_collections.hospital.patching.plugins.module_utils.third_party.staging import (
    drifted,
    for_everybody,
    not_ready,
    rehearse_removal,
)

Entry = Dict[str, Any]
#: What says who holds the ``DATABASE`` of an installer: zypper_lock asks for rpm, dnf and zypper, whichever is there.
HOLDERS = {"dpkg": package_lock.dpkg_holders, "rpm": zypper_lock.holders}  # type: Dict[str, package_lock.Holders]
#: One piece of software and what it becomes.
Job = NamedTuple("Job", [("entry", Entry), ("installer", Any), ("current", Optional[str]), ("to", Optional[str])])


class SoftwareWork:
    """One installation (``step`` install) or way back (``rollback``) of a transaction's declared software."""

    def __init__(self, host: Host, request: InstallRequest, step: str, entries: List[Entry]) -> None:
        self.host = host
        self.request = request
        self.step = step
        self.back = step == "rollback"
        self.journal = Journal(host.state_dir, host.clock)
        self.digest = request.transaction["digest"]
        self.etc = EtcBefore(host, request.transaction, step)
        self.etc_archive = None  # type: Optional[str]
        #: The configuration files that were proposed by this work.
        self.proposed = []  # type: List[str]
        #: Why entries are left as they are on the way back: one of them keeps nothing else from going back.
        self.left = []  # type: List[PatchingError]
        self.todo, self.done = self._split(entries[::-1] if self.back else entries)

    def _split(self, entries: List[Entry]) -> Tuple[List[Job], List[Job]]:
        todo, done = [], []
        for entry in entries:
            installer = registry.build(self.host, entry["software"])
            start, end = (entry["to"], entry["from"]) if self.back else (entry["from"], entry["to"])
            half_done = installer.MAY_BREAK and self._was_begun()
            try:
                current = installer.installed()
            except PatchingError as error:
                if half_done:  # a version that broke may not say which one it is
                    todo.append(Job(entry, installer, start, end))
                else:
                    self._leave(error)
                continue
            job = Job(entry, installer, current, end)
            if current == end:
                done.append(job)
            elif current == start or half_done:
                todo.append(job)
            else:
                self._leave(drifted(entry, current))
        return todo, done

    def _leave(self, error: PatchingError) -> None:
        """Refuse an installation at once; on the way back, tell it at the end."""
        if not self.back:
            raise error
        self.left.append(error)

    def _was_begun(self) -> bool:
        """Return whether this transaction's software was begun with, so that what is half done may be made whole."""
        return any(
            record["event"] == "begin" and record["detail"].get("transaction") == self.digest
            for record in self.journal.read()
            if record["step"] in ("install", "rollback")
        )

    def _was_cut_off(self) -> bool:
        """Return whether an earlier call began this very work, did not come to its end, and was not undone since."""
        last = None
        for record in self.journal.read():
            ours = record["step"] == self.step
            undone = record["step"] in ("install", "rollback") and record["event"] == "done"
            if record["detail"].get("transaction") == self.digest and (ours or undone):
                last = (record["step"], record["event"])
        return last in ((self.step, "begin"), (self.step, "failed"))

    def refuse(self) -> None:
        """Refuse everything before anything begins when one entry could not be done.

        On the way back only the data's rule and the lock do that; an entry that
        cannot go back is left, and told at the end.

        Raises:
            PatchingError: naming the first of them.
        """
        ready = []
        gone = {}  # type: Dict[str, List[str]]
        for job in self.todo:
            self._refuse_data(job)
        # A removal is rehearsed below, and a rehearsal wants the database in peace.
        for database in sorted({job.installer.DATABASE for job in self.todo}):
            self._wait_until_free(database)
        for job in self.todo:
            try:
                self._refuse_unready(job)
                self._refuse_running(job)
                if job.to is None and not job.installer.is_half_done():
                    rehearse_removal(job.installer, gone)  # again: other packages may have come since the stage
            except PatchingError as error:
                self._leave(error)
            else:
                ready.append(job)
        self.todo = ready

    def _refuse_unready(self, job: Job) -> None:
        if job.to is not None and not self.back:
            lacking = not_ready(job.installer, job.to)
        else:
            lacking = job.installer.lacking(job.to)
        if lacking:
            raise PatchingError(
                "software {}".format(job.entry["name"]),
                lacking,
                "{} ready on this host".format(job.to or "its removal"),
                "use the snapshot" if self.back else "stage the host again; nothing was changed",
            )

    def _wait_until_free(self, database: str) -> None:
        if database:
            package_lock.wait_until_free(
                self.host.root, self.request.lock_timeout_s, self.host.clock, HOLDERS[database]
            )

    def refuse_left(self, rest: bool) -> None:
        """Raise what was left on the way back; ``rest``: whether everything else went back.

        Raises:
            PatchingError: naming every entry that was left, and why.
        """
        if not self.left:
            return
        if not rest and len(self.left) == 1:
            raise self.left[0]
        raise PatchingError(
            ", ".join(error.subject for error in self.left),
            "; ".join(error.seen for error in self.left),
            "; ".join(error.expected for error in self.left),
            "everything else was put back; correct this, then roll this host back again, or use the snapshot"
            if rest
            else "correct this, then roll this host back again; nothing was changed",
        )

    def _refuse_data(self, job: Job) -> None:
        """Refuse the way back of what owns data, as the package manager does; by the entry's or its package's name."""
        if not self.back:
            return
        for name in (job.entry["name"], job.installer.spec.get("package", job.entry["name"])):
            turned = {"name": name, "from": job.entry["to"], "to": job.to}
            if not may_go_back(turned, self.request.data_rules):
                raise PatchingError(
                    "software {}".format(job.entry["name"]),
                    "it owns data, and {} may have changed its format".format(job.entry["to"]),
                    "downgrade_safe for {} {} to {}".format(name, job.entry["to"], job.to or "its removal"),
                    "hold this host out of service and call whoever is responsible for its data; if he says that"
                    " it is safe, set patching_downgrade_safe for it and start rollback.yml; nothing was changed",
                )

    def _refuse_running(self, job: Job) -> None:
        # A way back that is a switch takes nothing away from who uses the software, so it does not wait for them.
        if self.back and job.installer.IS_ATOMIC:
            return
        found = running(job.installer.spec.get("not_running", []))
        if found:
            raise PatchingError(
                "software {}".format(job.entry["name"]),
                "running: {}".format(", ".join(found[:10])),
                "none of {}".format(", ".join(job.installer.spec["not_running"])),
                "have them closed, then run again; nothing was changed",
            )

    def run(self, archived: Optional[str] = None) -> None:
        """Do it, one entry after the other; journalled, and safe to repeat after it was cut off.

        ``archived`` is where the package manager has put /etc from before the same transaction.
        """
        cut_off = self._was_cut_off()
        if not self.todo and not self.left:
            if cut_off:
                self.proposed = self.etc.proposed()
                self._journal("done", installed=[])
            return
        if not cut_off:
            self.etc.forget()
        told = [
            {"name": job.entry["name"], "arch": job.entry["arch"], "from": job.current, "to": job.to}
            for job in self.todo
        ]
        self._journal("begin", software=told)
        try:
            self._look_at_etc(archived)
            with for_everybody():
                for job in self.todo:
                    try:
                        self._one(job)
                    except PatchingError as error:
                        self._leave(error)
            self.refuse_left(rest=True)
        except PatchingError as error:
            self._journal("failed", reason=str(error))
            raise
        except OSError as error:
            self._journal("failed", reason=str(error))
            raise PatchingError(
                "software",
                str(error),
                "a disk that can be written",
                "correct it, then run again or roll this host back",
            )
        self.proposed = self.etc.proposed()
        self._journal("done", installed=told)

    def _look_at_etc(self, archived: Optional[str]) -> None:
        if not any(job.installer.WRITES_ETC for job in self.todo):
            return
        try:
            self.etc.take()
            self.etc_archive = archived or self.etc.archive()
        except (OSError, PatchingError):
            if not self.back:  # no disk is too full for the way back: the installation's archive is there
                raise

    def _one(self, job: Job) -> None:
        self._wait_until_free(job.installer.DATABASE)  # the packages took their time, and dpkg does not wait
        job.installer.become(job.to)
        if self.back:
            job.installer.bring_back_etc(EtcBefore(self.host, self.request.transaction, "install").read())
        found = job.installer.installed()
        if found != job.to:
            raise PatchingError(
                "software {}".format(job.entry["name"]),
                "{} is installed afterwards".format(found or "nothing"),
                job.to or "nothing",
                "roll this host back; then try the installer by hand on a test host",
            )

    def _journal(self, event: str, **detail: Any) -> None:
        self.journal.append(self.request.run_id, self.step, event, transaction=self.digest, **detail)

    def merged(self, found: Dict[str, Any]) -> Dict[str, Any]:
        """Return the package manager's result with what is done here."""
        installed = [
            {"name": job.entry["name"], "arch": job.entry["arch"], "from": job.current, "to": job.to}
            for job in self.todo
        ]
        already = [{"name": job.entry["name"], "arch": job.entry["arch"], "version": job.to} for job in self.done]
        return dict(
            found,
            changed=found["changed"] or bool(self.todo),
            nothing_to_do=found["nothing_to_do"] and not self.todo,
            transaction=self.digest,
            installed=found["installed"] + installed,
            already=found["already"] + already,
            conffile_proposals=sorted(set(found["conffile_proposals"]) | set(self.proposed)),
            etc_archive=found["etc_archive"] or self.etc_archive,
        )
