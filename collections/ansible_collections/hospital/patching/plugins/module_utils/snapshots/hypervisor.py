# SPDX-License-Identifier: GPL-3.0-or-later
"""What providers of hypervisors' snapshots share: how ours are told, judged, refused and put back, whoever makes them.

Run, host, reason and expiry are in each snapshot's description (machine_records.py). A provider adds how its hypervisor
is asked, and returns each machine as a :class:`Guest`.
"""

import os
from typing import Any, Callable, Dict, List, NamedTuple, Optional

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.firmware import uuid_forms
from ansible_collections.hospital.patching.plugins.module_utils.snapshots import machine_records as records
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.base import (
    NotSecurable,
    Snapshot,
    SnapshotProvider,
)
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.machine_records import Found, Tree
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.machine_revert import MachineRevert

GIB = 1024 * 1024 * 1024

#: A machine as its hypervisor has it now. ``id`` is the hypervisor's own of it, ``identity`` the UUID that descriptions
#: name, ``unfinished`` the ids of snapshots whose making or deleting has not ended.
Guest = NamedTuple(
    "Guest",
    [("id", str), ("name", str), ("identity", Optional[str]), ("tree", Tree), ("unfinished", List[str])],
)

#: What the options of all of them say alike; a provider may set other defaults.
OPTIONS: Dict[str, Dict[str, Any]] = {
    "dmi_uuid": {"type": "str"},
    "name": {"type": "str"},
    "memory": {"type": "bool", "default": False},
    "change_bytes": {"type": "int", "default": 2 * GIB},
    "min_free_bytes": {"type": "int", "default": 2 * GIB},
    "max_depth": {"type": "int", "default": 3},
    "keep_replaced": {"type": "bool", "default": True},
    "timeout_s": {"type": "int", "default": 60},
    "create_timeout_s": {"type": "int", "default": 1800},
    "remove_timeout_s": {"type": "int", "default": 1800},
    "revert_timeout_s": {"type": "int", "default": 1800},
    "stop_timeout_s": {"type": "int", "default": 300},
    "start_timeout_s": {"type": "int", "default": 900},
    "poll_s": {"type": "int", "default": 2},
}


def uuids_of(options: Dict[str, Any], host: str) -> List[str]:
    """Return both texts of the UUID in the host's own firmware, by which its machine is known.

    Raises:
        NotSecurable: the site gives none.
    """
    given = options["dmi_uuid"] or ""
    try:
        return uuid_forms(given)
    except ValueError:
        raise NotSecurable(
            "host {}".format(host),
            "dmi_uuid {!r}".format(given) if given else "no dmi_uuid",
            "the UUID in the host's own firmware, by which its machine is known",
            "give dmi_uuid in the host's patching_snapshot: what /sys/class/dmi/id/product_uuid on the host says",
        )


def require_no_revert(subject: str, tree: Tree, identity: Optional[str]) -> None:
    """Refuse a machine that is being put back, of which no restore point is made.

    Raises:
        NotSecurable: it is.
    """
    begun = records.under_way(tree, identity)
    if begun is not None:
        raise NotSecurable(
            subject,
            "a revert to {} was begun and has not ended".format(records.aim(begun)),
            "a machine that is not being put back",
            "revert to that snapshot again, which ends it",
        )


class HypervisorProvider(SnapshotProvider):
    """Restore points of the virtual machine that is the host."""

    MAKES = True
    FROM_OUTSIDE = True
    FROM_STAGE = ("change_bytes", "dmi_uuid")
    #: Where people see and delete snapshots, for messages.
    PLACE = ""

    def require_counts(self, *keys: str) -> None:
        """Refuse options that count something and say none of it.

        Raises:
            PatchingError: naming the first.
        """
        for key in keys:
            if self.options[key] < 1:
                raise self.bad_option(key, "1 or more")

    def begin_facts(self, identity: str, run_id: str, host: str, reason: str, expires: str) -> Dict[str, str]:
        """Return what the description of a restore point that is now made says, ``consistency`` as of one that is off.

        The token tells it from every other, also where the call that makes it is not answered.
        """
        return {
            "kind": records.RESTORE_POINT,
            "run": run_id,
            "host": host,
            "reason": reason,
            "created": self.clock.stamp(),
            "expires": expires,
            "machine": identity,
            "token": os.urandom(8).hex(),
            "consistency": "off",
        }

    def snapshots_of(self, guest: Guest) -> List[Snapshot]:
        """Return the machine's snapshots that are ours."""
        found = []
        for one in guest.tree.snapshots:
            facts = records.facts_of(one, guest.identity)
            if facts is not None:
                found.append(records.as_snapshot(self.NAME, guest.id, guest.name, one, facts))
        return found

    def latest(self, guest: Guest, run_id: str, host: str) -> Optional[Snapshot]:
        """Return this run's newest restore point; what a revert has set aside, or is not whole, is none."""
        mine = [
            one
            for one in self.snapshots_of(guest)
            if (one.run_id, one.host, one.detail["kind"]) == (run_id, host, records.RESTORE_POINT)
            and one.id not in guest.unfinished
        ]
        return sorted(mine, key=lambda one: one.created)[-1] if mine else None

    def latest_at_rest(self, guest: Guest, run_id: str, host: str) -> Optional[Snapshot]:
        """Return :meth:`latest` of a machine on which something may be installed.

        Raises:
            PatchingError: it is being put back.
        """
        begun = records.under_way(guest.tree, guest.identity)
        if begun is not None:
            raise PatchingError(
                "host {}".format(host),
                "a revert to {} was begun and has not ended".format(records.aim(begun)),
                "a machine that is not being put back",
                "call host_snapshot_rollback with that id again, which ends it, then look at the host",
            )
        return self.latest(guest, run_id, host)

    def made(self, found: Optional[Snapshot], guest: Guest) -> Snapshot:
        """Return the snapshot that was made, as it was found afterwards.

        Raises:
            PatchingError: it was not.
        """
        if found is None:
            raise PatchingError(
                _shown(guest),
                "a snapshot was made, and it is not among those with this run's description",
                "a snapshot that is there, with what was written into it",
                "ask who deletes or edits snapshots in {}, then run again".format(self.PLACE),
            )
        return found

    @staticmethod
    def left_nothing(error: PatchingError, remove: Callable[[], None]) -> PatchingError:
        """Remove what a failed call may have made, and return the error, which says so where that fails as well."""
        try:
            remove()
        except PatchingError as second:
            return PatchingError(
                error.subject,
                "{}; whether a snapshot was made is not known ({})".format(error.seen, second.seen),
                error.expected,
                "{}; if one of this run is there, the next call takes it up".format(error.next_step),
            )
        return error

    @staticmethod
    def with_token(guest: Guest, token: str) -> List[Found]:
        """Return the snapshots of ours whose description has that token."""
        found = []
        for one in guest.tree.snapshots:
            facts = records.facts_of(one, guest.identity)
            if facts is not None and facts["token"] == token:
                found.append(one)
        return found

    def deletable(self, guest: Guest, snapshot_id: str) -> Optional[Found]:
        """Return the snapshot, if it is there and ours.

        Raises:
            PatchingError: a revert needs it.
        """
        one = _of_id(guest, snapshot_id)
        if one is None or records.facts_of(one, guest.identity) is None:
            return None
        begun = records.under_way(guest.tree, guest.identity)
        if begun is not None and snapshot_id in (begun.id, records.aim(begun)):
            raise PatchingError(
                "snapshot {}".format(snapshot_id),
                "a revert of {} to {} was begun and has not ended".format(guest.name, records.aim(begun)),
                "a snapshot that is not in use",
                "let the revert end, or call it again if it was interrupted",
            )
        return one

    def put_back(
        self, guest: Guest, snapshot_id: str, host: str, revert: Callable[[Dict[str, str]], MachineRevert]
    ) -> Dict[str, Any]:
        """Put the machine back by the ``revert`` that a snapshot's facts give, and return what was done.

        Raises:
            PatchingError: it is no restore point of this host, or the revert failed.
        """
        begun = records.under_way(guest.tree, guest.identity)
        one = _of_id(guest, snapshot_id)
        facts = records.facts_of(one, guest.identity) if one is not None else None
        if facts is None and begun is not None and records.aim(begun) == snapshot_id:
            gone = PatchingError(
                "snapshot {}".format(snapshot_id),
                "it was removed while a revert to it was under way",
                "the snapshot",
                "find out who deletes snapshots in {}".format(self.PLACE),
            )
            raise revert({}).put_back(gone)
        if facts is None or snapshot_id in guest.unfinished:
            raise PatchingError(
                "snapshot {}".format(snapshot_id),
                "{} has no such snapshot of ours{}".format(_shown(guest), "" if facts is None else " that is whole"),
                "a restore point of host {}".format(host),
                "roll the packages back by update_rollback; the machine was not touched",
            )
        if facts["host"] != host:
            raise PatchingError(
                "host {}".format(host),
                "snapshot {} of its machine is of host {}".format(snapshot_id, facts["host"]),
                "a snapshot of this host",
                "take the id from the run's ledger, step snapshot",
            )
        if begun is not None and begun.id == snapshot_id:
            raise PatchingError(
                "snapshot {}".format(snapshot_id),
                "it is what a revert to {} has set aside, which has not ended".format(records.aim(begun)),
                "a restore point",
                "revert to {} again, which ends it".format(records.aim(begun)),
            )
        return revert(facts).run()


def sorted_choice(found: List[Snapshot], run_id: Optional[str], host: Optional[str]) -> List[Snapshot]:
    """Return those of a run and of a host, the oldest first; None stands for any."""
    chosen = [one for one in found if run_id in (None, one.run_id) and host in (None, one.host)]
    return sorted(chosen, key=lambda one: (one.created, one.id))


def _of_id(guest: Guest, snapshot_id: str) -> Optional[Found]:
    return next((one for one in guest.tree.snapshots if one.id == snapshot_id), None)


def _shown(guest: Guest) -> str:
    return "machine {} ({})".format(guest.name, guest.id)
