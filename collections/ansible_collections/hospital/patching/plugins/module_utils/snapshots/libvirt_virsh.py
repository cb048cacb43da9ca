# SPDX-License-Identifier: GPL-3.0-or-later
"""libvirt as the provider ``libvirt`` uses it: by virsh, which every hypervisor host has, with time limits.

A library would have to be compiled for the Python of each controller; virsh also brings libvirt's own remote
connections and logins (``qemu+ssh://``), so that none is in the plan.
"""

from typing import Any, Callable, Dict, List, NamedTuple, Optional, TypeVar

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.runner import Result, Runner, without_logins
from ansible_collections.hospital.patching.plugins.module_utils.snapshots import libvirt_text
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.machine_records import Found, Tree
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.machine_revert import GoesOn

Seen = TypeVar("Seen")

#: libvirt's words of a domain's state.
RUNNING, OFF, PAUSED = "running", "shut off", "paused"

#: ``external`` names the snapshots that are files of their own, which libvirt before 9.9 cannot revert to.
Snapshots = NamedTuple("Snapshots", [("tree", Tree), ("external", List[str])])


class Virsh:
    """One libvirt. Commands that change something get their own time limits."""

    def __init__(self, runner: Runner, clock: Clock, options: Dict[str, Any]) -> None:
        self.runner = runner
        self.clock = clock
        self.uri = options["uri"]
        self.words = list(options["virsh"]) + ["--connect", options["uri"], "--quiet"]
        self.timeout_s = options["timeout_s"]
        self.poll_s = options["poll_s"]
        self.shown = "libvirt {}".format(without_logins(options["uri"]))

    def run(
        self,
        words: List[str],
        timeout_s: Optional[int] = None,
        check: bool = True,
        text_in: Optional[str] = None,
    ) -> Result:
        """Run one command.

        Raises:
            GoesOn: it has not ended in time; libvirt may go on with it.
            PatchingError: no virsh, or (with ``check``) it failed.
        """
        limit = timeout_s or self.timeout_s
        try:
            result = self.runner.run(self.words + words, timeout_s=limit, check=False, text_in=text_in)
        except PatchingError as error:
            if not error.seen.startswith("no end after"):
                raise
            raise GoesOn(
                self.shown,
                "virsh {}: {}".format(words[0], error.seen),
                "an end within that time",
                "look at libvirt on the hypervisor (virsh domjobinfo); run again when it has ended",
            )
        if check and result.rc != 0:
            raise PatchingError(
                self.shown,
                "virsh {}: {}".format(words[0], said(result)),
                "that it is done",
                "correct what it names (uri in patching_snapshot, the login, the domain), then run again",
            )
        return result

    def until(self, look: Callable[[], Optional[Seen]], limit_s: int) -> Optional[Seen]:
        """Ask until ``look`` returns something, and return that; None after ``limit_s``."""
        deadline = self.clock.monotonic() + limit_s
        while True:
            seen = look()
            left = deadline - self.clock.monotonic()
            if seen is not None or left <= 0:
                return seen
            self.clock.sleep(min(self.poll_s, left))

    def domains(self, with_snapshot: bool = False) -> List[str]:
        """Return the UUIDs of all domains."""
        words = ["list", "--all", "--uuid"] + (["--with-snapshot"] if with_snapshot else [])
        return self.run(words).stdout.split()

    def domain(self, uuid: str) -> libvirt_text.Domain:
        """Return a domain's definition as it is now."""
        return self._read("dumpxml", libvirt_text.domain, self.run(["dumpxml", uuid]).stdout)

    def power(self, uuid: str) -> str:
        """Return a domain's state in libvirt's word."""
        return self.run(["domstate", uuid]).stdout.strip()

    def job(self, uuid: str) -> Optional[str]:
        """Return what is being done to a domain that is on, or None: snapshots, migration, backup, dump."""
        answer = self.run(["domjobinfo", uuid], check=False)
        kind = libvirt_text.fields(answer.stdout).get("Job type", "None") if answer.rc == 0 else "None"
        return None if kind == "None" else kind

    def block_jobs(self, domain: libvirt_text.Domain) -> List[str]:
        """Return the disks that a backup or a merge is at work on."""
        busy = []
        for disk in domain.disks:
            answer = self.run(["blockjob", domain.uuid, disk.target, "--info", "--raw"], check=False)
            if answer.rc == 0 and "type=" in answer.stdout:
                busy.append(disk.target)
        return busy

    def has_backup(self, uuid: str) -> bool:
        """Return whether libvirt's own backup job runs; versions that know none have none."""
        return self.run(["backup-dumpxml", uuid], check=False).rc == 0

    def agent_answers(self, uuid: str) -> bool:
        """Return whether the guest's agent answers."""
        words = ["qemu-agent-command", uuid, "--timeout", "5", '{"execute":"guest-ping"}']
        return self.run(words, check=False).rc == 0

    def snapshots(self, uuid: str) -> Snapshots:
        """Return a domain's snapshots, parents before their children."""
        texts = {}
        for name in self.run(["snapshot-list", uuid, "--name"]).stdout.splitlines():
            if name.strip():
                texts[name.strip()] = self.document(uuid, name.strip())
        depths: Dict[str, int] = {}

        def depth(name: Optional[str]) -> int:
            if name is None or name not in texts:
                return 0
            if name not in depths:
                depths[name] = 1 + depth(texts[name].parent)
            return depths[name]

        found = [
            Found(
                identity(uuid, one.name),
                one.name,
                one.description,
                one.state,
                depth(one.name),
                identity(uuid, one.parent) if one.parent else None,
            )
            for one in texts.values()
        ]
        current = self.run(["snapshot-current", uuid, "--name"], check=False)
        name = current.stdout.strip() if current.rc == 0 else ""
        tree = Tree(sorted(found, key=lambda one: (one.depth, one.name)), identity(uuid, name) if name else None)
        return Snapshots(tree, [one.name for one in texts.values() if not one.internal])

    def document(self, uuid: str, name: str) -> libvirt_text.SnapshotXml:
        """Return one snapshot's document."""
        text = self.run(["snapshot-dumpxml", uuid, name]).stdout
        return self._read("snapshot-dumpxml", libvirt_text.snapshot, text)

    def describe(self, uuid: str, name: str, description: str) -> None:
        """Replace a snapshot's description, and nothing else of it."""
        # With the passwords of its displays: without them they would be gone.
        text = self.run(["snapshot-dumpxml", uuid, name, "--security-info"]).stdout
        changed = self._read("snapshot-dumpxml", lambda given: libvirt_text.redescribed(given, description), text)
        self.run(["snapshot-create", uuid, "--xmlfile", "/dev/stdin", "--redefine"], text_in=changed)

    def _read(self, what: str, reader: Callable[[str], Seen], text: str) -> Seen:
        try:
            return reader(text)
        except ValueError as error:
            raise PatchingError(
                self.shown,
                "virsh {}: {}".format(what, error),
                "a document of libvirt",
                "look at what that command prints on the machine where this runs",
            )


def said(result: Result) -> str:
    """Return what a command that failed printed, without logins."""
    lines = (result.stderr or result.stdout).strip()[-4000:].splitlines()
    text = "; ".join(line[len("error: ") :] if line.startswith("error: ") else line for line in lines)
    return without_logins(text)[-400:] or "exit {}".format(result.rc)


def identity(uuid: str, name: str) -> str:
    """Return the id of a snapshot: libvirt knows one by its domain and its name, which is unique there."""
    return "{}/{}".format(uuid, name)


def split(snapshot_id: str) -> List[str]:
    """Return domain and name of an id; two empty texts of what is none."""
    uuid, _slash, name = snapshot_id.partition("/")
    return [uuid, name]
