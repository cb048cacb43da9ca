# SPDX-License-Identifier: GPL-3.0-or-later
"""A housekeeping as its tasks do it: places, verdicts, deletions, records, and what is told."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from unittest import mock

import pytest
from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

from ansible_collections.hospital.patching.plugins.action import snapshot_removal, snapshot_retention
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import controllers, housekeeping, ledger
from ansible_collections.hospital.patching.plugins.plugin_utils.runs import Run
from ansible_collections.hospital.patching.plugins.plugin_utils.times import stamp
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import (
    NOW,
    PLAN_ID,
    planned,
    portal_pair,
)

CONTAINER = {"provider": "container", "options": {"engine": ["podman"]}, "on": "localhost"}
JOURNAL = {"holder": None, "pending": None, "released": None, "worked": [], "records": []}
SNAPSHOT = {"provider": "container", "engine": ["podman"]}
KEPT = {"patching_device_segments": ["10.9.0.0/16"], "patching_snapshot": SNAPSHOT}
HOURS = timedelta(hours=1)


def point(identity="p1", host="portal1", expires=NOW - HOURS, run_id=PLAN_ID, **detail):
    return {
        "id": identity,
        "provider": "container",
        "run_id": run_id,
        "host": host,
        "reason": "monthly",
        "created": stamp(NOW - 72 * HOURS),
        "expires": stamp(expires),
        "detail": detail,
    }


class Site:
    """An evidence directory with one closed run, an inventory, and the tasks of one housekeeping."""

    def __init__(self, root):
        self.root = root
        self.hostvars = {"portal1": dict(KEPT), "portal2": dict(KEPT), "localhost": {}}
        Run(str(root), PLAN_ID).evidence.save_plan(planned(portal_pair()))
        self.run = Run.start(str(root), PLAN_ID)
        for host in ("portal1", "portal2"):
            self.record(host, "snapshot", "done", snapshot={"id": "p1" if host == "portal1" else "p2"})
            self.record(host, "install", "done")
            self.record(host, "record", "outcome", outcome="patched", reason="proven")
        self.record(None, "gate", "begin")
        self.record(None, "record", "done", outcomes={})

    def record(self, host, step, event, **detail):
        self.run.ledger.clock = mock.Mock()
        self.run.ledger.clock.stamp.return_value = stamp(NOW - 72 * HOURS)
        self.run.record(host, step, event, **detail)

    def task(self, module, arguments, host, check=False):
        plugin = module.ActionModule.__new__(module.ActionModule)
        plugin._task = SimpleNamespace(check_mode=check, action="x", args=arguments, delegate_to="localhost")
        spec = module.ActionModule.ARGUMENTS
        given = {key: arguments.get(key, rule.get("default")) for key, rule in spec.items()}
        plugin.validate_argument_spec = mock.Mock(return_value=(None, given))
        plugin.clock = mock.Mock()
        plugin.clock.now.return_value = NOW
        plugin.clock.stamp.return_value = stamp(NOW)
        variables = {"inventory_hostname": host, "hostvars": self.hostvars, "groups": {"all": ["portal1", "portal2"]}}
        return plugin, variables

    def retention(self, host="localhost", check=False, **arguments):
        asked = {"evidence_dir": str(self.root), **arguments}
        plugin, variables = self.task(snapshot_retention, asked, host, check)
        with mock.patch.object(ActionBase, "run", return_value={}):
            return plugin.run(task_vars=variables)

    def opened(self, check=False, **arguments):
        found = self.retention(state="opened", check=check, **{"hosts": ["portal1", "portal2"], **arguments})
        if "ansible_facts" in found:
            self.hostvars["localhost"]["ansible_facts"] = found["ansible_facts"]
        return found

    def judged(self, *snapshots, host="portal1", journal=None, drop=(), **listed):
        told = {"snapshots": list(snapshots), "rooms": [], "rooms_problem": None, "time": stamp(NOW), **listed}
        return self.retention(
            host, state="judged", place=CONTAINER, journal=journal or JOURNAL, listed=told, drop=list(drop)
        )

    def removal(self, one, host="portal1", answer=None, check=False, transport="local", during=None):
        opened = self.hostvars["localhost"]["ansible_facts"]["patching_run"]
        asked = {
            "housekeeping": opened["housekeeping"],
            "evidence_dir": str(self.root),
            "place": CONTAINER,
            "owner": one["run_id"],
            "id": one["id"],
            "cause": one["cause"],
            "why": one["why"],
        }
        plugin, variables = self.task(snapshot_removal, asked, host, check)
        plugin._connection = SimpleNamespace(transport=transport, get_option=lambda _name: "10.1.0.1")

        def executed(**_asked):
            if during:
                during()
            return answer if answer is not None else {"changed": True}

        plugin._execute_module = mock.Mock(side_effect=answer if isinstance(answer, Exception) else executed)
        with mock.patch.object(ActionBase, "run", return_value={}):
            return plugin.run(task_vars=variables), plugin._execute_module

    def tell(self, host, judged, *removed):
        told = self.hostvars[host].setdefault("__housekeeping_told", [])
        told.append({"judged": judged["result"], "removed": list(removed)})

    def chain(self):
        path = housekeeping.ledger_path(self.root)
        assert ledger.verify(path) == []
        return ledger.Ledger(path).read()


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


def test_a_whole_housekeeping(site):
    opened = site.opened()["ansible_facts"]["patching_run"]
    assert opened["hosts"] == ["portal1", "portal2"]
    assert opened["places"]["portal1"] == [CONTAINER]

    first = site.judged(point(), point("p3", expires=NOW + HOURS))
    assert [(one["id"], one["cause"]) for one in first["delete"]] == [("p1", "expired"), ("p3", "orphan")]
    gone = []
    for one in first["delete"]:
        removed, execute = site.removal(one)
        gone.append(removed)
        assert (removed["changed"], removed["problem"]) == (True, "")
        assert execute.call_args.kwargs["module_name"] == "hospital.patching.host_snapshot"
        assert execute.call_args.kwargs["module_args"] == {
            "state": "absent",
            "provider": "container",
            "options": {"engine": ["podman"]},
            "host": "portal1",
            "run_id": PLAN_ID,
            "id": one["id"],
        }
    site.tell("portal1", first, *gone)
    site.tell("portal2", site.judged(host="portal2"))

    closed = site.retention(state="closed")
    assert (closed["bad"], closed["deleted"]) == ("", ["p1", "p3"])
    assert closed["text"][0] == (
        f"Deleted: container restore point p1 of portal1 (run {PLAN_ID}): its retention ended at {stamp(NOW - HOURS)}"
    )
    chain = site.chain()
    assert {one["run_id"] for one in chain} == {opened["housekeeping"]}
    assert [(one["step"], one["event"], one["host"]) for one in chain] == [
        ("record", "begin", None),
        *[("snapshot", event, "portal1") for _point in "ab" for event in ("begin", "done")],
        ("record", "done", None),
    ]
    assert chain[1]["detail"] == {
        "snapshot": "p1",
        "owner": PLAN_ID,
        "on": "localhost",
        "provider": "container",
        "cause": "expired",
        "why": f"its retention ended at {stamp(NOW - HOURS)}",
    }
    assert chain[-1]["detail"] == {"deleted": ["p1", "p3"], "bad": []}
    # The ledger of the run, whose head was given away, is as it was.
    assert len(site.run.ledger.read()) == 8
    assert not [line for line in closed["text"] if line.startswith("Warning")]


def test_check_mode_writes_nothing_and_tells_what_would_go(site):
    before = sorted(path for path in site.root.rglob("*"))
    site.opened(check=True)
    found = site.judged(point())
    removed, execute = site.removal(found["delete"][0], check=True)
    execute.assert_called_once()  # the module itself is in check mode
    site.tell("portal1", found, removed)
    site.tell("portal2", site.judged(host="portal2"))
    closed = site.retention(state="closed", check=True)
    assert closed["text"][0].startswith("Would delete: container restore point p1 of portal1")
    assert sorted(path for path in site.root.rglob("*")) == before


# --- where ------------------------------------------------------------------------


def test_places_of_earlier_plans_are_looked_at_too(site):
    site.hostvars["portal1"]["patching_snapshot"] = "preserved"
    path = site.run.evidence.run_dir(PLAN_ID) / "plan.json"
    path.write_text(path.read_text().replace('"provider": "preserved"', '"provider": "btrfs", "folder": "kept"'))
    places = site.opened()["ansible_facts"]["patching_run"]["places"]
    assert places["portal1"] == [{"provider": "btrfs", "options": {"folder": "kept"}, "on": "portal1"}]
    assert [one["provider"] for one in places["portal2"]] == ["container", "btrfs"]


def test_a_place_that_assess_found_out_is_looked_at_as_well(site):
    site.hostvars["portal1"]["patching_snapshot"] = "auto"
    known = {"provider": "lvm", "why": "/ is ext4 on /dev/mapper/system-root"}
    site.run.evidence.save_assessment("portal1", {"status": "assessed", "restore_points": known})
    places = site.opened()["ansible_facts"]["patching_run"]["places"]
    assert {"provider": "lvm", "options": {}, "on": "portal1"} in places["portal1"]


def test_a_host_that_keeps_none_is_not_contacted(site):
    for host in ("portal1", "portal2"):
        site.hostvars[host]["patching_snapshot"] = "preserved"
    assert site.opened()["ansible_facts"]["patching_run"]["hosts"] == []


def test_a_device_is_not_contacted_and_that_is_told(site):
    site.hostvars["portal1"]["patching_policy"] = "vendor_locked"
    opened = site.opened()["ansible_facts"]["patching_run"]
    assert opened["hosts"] == ["portal2"]
    assert "host portal1 is vendor_locked and never connected to" in opened["problems"][0]


def test_a_setting_that_is_not_understood_is_told_and_keeps_nobody_else(site):
    site.hostvars["portal1"]["patching_snapshot"] = {"provider": "tape"}
    opened = site.opened()["ansible_facts"]["patching_run"]
    assert opened["hosts"] == ["portal2"]
    assert "patching_snapshot" in opened["problems"][0]


def test_a_plan_that_cannot_be_read_is_told(site):
    (site.run.evidence.run_dir(PLAN_ID) / "plan.json").write_text("{}")
    opened = site.opened()["ansible_facts"]["patching_run"]
    assert opened["hosts"] == ["portal1", "portal2"]
    assert f"run {PLAN_ID}: its plan does not tell where its restore points are" in opened["problems"][0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"hosts": []}, "patching_hosts: no host; expected hosts or groups of the inventory"),
        ({"hosts": ["portal9"]}, "patching_hosts: portal9; expected hosts or groups of the inventory"),
        ({"drop": {"id": "p1"}}, "housekeeping_drop: {'id': 'p1'}; expected ids of restore points"),
        ({"drop": [""]}, "housekeeping_drop: ['']; expected ids of restore points"),
        ({"evidence_dir": "/nonexistent"}, "until then no restore point is deleted"),
    ],
)
def test_a_housekeeping_that_is_refused_before_anything_is_done(site, arguments, message):
    found = site.opened(**arguments)
    assert found["failed"] is True
    assert message in found["msg"]
    assert not housekeeping.ledger_path(site.root).exists()


def test_ids_are_given_as_a_list_or_with_blanks():
    assert housekeeping.ids_of("a,b c a,b") == ["a,b", "c"]  # an id of btrfs holds commas
    assert housekeeping.ids_of(["a b", "c"]) == ["a b", "c"]
    assert housekeeping.ids_of("") == []


# --- what stays -------------------------------------------------------------------


def test_what_an_open_run_needs_stays_and_is_told_as_overdue(site):
    site.record(None, "gate", "begin")
    site.opened()
    found = site.judged(point())
    assert found["delete"] == []
    site.tell("portal1", found)
    site.tell("portal2", site.judged(host="portal2"))
    (line,) = site.retention(state="closed")["text"]
    assert line.startswith(f"Overdue: Stays: container restore point p1 of portal1: run {PLAN_ID} is not closed")


@pytest.mark.parametrize(
    ("journal", "why"),
    [
        ({**JOURNAL, "holder": {"run_id": PLAN_ID}}, "holds the host"),
        ({**JOURNAL, "pending": {"run_id": PLAN_ID}}, "ends in a snapshot"),
        ({"msg": "portal1: the connection was lost"}, "nobody can tell where the host stands: portal1: the connection"),
    ],
)
def test_what_the_journal_forbids_stays(site, journal, why):
    found = site.judged(point(), journal=journal)
    assert found["delete"] == []
    assert why in found["result"]["verdicts"][0]["why"]


def test_a_newer_run_that_left_the_host_stuck_keeps_the_older_ones_restore_points(site):
    newer = Run(str(site.root), "20261122T090000Z-00000001")
    newer.evidence.run_dir(newer.run_id).mkdir()
    newer.record("portal1", "record", "outcome", outcome="stuck", reason="no answer")
    found = site.judged(point())
    assert found["delete"] == []
    assert f"the host is stuck in run {newer.run_id}" in found["result"]["verdicts"][0]["why"]
    assert len(site.judged(point("p2", "portal2"), host="portal2")["delete"]) == 1


@pytest.mark.parametrize("newer", [False, True])
def test_a_damaged_ledger_keeps_them(site, newer):
    path = site.run.ledger.path
    if newer:
        path = site.run.evidence.ledger_path("20261122T090000Z-00000001")
        path.parent.mkdir()
    path.write_text("nonsense\n")
    found = site.judged(point())
    assert found["delete"] == []
    assert "nobody can tell" in found["result"]["verdicts"][0]["why"]


def test_a_run_of_which_only_the_folder_is_left_keeps_them(site):
    site.run.ledger.path.unlink()
    assert site.judged(point())["delete"] == []


def test_what_a_provider_lists_without_a_run_is_left_alone(site):
    found = site.judged(point(run_id="monthly"))
    assert (found["delete"], found["result"]["verdicts"][0]["cause"]) == ([], "foreign")


def test_the_earlier_of_both_clocks_says_what_is_old(site):
    assert site.judged(point(), time=stamp(NOW - 2 * HOURS))["delete"] == []
    assert len(site.judged(point(expires=NOW + HOURS), time=stamp(NOW + 2 * HOURS))["delete"]) == 0


def test_that_of_a_proven_host_goes_early_by_the_setting(site):
    assert site.judged(point(expires=NOW + HOURS))["delete"] == []
    site.hostvars["portal1"]["patching_snapshot_verified_keep_s"] = 3600
    assert [one["cause"] for one in site.judged(point(expires=NOW + HOURS))["delete"]] == ["proven"]


def test_one_that_is_named_goes_early(site):
    assert [one["cause"] for one in site.judged(point(expires=NOW + HOURS), drop=["p1"])["delete"]] == ["asked"]


def test_one_that_is_named_and_needed_is_refused(site):
    found = site.judged(point(), journal={**JOURNAL, "holder": {"run_id": PLAN_ID}}, drop=["p1"])
    assert found["delete"] == []
    assert found["result"]["problems"] == [
        f"restore point p1 of host portal1: run {PLAN_ID} holds the host; return.yml returns it; expected one that no"
        " run and no host needs. Next: put that in order, then name it again."
    ]


def test_one_that_is_named_and_nowhere_is_told(site):
    site.opened(drop="p9")
    for host in ("portal1", "portal2"):
        site.tell(host, site.judged(host=host))
    closed = site.retention(state="closed")
    assert "restore point p9: none of ours has that id on the hosts that were asked" in closed["bad"]


def test_a_provider_that_does_not_answer_is_told(site):
    site.opened()
    failed = site.retention(
        "portal1", state="judged", place=CONTAINER, journal=JOURNAL, listed={"msg": "podman: exit\n125"}, drop=[]
    )
    site.tell("portal1", failed)
    site.tell("portal2", site.judged(host="portal2"))
    assert site.retention(state="closed")["bad"].startswith(
        "host portal1: its restore points could not be listed by container on localhost: podman: exit 125"
    )


def test_a_host_that_did_not_come_to_its_end_is_told(site):
    site.opened()
    site.tell("portal1", site.judged(host="portal1"))
    assert "host portal2: its housekeeping came to 0 of 1 places" in site.retention(state="closed")["bad"]


def test_room_is_told_once_for_all_hosts_of_a_store(site):
    site.opened()
    rooms = [{"kind": "file system", "name": "/srv", "size_bytes": 100, "free_bytes": 15}]
    for host in ("portal1", "portal2"):
        site.tell(host, site.judged(host=host, rooms=rooms))
    closed = site.retention(state="closed")
    assert closed["bad"] == ""
    assert [line[:60] for line in closed["text"]] == ["Warning: file system /srv on localhost: 15 % free (15 of 100"]
    # The host with the strictest limit says it, whichever comes last.
    site.hostvars["portal1"]["__housekeeping_told"] = []
    site.hostvars["portal1"]["patching_snapshot_room_critical_percent"] = 16
    site.hostvars["portal2"]["__housekeeping_told"] = []
    site.tell("portal1", site.judged(rooms=rooms))
    site.tell("portal2", site.judged(host="portal2", rooms=rooms))
    assert "expected 16 % or more" in site.retention(state="closed")["bad"]


def test_room_that_could_not_be_read_is_told(site):
    found = site.judged(rooms_problem="podman: exit 125")
    assert found["result"]["rooms"][0]["level"] == "unknown"


def awaited(site, host="portal1", identity="p7", expires=NOW + HOURS):
    made = {"id": identity, "provider": "container", "expires": stamp(expires)}
    site.record(None, "gate", "begin")
    site.record(host, "snapshot", "done", snapshot=made)
    site.record(host, "record", "outcome", outcome="patched", reason="proven")
    site.record(None, "record", "done", outcomes={})


def warnings(site, **answered):
    for host in ("portal1", "portal2"):
        site.tell(host, answered.get(host) or site.judged(host=host))
    return [line for line in site.retention(state="closed")["text"] if line.startswith("Warning")]


def test_one_that_was_deleted_behind_our_back_is_told(site):
    awaited(site)
    site.opened()
    assert warnings(site) == [
        f"Warning: container restore point p7 of portal1 (run {PLAN_ID}) was to be kept until {stamp(NOW + HOURS)} and"
        " is not there: somebody has deleted it, or a revert has used it up"
    ]


def test_one_that_is_there_or_was_deleted_by_us_or_expired_is_not_missed(site):
    awaited(site)
    awaited(site, "portal2", "p8", NOW - HOURS)
    site.opened()
    there = site.judged(point("p7", expires=NOW + HOURS), drop=["p7"])
    removed, _execute = site.removal(there["delete"][0])
    assert removed["problem"] == ""
    assert warnings(site, portal1=there) == []
    for host in ("portal1", "portal2"):
        site.hostvars[host]["__housekeeping_told"] = []
    site.opened()
    assert warnings(site) == []


def test_of_a_provider_that_gave_no_answer_nothing_is_missed(site):
    awaited(site)
    site.opened()
    silent = site.retention("portal1", state="judged", place=CONTAINER, journal=JOURNAL, listed={"msg": "x"}, drop=[])
    assert warnings(site, portal1=silent) == []


def test_a_host_that_left_the_inventory_with_restore_points_is_told(site):
    awaited(site, "scrapped1", "p9", NOW - HOURS)
    site.opened()
    assert warnings(site) == [
        "Warning: host scrapped1 has had restore points and is not in the inventory: nobody looks at them; delete them"
        " by hand"
    ]


def test_a_ledger_of_housekeepings_that_was_changed_ends_them(site):
    site.opened()
    path = housekeeping.ledger_path(site.root)
    path.write_text(path.read_text().replace('"hosts":2', '"hosts":1'))
    found = site.opened()
    assert found["failed"] is True
    assert "its content does not fit its hash" in found["msg"]


# --- deleting ----------------------------------------------------------------------


@pytest.fixture
def going(site):
    site.opened()
    (one,) = site.judged(point())["delete"]
    return one


def test_a_run_that_is_begun_again_before_the_deletion_keeps_its_restore_point(site, going):
    site.record(None, "gate", "begin")
    removed, execute = site.removal(going)
    execute.assert_not_called()
    assert removed["changed"] is False
    assert f"run {PLAN_ID} was begun again" in removed["problem"]
    assert [one["event"] for one in site.chain()] == ["begin", "failed"]


def test_while_it_is_deleted_its_run_cannot_be_begun_again(site, going):
    def begun_meanwhile():
        with (site.run.evidence.run_dir(PLAN_ID) / "opening.lock").open("a") as handle, pytest.raises(BlockingIOError):
            controllers.fcntl.flock(handle, controllers.fcntl.LOCK_EX | controllers.fcntl.LOCK_NB)

    assert site.removal(going, during=begun_meanwhile)[0]["problem"] == ""
    with controllers.opening(site.run):
        pass


def test_the_ledger_that_was_damaged_meanwhile_keeps_it(site, going):
    site.run.ledger.path.write_text("nonsense\n")
    removed, execute = site.removal(going)
    execute.assert_not_called()
    assert "it is no ledger record" in removed["problem"]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({"failed": True, "msg": "image is in use by a container"}, "image is in use by a container"),
        (AnsibleConnectionFailure("no route"), "the connection was lost or never made (no route)"),
        ({"unreachable": True, "msg": "no route"}, "the connection was lost or never made (no route)"),
    ],
)
def test_a_deletion_that_fails_is_recorded_and_told_and_fails_no_host(site, going, answer, why):
    removed, _execute = site.removal(going, answer=answer)
    assert "failed" not in removed
    assert why in removed["problem"]
    assert "Next: correct what is named, then run housekeeping.yml again" in removed["problem"]
    last = site.chain()[-1]
    assert (last["event"], last["host"]) == ("failed", "portal1")
    assert why in last["detail"]["msg"]
    site.tell("portal1", site.judged(point()), removed)
    site.tell("portal2", site.judged(host="portal2"))
    assert why in site.retention(state="closed")["bad"]


def test_a_machine_that_may_not_be_contacted_is_not(site, going):
    removed, execute = site.removal(going, transport="ssh")  # localhost declares no segments
    execute.assert_not_called()
    assert "localhost" in removed["problem"]


def test_one_that_is_gone_already_is_no_deletion(site, going):
    removed, _execute = site.removal(going, answer={"changed": False})
    assert (removed["changed"], removed["problem"]) == (False, "")
    site.tell("portal1", site.judged(point()), removed)
    site.tell("portal2", site.judged(host="portal2"))
    closed = site.retention(state="closed")
    assert closed["deleted"] == []
    assert closed["text"][0].startswith("Gone already: container restore point p1")


def test_of_a_run_that_is_gone_there_is_nothing_to_lock(site):
    site.opened()
    gone = "20261121T080000Z-00000001"
    (one,) = site.judged(point(run_id=gone))["delete"]
    assert site.removal(one)[0]["changed"] is True
    assert not (site.root / gone).exists()


@pytest.mark.parametrize("written", [0, 1])
def test_without_evidence_nothing_is_deleted_and_what_was_is_told(site, going, written):
    full = PatchingError("ledger", "full", "room", "make room")
    with mock.patch.object(ledger.Ledger, "append", side_effect=[{}] * written + [full] * 2):
        removed, execute = site.removal(going)
    assert execute.call_count == written
    assert ("was deleted" if written else "was not deleted") in removed["problem"]
    assert "full" in removed["problem"]
