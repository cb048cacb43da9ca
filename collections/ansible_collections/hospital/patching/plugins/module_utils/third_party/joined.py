# SPDX-License-Identifier: GPL-3.0-or-later
"""One hand for both: the host's package manager and its declared software, as one transaction.

The package manager gets its own part, with a digest of its own; without
declared software that is the whole, untouched. Packages come first, then the
software in its order; on the way back the same, the software in reverse. All
that can be refused is refused before either begins; only on the way back does
an entry that cannot go back keep nothing else, and fails the step at its end.

What works on declared software is imported where there is some: most hosts
have none, and would compile it at every call. Install and rollback have all
of it before their first change; verify imports the probes of its entries.
"""

from typing import TYPE_CHECKING, Any, Dict, List, Optional, Sequence

from ansible_collections.hospital.patching.plugins.module_utils import transaction, transient_scope
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.hold_check import (
    refuse_other_holder,
    refuse_other_pending,
)
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import registry as package_managers
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import (
    InstallRequest,
    PackageManager,
    PendingRequest,
    StageRequest,
)
from ansible_collections.hospital.patching.plugins.module_utils.third_party import parts

if TYPE_CHECKING:
    from ansible_collections.hospital.patching.plugins.module_utils.third_party.work import SoftwareWork


def select(
    name: str,
    host: Host,
    software: Sequence[Dict[str, Any]] = (),
    logins: Optional[Dict[str, str]] = None,
) -> "Joined":
    """Return the host's package manager (as package_managers.registry.select), joined with its declared software."""
    return Joined(package_managers.select(name, host), software, logins or {})


def select_for(transaction: Dict[str, Any], name: str, host: Host) -> "Joined":
    """Return the package manager of a transaction (as package_managers.registry.select_for), joined with software."""
    return Joined(package_managers.select_for(transaction, name, host), (), {})


class Joined:
    """Has the methods of a package manager, and their results."""

    def __init__(self, packages: PackageManager, software: Sequence[Dict[str, Any]], logins: Dict[str, str]) -> None:
        self.packages = packages
        self.host = packages.host
        self.software = list(software)
        self.logins = logins

    def pending(self, wanted: PendingRequest) -> Dict[str, Any]:
        """Return what the host would update within ``wanted``."""
        found = self.packages.pending(wanted)
        if not self.software:
            return found
        from ansible_collections.hospital.patching.plugins.module_utils.third_party import pending  # noqa: PLC0415 - see above

        return pending.add(self.host, wanted, found, self.software)

    def files(self, entries: List[Dict[str, Any]]) -> Dict[str, List[str]]:
        """Return by name the paths that the installed packages of a transaction's entries have brought."""
        return self.packages.files(entries)

    def stage(self, request: StageRequest) -> Dict[str, Any]:
        """Make the host's transaction ready, and its way back."""
        updates = parts.software(request.updates)
        if not updates:
            return self.packages.stage(request)
        from ansible_collections.hospital.patching.plugins.module_utils.third_party import staging  # noqa: PLC0415 - see above

        found = self._nothing_staged(request)
        if parts.packages(request.updates):
            found = self.packages.stage(request._replace(updates=parts.packages(request.updates)))
        entries = [staging.as_entry(update) for update in staging.still_wanted(self.host, updates)]
        if not entries:
            return found
        transaction.check_within(entries, request.manifest)
        staging.rehearse_removals(self.host, entries)
        both = transaction.build(
            request.host,
            found["transaction"]["manager"],
            found["transaction"]["manifest"],
            found["transaction"]["entries"] + entries,
        )
        if request.check:
            more = {"changed": True, "download_bytes": sum(entry["size_bytes"] for entry in entries)}
        else:
            more = self._staged(request, both, entries)
        lists = {key: found[key] + more.get(key, []) for key in ("preserved", "not_preserved", "space")}
        return dict(
            found,
            changed=found["changed"] or more["changed"],
            nothing_to_do=False,
            transaction=both,
            download_bytes=found["download_bytes"] + more["download_bytes"],
            **lists,
        )

    def _nothing_staged(self, request: StageRequest) -> Dict[str, Any]:
        """Return what a package manager says that has nothing to stage."""
        manifest = request.manifest["digest"] if request.manifest else None
        return {
            "changed": False,
            "nothing_to_do": True,
            "transaction": transaction.build(request.host, self.packages.NAME, manifest, []),
            "stage_dir": None,
            "preserved_dir": None,
            "preserved": [],
            "not_preserved": [],
            "space": [],
            "cves": {},
            "download_bytes": 0,
            "way_back_tried": None,
        }

    def _staged(self, request: StageRequest, both: Dict[str, Any], entries: List[Dict[str, Any]]) -> Dict[str, Any]:
        from ansible_collections.hospital.patching.plugins.module_utils.third_party import staging  # noqa: PLC0415 - see above

        journal = self.packages.journal
        journal.append(request.run_id, "stage", "begin", transaction=both["digest"])
        try:
            result = staging.stage(self.host, entries, self.logins)
        except PatchingError as error:
            journal.append(request.run_id, "stage", "failed", transaction=both["digest"], reason=str(error))
            raise
        except OSError as error:
            journal.append(request.run_id, "stage", "failed", transaction=both["digest"], reason=str(error))
            raise PatchingError(
                "stage of {}".format(request.host), str(error), "a disk that can be read and written", "stage it again"
            )
        journal.append(request.run_id, "stage", "done", transaction=both["digest"])
        return result

    def install(self, request: InstallRequest) -> Dict[str, Any]:
        """Install exactly the transaction: packages, then software."""
        if not parts.declared(request.transaction):
            return self.packages.install(request)
        transaction.validate(request.transaction)
        packages, _names = parts.of_packages(request.transaction, [])
        work = self._begin(request, "install", parts.declared(request.transaction))
        found = _NOTHING
        if packages["entries"]:
            found = self.packages.install(request._replace(transaction=packages))
        return self._finish(request, work, found)

    def rollback(self, request: InstallRequest, names: List[str]) -> Dict[str, Any]:
        """Put back what the transaction replaced; empty ``names`` means all."""
        entries = parts.declared(request.transaction)
        if not entries:
            return self.packages.rollback(request, names)
        packages, own = parts.of_packages(request.transaction, names)
        wanted = [entry for entry in entries if not names or entry["name"] in names]
        work = self._begin(request, "rollback", wanted)
        if request.check or not (work.todo or packages["entries"]):
            work.refuse_left(rest=False)
        found = _NOTHING
        if packages["entries"]:
            found = self.packages.rollback(request._replace(transaction=packages), own)
        return self._finish(request, work, found)

    def _begin(self, request: InstallRequest, step: str, entries: List[Dict[str, Any]]) -> "SoftwareWork":
        """Refuse what can be refused; from here on the work outlives the session."""
        from ansible_collections.hospital.patching.plugins.module_utils.third_party.work import SoftwareWork  # noqa: PLC0415 - see above

        refuse_other_holder(self.packages.journal, request.run_id)
        refuse_other_pending(self.packages.journal, request.run_id)
        if not request.check:
            transient_scope.enter(self.host.runner, self.host.clock, request.timeout_s, self.host.root)
        work = SoftwareWork(self.host, request, step, entries)
        work.refuse()
        return work

    @staticmethod
    def _finish(request: InstallRequest, work: "SoftwareWork", found: Dict[str, Any]) -> Dict[str, Any]:
        if not request.check:
            work.run(found["etc_archive"])
        return work.merged(found)

    def verify(self, wanted: Dict[str, Any], expect: str, names: List[str]) -> Dict[str, Any]:
        """Compare the host with its transaction; reads only."""
        entries = parts.declared(wanted)
        if not entries:
            return self.packages.verify(wanted, expect, names)
        from ansible_collections.hospital.patching.plugins.module_utils.third_party import proof, registry  # noqa: PLC0415 - see above

        packages, own = parts.of_packages(wanted, names)
        found = _EQUAL
        if packages["entries"]:
            found = self.packages.verify(packages, expect, own)
        mine = [entry for entry in entries if not names or entry["name"] in names]
        problems, at_target = list(found["problems"]), found["at_target"]
        for entry in mine:
            installer = registry.build(self.host, entry["software"])
            problems += proof.problems(installer, entry[expect])
            at_target = at_target and not _differs(installer, entry["to"])
        return dict(
            found,
            verdict="failed" if problems else "ok",
            problems=problems,
            at_target=at_target,
            versions_checked=found["versions_checked"] + len(mine),
        )


def replaced_folders(host: Host, wanted: Dict[str, Any], names: List[str], expect: str) -> List[str]:
    """Return the folders of versions that are no longer in use: what runs from there runs replaced files."""
    left = "from" if expect == "to" else "to"
    gone = [
        entry for entry in parts.declared(wanted) if entry[left] is not None and (not names or entry["name"] in names)
    ]
    if not gone:
        return []
    from ansible_collections.hospital.patching.plugins.module_utils.third_party import registry  # noqa: PLC0415 - see above

    return [folder for entry in gone for folder in registry.build(host, entry["software"]).folders(entry[left])]


def replaced_links(wanted: Dict[str, Any], names: List[str]) -> List[str]:
    """Return the links that lead to another version now, whichever way it went."""
    return [
        entry["software"]["link"]
        for entry in parts.declared(wanted)
        if entry["software"].get("link") and (not names or entry["name"] in names)
    ]


def _differs(installer: Any, version: Optional[str]) -> bool:
    try:
        return bool(installer.installed() != version)
    except PatchingError:
        return True


#: What a package manager says that has nothing to do.
_NOTHING = {
    "changed": False,
    "nothing_to_do": True,
    "installed": [],
    "already": [],
    "marks_equal": True,
    "holds_equal": True,
    "alternatives_equal": True,
    "conffile_proposals": [],
    "etc_archive": None,
    "policy_rc_d": None,
    "repaired": False,
    "seconds_ms": {"prepare": 0, "dpkg": 0, "after": 0},
}  # type: Dict[str, Any]
#: What it says of a host on which it had nothing to change.
_EQUAL = {
    "problems": [],
    "at_target": True,
    "versions_checked": 0,
    "marks_equal": None,
    "holds_equal": None,
    "alternatives_equal": None,
}  # type: Dict[str, Any]
