# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Hold a host for one run, journal what surrounds its snapshot, and release it."""

DOCUMENTATION = r"""
module: host_journal
short_description: Hold a host for one run in its own journal, mark its snapshot, or release it
version_added: 0.1.0
description:
  - Writes V(held), V(released), V(snapshot_pending) or V(reverted) to the host's append-only journal, and notes that a
    revert is rehearsed.
  - While one run holds the host, every other is refused.
  - While the host is held, competing updaters (timers and services of apt, unattended-upgrades, dnf, yum, PackageKit
    and SUSE; refreshes of snapd) are stopped; what was stopped is journalled first, and exactly that is started again
    on release. O(updaters) says otherwise.
  - An update that such a program is already doing is awaited, never killed.
  - A hold is never cleared by time, and never by another run.
  - A disk that is put back to a snapshot loses what the journal said after it, so the journal then ends in
    V(snapshot_pending). A host whose journal ends so is held only when the run's ledger says the same, see O(mirror).
author: The hospital.patching engineers (@hospital-patching)
extends_documentation_fragment:
  - hospital.patching.attributes
  - hospital.patching.run
attributes:
  check_mode:
    support: full
    details:
      - A hold is only predicted, so O(state=snapshot_pending) does not refuse a host that nobody holds.
  diff_mode:
    support: none
    details:
      - The journal's new records are under RV(records_tail).
  idempotent:
    support: full
    details:
      - A second call by the same run changes nothing, unless a reboot brought updaters back; they are stopped again.
      - A snapshot's mark in which the journal ends already is not written twice.
options:
  state:
    description:
      - V(held) holds the host for O(run_id).
      - V(released) gives it up; a host that nobody holds is left as it is.
      - V(snapshot_pending) says that O(run_id), which holds the host, is about to make a snapshot of its disk. It is
        the last record that a revert to that snapshot leaves.
      - V(rehearsing) notes that the disk is about to be put back to that snapshot, on which nothing was installed, to
        prove that it can be. A journal that still says so afterwards was not put back, so V(reverted) refuses it. A
        host that will wait for a disk passphrase is refused, see O(boots_unattended).
      - V(reverted) says that the disk was put back to a snapshot of O(run_id) and was found in order. It is the first
        record after the revert; a journal that does not end in the V(snapshot_pending) of O(run_id) is refused.
        Records of a stage do not count, because staging disrupts nothing.
    type: str
    choices: [held, released, snapshot_pending, rehearsing, reverted]
    required: true
  detail:
    description:
      - What else to record, such as the run's services, or why the host is given back. Whole numbers only, and no
        secrets.
      - With O(state=snapshot_pending), O(step) and O(evidence_dir) the action plugin announces the snapshot in the
        run's ledger first, and adds the hash of that ledger record as C(ledger).
      - Not used with O(state=reverted).
    type: dict
    default: {}
  controller:
    description:
      - Where the run was started, for people who find the host held.
      - Without it, the address from which this connection came, if the host can tell.
    type: str
  controller_time:
    description: The controller's time in UTC, like V(2026-11-22T01:00:03Z); a host whose own differs is not held.
    type: str
  clock_limit_s:
    description: By how many seconds the two clocks may differ.
    type: int
    default: 300
  breaks:
    description:
      - Id of a dead run that holds the host. Its hold is handed over to O(run_id) by one record, so that at no moment
        nobody holds the host. Only a person says that a run is dead.
    type: str
    default: ''
  mirror:
    description:
      - What the run's ledger says of this host's snapshots, as M(hospital.patching.run_host) returned it. Empty means
        that it says nothing.
      - Used with O(state=held). A journal that ends in V(snapshot_pending) is refused when another run wrote that
        record, when the ledger does not mirror it, or when the ledger says that an install was begun after it, since
        then the disk has been put back behind the run's back, and a human decides.
    type: dict
    default: {}
  decided:
    description:
      - Who decided, and why, that the host is held although its journal may end in V(snapshot_pending); then O(mirror)
        is not asked. The words are journalled where the journal does end so. Only a person decides that.
    type: str
    default: ''
  tail_digest:
    description:
      - Digest of the records that the revert erased, as M(hospital.patching.host_journal_info) returned it before the
        revert. Required with O(state=reverted).
    type: str
  snapshot:
    description: Id of the snapshot that the disk was put back to, from the run's ledger. Used with O(state=reverted).
    type: str
  boots_unattended:
    description: With O(state=rehearsing), the host starts without a person although C(/etc/crypttab) asks for one.
    type: bool
    default: false
  work_wait_s:
    description:
      - How long to wait, before the host is held, for a step that goes on here although its controller is gone.
    type: int
    default: 3600
  updaters:
    description:
      - What is done about programs that may update the host by themselves. V(suspend) stops them for the time of the
        hold, V(observe) leaves them alone, and V(refuse) does not hold a host that has one.
      - Jobs of cron cannot be suspended; they are under RV(observed), and refuse the host with V(refuse).
      - On a host that O(run_id) holds already, V(refuse) is V(suspend).
    type: str
    choices: [suspend, refuse, observe]
    default: suspend
  updaters_wait_s:
    description: How long to wait for an update that a competing updater is already doing.
    type: int
    default: 120
"""

EXAMPLES = r"""
- name: Hold the host for this run
  hospital.patching.host_journal:
    run_id: 20261122T010000Z-ab12cd34
    state: held
    controller: "{{ lookup('ansible.builtin.env', 'HOSTNAME') }}"

- name: Journal that a snapshot is about to be made
  hospital.patching.host_journal:
    run_id: 20261122T010000Z-ab12cd34
    evidence_dir: evidence
    step: snapshot
    state: snapshot_pending

- name: Note that a revert to it is about to be rehearsed
  hospital.patching.host_journal:
    run_id: 20261122T010000Z-ab12cd34
    evidence_dir: evidence
    step: snapshot
    state: rehearsing

- name: Journal that the host was put back to it
  hospital.patching.host_journal:
    run_id: 20261122T010000Z-ab12cd34
    evidence_dir: evidence
    step: snapshot
    state: reverted
    tail_digest: "{{ journal_before_the_revert.tail_digest }}"
    snapshot: sha256:0c1d5a6b

- name: Release the host
  hospital.patching.host_journal:
    run_id: 20261122T010000Z-ab12cd34
    state: released
"""

RETURN = r"""
holder:
  description: The journal's record of the run that holds this host now; null when none does.
  type: dict
  returned: always
  sample:
    schema: 1
    time: "2026-11-22T01:00:03Z"
    run_id: 20261122T010000Z-ab12cd34
    step: lock
    event: held
    detail: {controller: 10.0.0.5, suspended: [apt-daily.timer]}
record:
  description:
    - The record that V(snapshot_pending), V(rehearsing) or V(reverted) wrote or found.
    - Null when it would only have been written (check mode), and in the other states.
  type: dict
  returned: always
  sample:
    schema: 1
    time: "2026-11-22T01:04:10Z"
    run_id: 20261122T010000Z-ab12cd34
    step: snapshot
    event: snapshot_pending
    detail: {provider: container, ledger: sha256:0818093dbb921e8b09f856ad99b312f30c93021cce701f39bc40f2965f915e66}
records_tail:
  description: The last 20 records of the journal, the oldest first.
  type: list
  elements: dict
  returned: always
torn:
  description: Whether the journal's last line was cut off while it was written; it is dropped by the next record.
  type: bool
  returned: always
boot:
  description: C(boot_id), which changes with every start of the host (or container), and C(booted), when that was.
  type: dict
  returned: always
  sample: {boot_id: 3d3c2b60-5ab0-4c8d-b6f1-0e6f0b1a2c3d+24, booted: "2026-11-21T22:14:09Z"}
suspended:
  description: Competing updaters that are stopped for this run, or, on release, that were.
  type: list
  elements: str
  returned: always
  sample: [apt-daily.timer, apt-daily-upgrade.timer]
observed:
  description: Competing updaters that a hold leaves alone although they may start by themselves.
  type: list
  elements: str
  returned: always
  sample: [/etc/cron.d/cron-apt]
not_resumed:
  description: Those that could not be started again on release; somebody has to look at them.
  type: list
  elements: str
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.hospital.patching.plugins.module_utils import arguments, boot_passphrase, reverts
from ansible_collections.hospital.patching.plugins.module_utils.boot import read_boot
from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock, require_agreement
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host_lock import HostLock, LockResult, caller
from ansible_collections.hospital.patching.plugins.module_utils.journal import Journal
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner

TAIL = 20


def hold(lock, wanted, write):
    controller = wanted["controller"] or caller()
    if wanted["controller_time"]:
        require_agreement(lock.clock, controller, wanted["controller_time"], wanted["clock_limit_s"])
    detail = dict(wanted["detail"], controller=controller)
    return lock.hold(
        wanted["run_id"], detail, write, wanted["breaks"], wanted["mirror"], wanted["decided"], wanted["updaters"]
    )


def mark(journal, wanted, write):
    if wanted["state"] == "reverted":
        return reverts.mark_reverted(journal, wanted["run_id"], wanted["tail_digest"], wanted["snapshot"], write)
    if wanted["state"] == "rehearsing":
        waits = None if wanted["boots_unattended"] else boot_passphrase.reason()
        return reverts.mark_rehearsal(journal, wanted["run_id"], waits, write)
    return reverts.mark_pending(journal, wanted["run_id"], wanted["detail"], write)


def main():
    module = AnsibleModule(
        argument_spec=dict(
            arguments.RUN,
            state=dict(
                type="str", choices=["held", "released", "snapshot_pending", "rehearsing", "reverted"], required=True
            ),
            detail=dict(type="dict", default={}),
            controller=dict(type="str"),
            controller_time=dict(type="str"),
            clock_limit_s=dict(type="int", default=300),
            breaks=dict(type="str", default=""),
            mirror=dict(type="dict", default={}),
            decided=dict(type="str", default=""),
            tail_digest=dict(type="str"),
            snapshot=dict(type="str"),
            boots_unattended=dict(type="bool", default=False),
            updaters=dict(type="str", choices=["suspend", "refuse", "observe"], default="suspend"),
            updaters_wait_s=dict(type="int", default=120),
            work_wait_s=dict(type="int", default=3600),
        ),
        required_if=[("state", "reverted", ["tail_digest"])],
        supports_check_mode=True,
    )
    wanted, write = module.params, not module.check_mode
    clock = Clock()
    journal = Journal(wanted["state_dir"], clock)
    lock = HostLock(journal, Runner(), clock, wanted["updaters_wait_s"], wanted["work_wait_s"])
    try:
        record = None
        if wanted["state"] == "held":
            result = hold(lock, wanted, write)
        elif wanted["state"] == "released":
            result = lock.release(wanted["run_id"], wanted["detail"], write)
        else:
            changed, record = mark(journal, wanted, write)
            result = LockResult(changed, lock.suspended(wanted["run_id"]), [])
        answer = dict(
            changed=result.changed,
            holder=journal.holder(),
            record=record,
            records_tail=journal.read()[-TAIL:],
            torn=journal.torn(),
            boot=read_boot(),
            suspended=result.suspended,
            observed=lock.observed,
            not_resumed=result.not_resumed,
        )
    except PatchingError as error:
        module.fail_json(msg=str(error), **error.parts())
    for name in result.not_resumed:
        module.warn("{} was stopped for the run and does not start again; start it by hand".format(name))
    module.exit_json(**answer)


if __name__ == "__main__":
    main()
