# SPDX-License-Identifier: GPL-3.0-or-later
"""Restore points of Proxmox VE against a double of its API (proxmox_double.py); no Proxmox VE was asked."""

import os
import shutil

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.canonical import digest
from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.snapshots import keeping, machine_records, registry
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.machine_revert import GoesOn
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.proxmox import ProxmoxProvider, ProxmoxRevert
from ansible_collections.hospital.patching.tests.unit.plugins.module_utils.snapshots.proxmox_double import (
    GIB,
    OTHER_UUID,
    TOKEN,
    TOKEN_ID,
    UUID,
    Machine,
    Pve,
)

RUN, OTHER = "20261122T034500Z-ab12cd34", "20261123T034500Z-ffffffff"
EXPIRES = "2030-11-25T00:00:00Z"


class Fast(Clock):
    """Nobody waits."""

    def __init__(self):
        self.waited = 0.0

    def monotonic(self):
        return super().monotonic() + self.waited

    def sleep(self, seconds):
        self.waited += seconds


@pytest.fixture
def pve(tmp_path, monkeypatch):
    if not shutil.which("openssl"):
        pytest.skip("openssl is missing: Debian's package openssl")
    for name in ("HOST", "TOKEN_ID", "TOKEN_SECRET"):
        monkeypatch.delenv("PROXMOX_" + name, raising=False)
    found = Pve(tmp_path)
    found.token_file = tmp_path / "token"
    found.token_file.write_text(TOKEN + "\n")
    found.token_file.chmod(0o600)
    yield found
    found.close()


def provider(pve, **options):
    given = {"server": "localhost", "port": pve.port, "token_id": TOKEN_ID, "token_file": str(pve.token_file)}
    given.update({"ca_file": pve.certificate, "dmi_uuid": UUID, "timeout_s": 20, "poll_s": 1}, **options)
    return ProxmoxProvider(given, None, Fast())


def make(pve, run_id=RUN, host="db1", **options):
    return keeping.present(provider(pve, **options), run_id, host, "before the night", EXPIRES).snapshot


def changes(pve):
    return [(method, path) for method, path, _form in pve.asked if method != "GET" and not path.endswith("ping")]


def test_create_break_revert_and_retention(pve):
    machine = pve.machines[100]
    machine.snapshot("hospital-patching", "hospital.patching restore point\nrun: x")
    mine = make(pve)
    assert make(pve) == mine, "a run makes one"
    assert digest(mine.detail), "it can be recorded"
    vmid, name = mine.id.split("/")
    assert (vmid, mine.run_id, mine.host, mine.reason, mine.expires) == ("100", RUN, "db1", "before the night", EXPIRES)
    assert name.startswith("hpr-20261122T034500Z-ab-")
    assert (mine.detail["consistency"], mine.detail["depth"]) == ("quiesced", 2)
    (form,) = [form for method, path, form in pve.asked if (method, path[-8:]) == ("POST", "snapshot")]
    assert form["vmstate"] == "0", "memory only when it is asked for"

    machine.disk = "broken"
    done = provider(pve).revert(mine.id, "db1")
    assert (machine.disk, machine.running) == ("before", True)
    assert machine.power_log == ["off", "off", "on"]
    assert (done["machine"], done["machine_name"], done["power_state"], done["resumed"]) == (
        *("100", "db1", "running"),
        False,
    )
    kept = [one for one in provider(pve).list() if one.detail["kind"] == "set_aside"]
    assert [one.id for one in kept] == [done["kept"]]
    assert len(done["kept"].split("/")[1]) == 40, "as long as Proxmox VE allows"
    assert machine.snapshots[done["kept"].split("/")[1]]["disk"] == "broken"
    assert provider(pve).present(RUN, "db1") == mine, "what was set aside is no restore point"

    for one in provider(pve).list():
        with pytest.raises(PatchingError, match="belongs to run"):
            keeping.absent(provider(pve), OTHER, one.id)
        assert keeping.absent(provider(pve), RUN, one.id).changed
        assert not keeping.absent(provider(pve), RUN, one.id).changed
    assert list(machine.snapshots) == ["hospital-patching"], "the foreign one stays"
    assert provider(pve).list() == []


def test_a_description_of_another_machine_is_not_ours(pve):
    mine = make(pve)
    name = mine.id.split("/")[1]
    pve.machines[101].snapshots = dict(pve.machines[100].snapshots)
    assert [one.id for one in provider(pve).list()] == [mine.id]
    assert not provider(pve).delete("101/" + name)
    assert not provider(pve).delete("999/" + name)
    with pytest.raises(PatchingError, match="has no such snapshot of ours"):
        provider(pve, dmi_uuid=OTHER_UUID).revert("101/" + name, "db1")
    with pytest.raises(PatchingError, match="is of host db1"):
        provider(pve).revert(mine.id, "db2")
    assert changes(pve) == [("POST", "nodes/pve1/qemu/100/snapshot")]


def test_check_mode_makes_nothing(pve):
    assert keeping.present(provider(pve), RUN, "db1", "why", EXPIRES, write=False) == (True, None)
    pve.feature = 0
    with pytest.raises(PatchingError, match="its disks hold no snapshots"):
        keeping.present(provider(pve), RUN, "db1", "why", EXPIRES, write=False)
    assert changes(pve) == []


def test_memory_only_when_asked_and_it_is_never_resumed(pve):
    mine = make(pve, memory=True)
    machine = pve.machines[100]
    assert mine.detail["consistency"] == "memory"
    assert machine.snapshots[mine.id.split("/")[1]]["vmstate"] == 1
    machine.power_log.clear()
    provider(pve, memory=True).revert(mine.id, "db1")
    assert machine.power_log == ["off", "off", "on", "off", "on"], "what the rollback started is turned off first"


@pytest.mark.parametrize(
    ("running", "agent", "consistency"), [(True, True, "quiesced"), (True, False, "crash"), (False, False, "off")]
)
def test_what_a_restore_point_is_consistent_with_is_said(pve, running, agent, consistency):
    pve.machines[100].running, pve.machines[100].agent = running, agent
    mine = make(pve)
    assert mine.detail["consistency"] == consistency
    assert bool(mine.detail["note"]) is (consistency == "crash")


REFUSED = {
    "locked": (lambda pve: pve.machines[100].config.update(lock="backup"), {}, "it is locked (backup)"),
    "no snapshots": (lambda pve: setattr(pve, "feature", 0), {}, "its disks hold no snapshots (thin)"),
    "no room": (lambda pve: pve.storage.update(avail=3 * GIB), {}, "storage thin has 3221225472 bytes free"),
    "inactive": (lambda pve: pve.storage.update(active=0), {}, "storage thin is not active"),
    "zfs": (lambda pve: pve.storage.update(type="zfspool"), {}, "is ZFS, which goes back to the newest snapshot only"),
    "no agent": (lambda pve: setattr(pve.machines[100], "agent", False), {"quiesce": "required"}, "does not answer"),
    "deep": (lambda pve: [pve.machines[100].snapshot(name) for name in "abc"], {}, "it is 3 snapshots deep"),
    "broken off": (lambda pve: pve.machines[100].snapshot("a", snapstate="prepare"), {}, "of 100/a was broken off"),
    "no uuid": (lambda pve: None, {"dmi_uuid": None}, "no dmi_uuid"),
    "no such": (lambda pve: None, {"dmi_uuid": "3" * 32}, "there is no machine of UUID"),
    "another": (lambda pve: None, {"vmid": 101}, "and VMID 101"),
    "other name": (lambda pve: None, {"name": "web1"}, "which is machine db1 (100)"),
    "template": (lambda pve: pve.templates.append(100), {}, "there is no machine of UUID"),
    "container": (lambda pve: setattr(pve.machines[100], "kind", "lxc"), {}, "there is no machine of UUID"),
    "twice": (lambda pve: pve.machines.update({102: Machine(102, "copy", UUID)}), {}, "there are 2 machines"),
    "node down": (lambda pve: pve.unknown.append(100), {}, "of 100 the node does not answer"),
}


@pytest.mark.parametrize("case", sorted(REFUSED))
def test_what_is_refused(pve, case):
    prepare, options, seen = REFUSED[case]
    prepare(pve)
    assert seen in provider(pve, **options).available("db1")
    with pytest.raises(PatchingError):
        provider(pve, **options).create(RUN, "db1", "why", EXPIRES)
    assert changes(pve) == []


def test_zfs_without_keeping_what_is_replaced(pve):
    pve.storage["type"] = "zfspool"
    mine = make(pve, keep_replaced=False)
    pve.machines[100].disk = "broken"
    done = provider(pve, keep_replaced=False).revert(mine.id, "db1")
    assert (pve.machines[100].disk, done["kept"]) == ("before", None)


def test_room_is_that_of_our_machines_storages(pve):
    assert provider(pve).rooms() == []
    make(pve)
    assert provider(pve).rooms() == [("storage", "thin of pve1 (localhost)", 100 * GIB, 50 * GIB)]


@pytest.mark.parametrize(
    ("behaviour", "seen", "tries"),
    [
        ((403, "Permission check failed (/vms/100, VM.Audit)"), "403 Permission check failed .*token's rights", 1),
        ((503, "Service Unavailable"), "503 Service Unavailable", 3),
        ((595, "No route to host"), "595 No route to host", 3),
        ((302, "Found"), "302 Found", 1),
        ("hang", "no answer in time", 3),
    ],
)
def test_an_api_that_does_not_answer_well(pve, behaviour, seen, tries):
    pve.fault("GET", "cluster/resources", behaviour, 9)
    with pytest.raises(PatchingError, match=seen) as raised:
        provider(pve, timeout_s=1 if behaviour == "hang" else 20).create(RUN, "db1", "why", EXPIRES)
    assert TOKEN not in str(raised.value)
    assert [path for _method, path, _form in pve.asked] == ["cluster/resources"] * tries
    assert changes(pve) == []


def test_a_task_that_is_none_is_refused_and_what_it_made_removed(pve):
    pve.fault("POST", "100/snapshot", ["no UPID"])
    with pytest.raises(PatchingError, match="POST /nodes/pve1/qemu/100/snapshot: an answer of another form"):
        make(pve)


def test_a_busy_api_is_asked_again(pve):
    pve.fault("GET", "cluster/resources", (503, "Service Unavailable"), 2)
    assert make(pve).host == "db1"


def test_a_wrong_token_is_said_without_its_secret(pve):
    pve.token_file.write_text("wrong-secret\n")
    with pytest.raises(PatchingError, match="401 authentication failure") as raised:
        provider(pve).list()
    assert "wrong-secret" not in str(raised.value)


def test_a_certificate_that_is_not_trusted(pve):
    with pytest.raises(PatchingError, match=r"its certificate is not trusted.*pve-root-ca.pem"):
        provider(pve, ca_file=None).list()
    assert provider(pve, ca_file=None, validate_certs=False).list() == []


@pytest.mark.parametrize("behaviour", ["lost", "hang", (500, "got timeout")])
def test_a_call_that_was_not_answered_leaves_nothing(pve, behaviour):
    pve.fault("POST", "100/snapshot", behaviour)
    with pytest.raises(PatchingError, match=r"no answer|got timeout"):
        make(pve, timeout_s=1 if behaviour == "hang" else 20)
    assert pve.machines[100].snapshots == {}
    assert "lock" not in pve.machines[100].config


def test_what_is_not_known_is_said(pve):
    pve.fault("POST", "100/snapshot", "lost")
    pve.fault("DELETE", "snapshot/hpr-.*", (503, "Service Unavailable"), 9)
    with pytest.raises(PatchingError, match=r"whether a snapshot was made is not known.*the next call takes it up"):
        make(pve)
    assert make(pve).run_id == RUN
    assert len(pve.machines[100].snapshots) == 1, "taken up, and no second one made"


def test_a_task_that_fails_is_no_restore_point(pve):
    pve.task_errors["qmsnapshot"] = "command 'lvcreate' failed: exit code 5"
    with pytest.raises(PatchingError, match=r"qmsnapshot of machine db1 \(100\): command 'lvcreate' failed"):
        make(pve)
    pve.task_errors["qmsnapshot"] = "WARNINGS: 1"
    assert make(pve).run_id == RUN


def test_a_task_that_takes_too_long_goes_on_and_is_taken_up(pve):
    pve.task_polls = 100
    with pytest.raises(GoesOn, match="has not ended after 5 s, and goes on"):
        make(pve, create_timeout_s=5)
    ((upid, _task),) = pve.tasks.items()
    pve.end(upid)
    pve.task_polls = 1
    assert make(pve).run_id == RUN
    assert len(pve.machines[100].snapshots) == 1


def test_a_revert_that_fails_is_undone(pve):
    mine, machine = make(pve), pve.machines[100]
    machine.disk = "broken"
    pve.task_errors["qmrollback"] = "volume is in use"
    with pytest.raises(PatchingError, match=r"volume is in use\) and was undone: the machine is running"):
        provider(pve).revert(mine.id, "db1")
    assert (machine.disk, machine.running, len(machine.snapshots)) == ("broken", True, 1)


def test_a_machine_that_does_not_start_gets_back_what_it_had(pve):
    mine, machine = make(pve), pve.machines[100]
    machine.disk, machine.agent = "broken", False
    with pytest.raises(PatchingError, match="its guest agent does not answer 5 s after its start"):
        provider(pve, start_timeout_s=5).revert(mine.id, "db1")
    assert machine.disk == "broken"
    machine.agent = True
    provider(pve).revert(mine.id, "db1")
    assert machine.disk == "before"


def test_a_guest_that_does_not_shut_down_is_turned_off(pve):
    mine, machine = make(pve), pve.machines[100]
    machine.shuts_down, machine.disk = False, "broken"
    provider(pve, stop_timeout_s=3).revert(mine.id, "db1")
    assert machine.disk == "before"
    assert ("POST", "nodes/pve1/qemu/100/status/stop") in changes(pve)


@pytest.mark.parametrize("step", ["snapshot", "go_to", "start", "describe"])
@pytest.mark.parametrize("after", [False, True])
def test_an_interrupted_revert_is_gone_on_with(pve, monkeypatch, step, after):
    mine, machine = make(pve), pve.machines[100]
    machine.disk = "broken"
    real = getattr(ProxmoxRevert, step)

    def ending(*args):
        if after:
            real(*args)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(ProxmoxRevert, step, ending)
        with pytest.raises(KeyboardInterrupt):
            provider(pve).revert(mine.id, "db1")
    begun = (step, after) not in (("snapshot", False), ("describe", True))
    if begun:
        with pytest.raises(PatchingError, match="was begun and has not ended"):
            provider(pve).present(RUN, "db1")
        with pytest.raises(PatchingError, match="was begun and has not ended"):
            provider(pve).delete(mine.id)
        assert "was begun and has not ended" in provider(pve).available("db1")
    done = provider(pve).revert(mine.id, "db1")
    assert done["resumed"] is begun
    assert (machine.disk, machine.running) == ("before", True)
    assert machine_records.read_description(machine.snapshots[done["kept"].split("/")[1]]["description"])["revert"] == (
        "ended"
    )


def test_a_snapshot_removed_behind_our_back(pve):
    mine = make(pve)
    pve._delete(pve.machines[100], mine.id.split("/")[1])
    assert (provider(pve).list(), provider(pve).present(RUN, "db1")) == ([], None)
    assert not provider(pve).delete(mine.id)
    with pytest.raises(PatchingError, match="no such snapshot of ours"):
        provider(pve).revert(mine.id, "db1")
    assert changes(pve) == [("POST", "nodes/pve1/qemu/100/snapshot")]


@pytest.mark.parametrize(
    ("options", "seen"),
    [
        ({"server": None}, "neither server nor PROXMOX_HOST"),
        ({"server": "pve1/x"}, "the name or address of a node"),
        ({"token_id": None}, "neither token_id nor PROXMOX_TOKEN_ID"),
        ({"token_id": "root@pam"}, "USER@REALM!NAME of an API token"),
        ({"token_file": None}, "neither token_file nor PROXMOX_TOKEN_SECRET"),
        ({"token_file": "/nowhere/token"}, "token_file /nowhere/token cannot be read"),
        ({"ca_file": "/nowhere/ca"}, "ca_file /nowhere/ca cannot be read"),
        ({"poll_s": 0}, "poll_s is 0; expected 1 or more"),
        ({"quiesce": "none"}, "one of required, preferred"),
        ({"password": "x"}, "unknown option password"),
    ],
)
def test_a_login_that_is_not_whole_is_refused(pve, options, seen):
    with pytest.raises(PatchingError, match=seen):
        provider(pve, **options).list()
    assert pve.asked == []


def test_a_secret_that_others_can_read_is_refused(pve):
    os.chmod(str(pve.token_file), 0o644)
    with pytest.raises(PatchingError, match=r"token_file \S+ is open to others"):
        provider(pve).list()


def test_the_login_may_come_from_the_environment(pve, monkeypatch):
    for name, value in (("HOST", "localhost"), ("TOKEN_ID", TOKEN_ID), ("TOKEN_SECRET", TOKEN)):
        monkeypatch.setenv("PROXMOX_" + name, value)
    assert provider(pve, server=None, token_id=None, token_file=None).list() == []
    assert registry.PROVIDERS["proxmox"] is ProxmoxProvider
