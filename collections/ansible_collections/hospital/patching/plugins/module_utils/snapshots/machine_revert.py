# SPDX-License-Identifier: GPL-3.0-or-later
"""One virtual machine put back to a snapshot, in steps that can be broken off anywhere, whatever hypervisor it has.

What is replaced is set aside in a snapshot of its own, whose description says to what a revert is under way:
hypervisors keep descriptions beside the machine's disks, so that a revert does not undo them. A call after an
interruption goes on from there, and a failure is undone.
"""

import os
from datetime import timedelta
from typing import Any, Dict, NamedTuple, Optional

from ansible_collections.hospital.patching.plugins.module_utils.clock import STAMP, Clock, seconds_of
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.snapshots import machine_records as records
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.machine_records import Found, Tree

#: ``power`` is the hypervisor's own word for it.
State = NamedTuple("State", [("power", str), ("tree", Tree)])


class GoesOn(PatchingError):
    """Something takes longer than it may, and goes on by itself: it is not undone under its feet."""


class MachineRevert:
    """A revert of a machine, begun now or found begun; a subclass does it with its hypervisor.

    ``identity`` is the UUID that descriptions of the machine's snapshots name, ``facts`` what that of the snapshot
    says.
    """

    def __init__(
        self,
        clock: Clock,
        options: Dict[str, Any],
        subject: str,
        identity: str,
        snapshot_id: str,
        facts: Dict[str, str],
    ) -> None:
        self.clock = clock
        self.options = options
        self.subject = subject
        self.identity = identity
        self.snapshot_id = snapshot_id
        self.facts = facts
        #: Whether this call has brought the snapshot's state back.
        self.replaced = False

    def state(self) -> State:
        """Return the machine as it is now."""
        raise NotImplementedError

    def settle(self) -> None:
        """Wait for what a killed call may have left running.

        Raises:
            PatchingError: it does not end.
        """
        raise NotImplementedError

    def stop(self) -> None:
        """Shut the guest down, so that it writes nowhere else any more either; turn it off where it does not."""
        raise NotImplementedError

    def snapshot(self, name: str, description: str) -> None:
        """Make a snapshot of the machine, which is off."""
        raise NotImplementedError

    def go_to(self, snapshot_id: str) -> None:
        """Bring a snapshot's disks back, and leave the machine off."""
        raise NotImplementedError

    def start(self) -> None:
        """Start the machine, if it is not on, and wait until its guest has started as far as that is seen."""
        raise NotImplementedError

    def describe(self, one: Found, description: str) -> None:
        """Replace the description of a snapshot."""
        raise NotImplementedError

    def remove(self, snapshot_id: str) -> None:
        """Delete a snapshot."""
        raise NotImplementedError

    def told(self) -> Dict[str, Any]:
        """Return what else is said of a revert that is done."""
        return {}

    def run(self) -> Dict[str, Any]:
        """Put the machine back and return what was done.

        Raises:
            PatchingError: another revert is under way; or it failed, and the message says what runs now.
        """
        self.settle()
        resumed = self._resumed()
        try:
            if resumed is None:
                self.stop()
                if self.options["keep_replaced"]:
                    self._set_aside()
            if resumed is None or self.state().tree.current != self.snapshot_id:
                self.stop()
                self.go_to(self.snapshot_id)
                self.replaced = True
            self.start()
        except GoesOn:
            raise  # the next call takes it up
        except PatchingError as error:
            raise self.put_back(error)
        return self._end(resumed is not None)

    def _resumed(self) -> Optional[Found]:
        begun = self._begun()
        if begun is None:
            return None
        aim = records.aim(begun)
        if aim != self.snapshot_id:
            raise self.error(
                "a revert to {} is under way".format(aim),
                "no other revert",
                "revert to that snapshot again, which ends it",
            )
        return begun

    def _begun(self) -> Optional[Found]:
        return records.under_way(self.state().tree, self.identity)

    def _set_aside(self) -> None:
        facts = dict(
            self.facts,
            kind=records.SET_ASIDE,
            created=self.clock.stamp(),
            expires=self._kept_until(),
            token=os.urandom(8).hex(),
            reason="replaced by a revert to {}".format(self.snapshot_id),
            consistency="off",
            of=self.snapshot_id,
            revert=records.BEGUN,
        )
        facts.pop("note", None)
        self.snapshot(records.name_of(facts), records.describe(facts))

    def _kept_until(self) -> str:
        """For as long as the restore point was to be kept, from now."""
        try:
            lifetime = seconds_of(self.facts["expires"]) - seconds_of(self.facts["created"])
        except ValueError:
            return self.facts["expires"]
        return (self.clock.now() + timedelta(seconds=max(lifetime, 0))).strftime(STAMP)

    def _end(self, resumed: bool) -> Dict[str, Any]:
        begun = self._begun()
        kept = (records.read_description(begun.description) or {}) if begun else {}
        if begun is not None:
            try:
                self.describe(begun, records.describe(dict(kept, revert=records.ENDED)))
            except PatchingError as error:
                raise self.error(
                    "it is put back to {} and runs, but that could not be recorded in snapshot {} ({})".format(
                        self.snapshot_id, begun.id, error.seen
                    ),
                    error.expected,
                    "{}; revert to it again, which only records it".format(error.next_step),
                )
        done = {
            "snapshot": self.snapshot_id,
            "kept": begun.id if begun else None,
            "kept_until": kept.get("expires"),
            "lost_s": self._lost_s(kept.get("created")),
            "power_state": self.state().power,
            "resumed": resumed,
        }
        return dict(done, **self.told())

    def _lost_s(self, stopped: Optional[str]) -> Optional[int]:
        """Return for how long the machine had run on since the snapshot."""
        try:
            return max(seconds_of(stopped or self.clock.stamp()) - seconds_of(self.facts["created"]), 0)
        except ValueError:
            return None

    def put_back(self, error: PatchingError) -> PatchingError:
        """Undo what was done and return the error to raise, which says what runs now."""
        try:
            begun = self._begun()
            if begun is None and self.replaced:
                return self.error(
                    "the revert to {} failed ({}: {}), and nothing was kept to go back to; {}".format(
                        self.snapshot_id, error.subject, error.seen, self._what_runs()
                    ),
                    error.expected,
                    "{}; then revert again".format(error.next_step),
                )
            if begun is not None and self.state().tree.current != begun.id:
                self.stop()
                self.go_to(begun.id)
            self.start()
            if begun is not None:
                self.remove(begun.id)
        except PatchingError as second:
            return self.error(
                "the revert to {} failed ({}: {}), and undoing it failed as well ({}: {}); {}".format(
                    self.snapshot_id, error.subject, error.seen, second.subject, second.seen, self._what_runs()
                ),
                error.expected,
                "{}; then revert again, which goes on, or go by hand to the snapshot that is set aside".format(
                    error.next_step
                ),
            )
        return self.error(
            "the revert to {} failed ({}: {}) and was undone: {}".format(
                self.snapshot_id, error.subject, error.seen, self._what_runs()
            ),
            error.expected,
            "{}; then revert again, or look after the host by hand".format(error.next_step),
        )

    def _what_runs(self) -> str:
        try:
            state = self.state()
        except PatchingError:
            return "what runs now is not known, because the hypervisor does not say"
        names = {one.id: one.name for one in state.tree.snapshots}
        current = state.tree.current
        below = "no snapshot" if current is None else "snapshot {} ({})".format(current, names.get(current))
        return "the machine is {}, on top of {}".format(state.power, below)

    def error(self, seen: str, expected: str, next_step: str) -> PatchingError:
        """Return an error about the machine."""
        return PatchingError(self.subject, seen, expected, next_step)
