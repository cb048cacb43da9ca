# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots of virtual machines, against VMware's own vCenter simulator with the additions of tests/support/vcenter.

The simulator has no disks: a machine's annotation stands for what is on them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner
from ansible_collections.hospital.patching.plugins.module_utils.snapshots import keeping, vsphere_machine
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.base import Snapshot
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.registry import create_provider
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.vsphere import VsphereProvider
from tests.snapshots.conftest import EXPIRES, OTHER, RUN, Killed, QuickClock
from tests.support.modules import call_here
from tests.support.vcenter.front import PASSWORD, SIMULATOR, USER, Front, vcenter

if not SIMULATOR.exists():
    pytest.skip("the vCenter simulator is not built (tools/vcenter_simulator.sh)", allow_module_level=True)

pytest.importorskip("pyVmomi", reason="pyVmomi is not here (pip install pyvmomi)")

from pyVmomi import vim

from tests.snapshots.vcenter_site import Site

HOST = "db1"
#: What a revert changes, one call a word; each one is a point to be interrupted at.
CHANGES = ["ShutdownGuest", "CreateSnapshot", "RevertToSnapshot", "PowerOnVM", "RenameSnapshot"]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("vcenter")


@pytest.fixture(scope="module")
def front(certificates: Path) -> Iterator[Front]:
    with vcenter(certificates) as running:
        yield running


@pytest.fixture(autouse=True)
def login(front: Front, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A login in the environment, as AWX gives it; and no trouble yet."""
    monkeypatch.setenv("VMWARE_HOST", "127.0.0.1")
    monkeypatch.setenv("VMWARE_USER", USER)
    monkeypatch.setenv("VMWARE_PASSWORD", PASSWORD)
    yield
    front.trouble = lambda _operation: None


@pytest.fixture
def clock() -> QuickClock:
    return QuickClock()


@pytest.fixture
def site(front: Front, certificates: Path, clock: QuickClock) -> Iterator[Site]:
    made = Site(front, certificates, clock)
    yield made
    front.trouble = lambda _operation: None
    made.clear()
    made.owner.close()


def secure(provider: VsphereProvider, run: str = RUN, host: str = HOST) -> Snapshot:
    kept = keeping.present(provider, run, host, "before the monthly update", EXPIRES)
    assert kept.snapshot is not None
    return kept.snapshot


def refusal(work: Callable[[], Any]) -> str:
    with pytest.raises(PatchingError) as raised:
        work()
    assert PASSWORD not in str(raised.value)
    return str(raised.value)


def test_create_change_revert_and_unchanged_again(site):
    site.write("version 1")
    provider = site.provider()
    before = keeping.present(provider, RUN, HOST, "monthly", EXPIRES, write=False)
    assert before == (True, None)
    assert site.snapshots() == []  # check mode made nothing
    made = secure(provider)
    assert (made.run_id, made.host, made.reason, made.created, made.expires) == (
        *(RUN, HOST, "before the monthly update"),
        *("2026-11-22T03:45:00Z", EXPIRES),
    )
    assert site.snapshots() == [made.id]
    assert made.detail["consistency"] == "quiesced"
    again = keeping.present(provider, RUN, HOST, "monthly", EXPIRES)
    assert (again.changed, again.snapshot) == (False, made)

    site.write("version 2, broken")
    site.clock.passed += 900
    snapshot = keeping.require(provider, made.id, RUN, HOST)
    done = provider.revert(snapshot.id, HOST)
    assert site.disks() == "version 1"
    assert site.power() == "poweredOn"
    assert done["tools"] == "guestToolsRunning"
    assert done["resumed"] is False
    assert 900 <= done["lost_s"] < 930

    # What was replaced is kept as long as the restore point was to be, and is a snapshot of ours, but no restore point.
    kept = next(one for one in provider.list() if one.id == done["kept"])
    assert (kept.detail["kind"], kept.detail["of"], kept.detail["revert"]) == ("set_aside", made.id, "ended")
    assert kept.expires == done["kept_until"] > EXPIRES
    assert secure(provider).id == made.id
    assert provider.revert(kept.id, HOST)["power_state"] == "poweredOn"
    assert site.disks() == "version 2, broken"

    for one in provider.list():
        assert keeping.absent(provider, RUN, one.id).changed is True
    assert site.snapshots() == []
    assert keeping.absent(provider, RUN, made.id).changed is False
    assert site.disks() == "version 2, broken"


def test_retention_deletes_exactly_ours(site):
    provider = site.provider()
    name = f"hospital.patching {RUN}"
    older = site.foreign(name)
    made = secure(provider)
    newer = site.foreign(name)
    assert len(site.snapshots()) == 3
    assert made.detail["name"] == name
    assert [one.id for one in provider.list()] == [made.id]
    for foreign in (older, newer):
        assert keeping.absent(provider, RUN, foreign).changed is False
        assert provider.delete(foreign) is False
        assert "no such snapshot" in refusal(lambda one=foreign: keeping.require(provider, one, RUN, HOST))
        assert "has no such snapshot of ours" in refusal(lambda one=foreign: provider.revert(one, HOST))
    assert f"belongs to run {RUN}" in refusal(lambda: keeping.absent(provider, OTHER, made.id))
    assert keeping.absent(provider, RUN, made.id).changed is True
    assert site.snapshots() == [older, newer]


def test_a_copied_description_is_foreign_on_another_machine(site):
    made = secure(site.provider())
    text = next(
        one.description for one in vsphere_machine.read_tree(site.facts("snapshot")).snapshots if one.id == made.id
    )
    copied = site.foreign("copied", text, "DC0_H0_VM1")
    assert [one.id for one in site.provider().list()] == [made.id]
    assert site.provider().delete(copied) is False
    assert site.snapshots("DC0_H0_VM1") == [copied]


def test_orphans_are_swept_by_their_owner(site):
    """A run that was killed right after its snapshots were made is found by run and host, and nobody else's go."""
    with pytest.raises(Killed):
        secure(site.struck(0, "killed after"))
    other = secure(site.provider("DC0_H0_VM1"), OTHER, "db2")
    sweep = site.provider(dmi_uuid=None)  # housekeeping knows no machine
    (room,) = sweep.rooms()
    assert (room.kind, room.name) == ("datastore", "LocalDS_0 of 127.0.0.1")
    assert 0 < room.free_bytes <= room.size_bytes
    orphans = sweep.list(RUN)
    assert [(one.host, one.run_id) for one in orphans] == [(HOST, RUN)]
    assert [keeping.absent(sweep, RUN, one.id).changed for one in orphans] == [True]
    assert sweep.list() == [other]
    assert site.snapshots() == []
    keeping.absent(sweep, OTHER, other.id)
    assert sweep.rooms() == []  # nothing of ours is anywhere
    assert [one.name for one in site.provider().rooms()] == [room.name]


def test_a_killed_call_is_taken_up_and_makes_no_second_one(site):
    with pytest.raises(Killed):
        secure(site.struck(0, "killed after"))
    left = site.snapshots()
    assert len(left) == 1
    assert secure(site.provider()).id == left[0]
    assert site.snapshots() == left


def test_a_snapshot_still_in_the_making_is_waited_for(site):
    """The task of a killed call runs on; the next call takes its snapshot up."""
    site.behave(quiesce="late")
    with pytest.raises(Killed):
        secure(site.struck(0, "killed after"))
    assert site.snapshots() == []
    assert "createSnapshot" in str(site.provider().available(HOST))

    def let_go() -> None:
        site.clock.meanwhile = lambda: None
        site.behave(quiesce="")

    site.clock.meanwhile = let_go
    made = secure(site.provider())
    assert site.snapshots() == [made.id]
    assert made.detail["consistency"] == "quiesced"


def test_a_snapshot_removed_behind_our_back(site):
    provider = site.provider()
    made = secure(provider)
    site.task(site.owner.snapshot(made.id).RemoveSnapshot_Task(removeChildren=False))
    said = refusal(lambda: provider.revert(made.id, HOST))
    assert "has no such snapshot of ours" in said
    assert "roll the packages back" in said
    assert "no such snapshot" in refusal(lambda: keeping.require(provider, made.id, RUN, HOST))
    assert provider.delete(made.id) is False
    assert provider.list() == []


def test_an_edited_description_is_ours_no_more(site):
    provider = site.provider()
    made = secure(provider)
    site.owner.snapshot(made.id).RenameSnapshot(name="keep this!", description="Dr. Roe wants it")
    assert provider.list() == []
    assert provider.delete(made.id) is False
    assert site.snapshots() == [made.id]


@pytest.mark.parametrize(
    ("at", "how"),
    [
        (at, how) if (at, how) == (2, "killed after") else pytest.param(at, how, marks=pytest.mark.slow)
        for at in range(len(CHANGES))
        for how in ("killed before", "killed after")
    ],
)
def test_a_revert_that_was_broken_off_anywhere_is_ended_by_the_next_call(site, at, how):
    site.write("version 1")
    made = secure(site.provider())
    site.write("version 2")
    provider = site.struck(at, how)
    with pytest.raises(Killed):
        provider.revert(made.id, HOST)
    assert site.watched.changes == CHANGES[: at + 1]
    begun = at >= 2 or (at == 1 and how == "killed after")
    over = at == 4 and how == "killed after"
    if begun and not over:
        assert "was begun and has not ended" in str(site.provider().available(HOST))
        assert "was begun and has not ended" in refusal(lambda: secure(site.provider()))
        assert "has not ended" in refusal(lambda: site.provider().delete(made.id))
    done = site.provider().revert(made.id, HOST)
    assert done["resumed"] is (begun and not over)
    assert site.disks() == "version 1"
    assert site.power() == "poweredOn"
    assert site.provider().available(HOST) is None
    kept = [one for one in site.provider().list() if one.detail["kind"] == "set_aside"]
    assert [one.detail["revert"] for one in kept] == ["ended"] * len(kept)
    assert len(kept) == (2 if over else 1)  # a second revert was asked for after the first one's end


def test_another_revert_is_refused_while_one_is_under_way(site):
    first, second = secure(site.provider()), secure(site.provider(), OTHER)
    with pytest.raises(Killed):
        site.struck(2, "killed after").revert(first.id, HOST)
    assert f"a revert to {first.id} is under way" in refusal(lambda: site.provider().revert(second.id, HOST))
    assert site.provider().revert(first.id, HOST)["resumed"] is True


def test_a_revert_that_fails_is_undone(site):
    site.write("version 1")
    site.behave(revert="fails")
    made = secure(site.provider())
    site.write("version 2")
    said = refusal(lambda: site.provider().revert(made.id, HOST))
    assert "FileFault" in said
    assert f"was undone: the machine is poweredOn, on top of snapshot {made.id}" in said
    assert (site.disks(), site.power()) == ("version 2", "poweredOn")
    assert site.snapshots() == [made.id]


def test_a_machine_that_does_not_start_from_its_snapshot_gets_the_old_state_back(site):
    site.write("version 1")
    made = secure(site.provider())
    site.write("version 2")
    site.behave(power_on="version 1")
    said = refusal(lambda: site.provider().revert(made.id, HOST))
    assert "PowerOnVM: FileFault" in said
    assert "was undone: the machine is poweredOn" in said
    assert (site.disks(), site.power()) == ("version 2", "poweredOn")
    assert site.snapshots() == [made.id]

    said = refusal(lambda: site.provider(keep_replaced=False).revert(made.id, HOST))
    assert "nothing was kept to go back to; the machine is poweredOff" in said
    assert site.disks() == "version 1"
    site.behave(power_on="")
    assert site.provider(keep_replaced=False).revert(made.id, HOST)["kept"] is None
    assert site.power() == "poweredOn"


def test_a_guest_that_does_not_come_up_is_undone(site):
    site.write("version 1")
    made = secure(site.provider())
    site.write("version 2")
    site.behave(tools="dead")
    said = refusal(lambda: site.provider().revert(made.id, HOST))
    assert "VMware Tools do not run 30 s after its start" in said
    # It cannot come up as it was either: the message tells what runs, and the state before is what runs.
    assert "undoing it failed as well" in said
    assert "the machine is poweredOn" in said
    assert site.disks() == "version 2"
    assert site.provider(wait_for_tools=False).revert(made.id, HOST)["tools"] == "guestToolsNotRunning"


def test_a_snapshot_that_vanishes_during_its_revert_leaves_the_old_state(site):
    site.write("version 1")
    made = secure(site.provider())
    site.write("version 2")
    with pytest.raises(Killed):
        site.struck(2, "killed before").revert(made.id, HOST)
    assert site.power() == "poweredOff"
    site.task(site.owner.snapshot(made.id).RemoveSnapshot_Task(removeChildren=False))
    said = refusal(lambda: site.provider().revert(made.id, HOST))
    assert "it was removed while a revert to it was under way" in said
    assert "was undone: the machine is poweredOn" in said
    assert (site.disks(), site.snapshots()) == ("version 2", [])


@pytest.mark.parametrize("shutdown", ["ignored", ""])
def test_a_guest_that_does_not_shut_down_is_turned_off(site, shutdown):
    site.behave(shutdown=shutdown)
    made = secure(site.provider())
    provider = site.struck()
    provider.revert(made.id, HOST)
    assert ("PowerOffVM" in site.watched.changes) is bool(shutdown)


def test_a_machine_that_is_off_is_secured_and_ends_up_on(site):
    site.task(site.machine().PowerOffVM_Task())
    made = secure(site.provider())
    assert (made.detail["consistency"], made.detail["power_state"]) == ("off", "poweredOff")
    assert site.provider().revert(made.id, HOST)["power_state"] == "poweredOn"


@pytest.mark.parametrize(
    ("how", "note"),
    [("fails", "ApplicationQuiesceFault"), ("hangs", "not done within 30 s"), ("dead", "Tools do not")],
)
def test_a_guest_that_cannot_be_quiesced_has_a_stated_fallback(site, how, note):
    if how == "dead":
        site.behave(tools="dead")
        site.task(site.machine().PowerOffVM_Task())
        site.task(site.machine().PowerOnVM_Task())
    else:
        site.behave(quiesce=how)
    said = refusal(lambda: secure(site.provider(quiesce="required")))
    assert note in said
    assert "quiesce: preferred" in said
    assert site.snapshots() == []
    made = secure(site.provider())
    assert made.detail["consistency"] == "crash"
    assert made.detail["note"].startswith("not quiesced: ")
    assert note in made.detail["note"]
    assert len(site.snapshots()) == 1


def test_what_is_asked_for_is_made(site):
    assert secure(site.provider(quiesce="none")).detail["consistency"] == "crash"
    assert secure(site.provider(memory=True), OTHER).detail["consistency"] == "memory"


def test_a_quiesced_snapshot_that_comes_late_is_taken(site, front):
    """It cannot be cancelled, and ends well."""
    site.behave(quiesce="late")

    def let_go() -> None:
        if "CancelTask" in front.asked:
            site.clock.meanwhile = lambda: None
            site.behave(quiesce="")

    front.asked.clear()
    site.clock.meanwhile = let_go
    made = secure(site.provider())
    assert (made.detail["consistency"], made.detail["note"]) == ("quiesced", None)
    assert site.snapshots() == [made.id]


def test_a_machine_that_is_not_the_host_is_refused(site):
    uuid = site.machines["DC0_H0_VM1"][1]
    provider = site.provider(name="DC0_H0_VM0", dmi_uuid=uuid)
    said = refusal(lambda: secure(provider))
    assert "its firmware says UUID" in said
    assert "is the machine DC0_H0_VM1" in said
    assert "the machine that patching_snapshot names, name DC0_H0_VM0" in said
    gone = site.provider(dmi_uuid="11111111-2222-3333-4444-555555555555")
    assert "there is no machine of UUID 11111111-2222-3333-4444-555555555555 or 11111111-" in refusal(
        lambda: secure(gone)
    )
    assert "no dmi_uuid" in refusal(lambda: secure(site.provider(dmi_uuid=None)))
    assert "'portal1'" in refusal(lambda: secure(site.provider(dmi_uuid="portal1")))
    made = secure(site.provider())
    other = site.provider("DC0_H0_VM1")
    said = refusal(lambda: other.revert(made.id, HOST))
    assert "machine DC0_H0_VM1 (" in said
    assert "has no such snapshot of ours" in said
    assert "is of host db1" in refusal(lambda: site.provider().revert(made.id, "db2"))
    assert site.snapshots("DC0_H0_VM1") == []
    assert site.snapshots() == [made.id]


def test_both_orders_of_the_firmwares_uuid_are_understood(site):
    moid, uuid = site.machines["DC0_H0_VM0"]
    first, second, third, rest = uuid.split("-", 3)
    turned = "-".join(
        [
            *("".join(reversed([one[at : at + 2] for at in range(0, len(one), 2)])) for one in (first, second, third)),
            rest,
        ]
    )
    pairs = [uuid.replace("-", "")[at : at + 2] for at in range(0, 32, 2)]
    serial = f"VMware-{' '.join(pairs[:8])}-{' '.join(pairs[8:])}"
    for form in (turned, turned.upper(), serial):
        provider = site.provider(dmi_uuid=form, moid=moid)
        assert provider.available(HOST) is None, form


def test_a_copy_with_the_same_uuid_is_refused_until_the_machine_is_named(site):
    moid, uuid = site.machines["DC0_H0_VM0"]
    theirs = site.machines["DC0_H0_VM1"][1]
    site.task(site.machine("DC0_H0_VM1").ReconfigVM_Task(vim.vm.ConfigSpec(uuid=uuid)))
    try:
        assert "2 machines have its UUID" in refusal(lambda: secure(site.provider()))
        assert secure(site.provider(moid=moid)).detail["machine"] == moid
    finally:
        site.task(site.machine("DC0_H0_VM1").ReconfigVM_Task(vim.vm.ConfigSpec(uuid=theirs)))


def test_before_too_little_space_a_long_chain_and_a_backup_are_refused(site):
    said = refusal(lambda: secure(site.provider(min_free_bytes=10**18)))
    assert "datastore LocalDS_0 has " in said
    assert " bytes free" in said
    for number in range(3):
        site.foreign(f"a test {number}")
    said = refusal(lambda: secure(site.provider()))
    assert "3 snapshots lie under its present state already (a test 0, a test 1, a test 2)" in said
    assert site.provider(max_depth=4).available(HOST) is None
    site.foreign("VEEAM BACKUP TEMPORARY SNAPSHOT")
    assert "a backup program's snapshot is there: VEEAM" in refusal(lambda: secure(site.provider(max_depth=9)))
    assert site.provider(max_depth=9, heed_backups=False).available(HOST) is None
    assert len(site.snapshots()) == 4


def test_a_wrong_login_is_said_without_the_password(site, monkeypatch, tmp_path):
    monkeypatch.setenv("VMWARE_PASSWORD", PASSWORD + "!")
    said = refusal(lambda: site.provider().available(HOST))
    assert "InvalidLogin" in said
    assert "correct user and password" in said
    secret = tmp_path / "password"
    secret.write_text(PASSWORD + "\n")
    secret.chmod(0o644)
    assert "open to others" in refusal(lambda: site.provider(password_file=str(secret)).available(HOST))
    secret.chmod(0o600)
    assert site.provider(password_file=str(secret)).available(HOST) is None


def test_an_untrusted_certificate_is_refused(site):
    assert "its certificate is not trusted" in refusal(lambda: site.provider(ca_file=None).available(HOST))
    assert site.provider(ca_file=None, validate_certs=False).available(HOST) is None


@pytest.mark.parametrize("operation", ["versions", "Login", "FindAllByUuid", "RetrievePropertiesEx"])
def test_an_api_that_answers_503_is_asked_again_and_then_named(site, front, operation):
    broken = [1]

    def trouble(asked: str) -> str | None:
        if asked == operation and broken:
            broken.pop()
            return "503"
        return None

    front.trouble = trouble
    assert site.provider().available(HOST) is None
    assert broken == []
    front.trouble = lambda asked: "503" if asked == operation else None
    said = refusal(lambda: site.provider().available(HOST))
    assert "vCenter 127.0.0.1" in said
    assert "503" in said or "is down or is not a VIM server" in said


@pytest.mark.parametrize("operation", ["versions", "RetrieveServiceContent", "RetrievePropertiesEx"])
def test_an_api_that_hangs_is_given_up_in_time(site, front, operation):
    front.trouble = lambda asked: "hangs" if asked == operation else None
    started = time.monotonic()
    said = refusal(lambda: site.provider(timeout_s=1, attempts=1).available(HOST))
    assert time.monotonic() - started < 8
    assert "no answer in time" in said


def test_an_api_that_is_not_there_is_said(site):
    assert "no answer" in refusal(lambda: site.provider(port=1).available(HOST))


@pytest.mark.parametrize("how", ["lost before", "lost after", "503"])
def test_a_change_whose_answer_is_lost_is_not_repeated_and_leaves_nothing(site, front, how):
    front.trouble = lambda asked: how if asked == "CreateSnapshot_Task" else None
    front.asked.clear()
    said = refusal(lambda: secure(site.provider()))
    assert "CreateSnapshot" in said
    assert front.asked.count("CreateSnapshot_Task") == 1
    assert site.snapshots() == []


def test_an_api_that_dies_during_the_call_says_that_it_is_not_known(site, front):
    dead: list[int] = []

    def trouble(asked: str) -> str | None:
        if asked == "CreateSnapshot_Task":
            dead.append(1)
            return "lost after"
        return "503" if dead else None

    front.trouble = trouble
    said = refusal(lambda: secure(site.provider()))
    assert "whether a snapshot was made is not known" in said
    assert "the next call takes it up" in said
    front.trouble = lambda _asked: None
    left = site.snapshots()
    assert len(left) == 1
    assert secure(site.provider()).id == left[0]


def test_a_busy_api_during_a_task_is_asked_again(site, front):
    """vCenter restarts while the snapshot is made: polls fail, the session is gone, the work goes on."""
    left = [1, 1, 1]

    def trouble(asked: str) -> str | None:
        if "CreateSnapshot_Task" in front.asked and asked == "RetrievePropertiesEx" and left:
            left.pop()
            return "503"
        return None

    front.asked.clear()
    front.trouble = trouble
    assert secure(site.provider()).detail["consistency"] == "quiesced"
    assert left == []


def test_a_session_that_a_restart_of_vcenter_ended_is_opened_anew(site, front):
    lost = [1]

    def trouble(asked: str) -> str | None:
        if asked == "FindAllByUuid" and lost:
            lost.pop()
            return "session lost"
        return None

    front.asked.clear()
    front.trouble = trouble
    assert site.provider().available(HOST) is None
    assert (lost, front.asked.count("Login")) == ([], 2)


def test_every_session_is_closed(site, front):
    front.asked.clear()
    provider = site.provider()
    made = secure(provider)
    provider.list()
    refusal(lambda: provider.revert("snapshot-0", HOST))
    provider.delete(made.id)
    assert front.asked.count("Login") == front.asked.count("Logout") > 0


def test_two_calls_at_once_do_not_disturb_others(site):
    """Two hosts of one run at the same time."""
    made: dict[str, Snapshot] = {}

    def work(name: str, host: str) -> None:
        made[host] = secure(site.provider(name), RUN, host)

    threads = [threading.Thread(target=work, args=pair) for pair in (("DC0_H0_VM0", HOST), ("DC0_H0_VM1", "db2"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert site.snapshots() == [made[HOST].id]
    assert site.snapshots("DC0_H0_VM1") == [made["db2"].id]


def module(name: str, site: Site, **options: Any) -> dict[str, Any]:
    """Call a module of the collection on this machine, as a playbook would."""
    given = {**site.common, "dmi_uuid": site.machines["DC0_H0_VM0"][1]}
    answer = call_here(name, {}, provider="vsphere", options=given, **options)
    assert PASSWORD not in str(answer)
    return answer


def test_the_modules_do_it_from_a_playbook(site):
    site.write("version 1")
    made = module("host_snapshot", site, run_id=RUN, host=HOST, reason="monthly")
    assert made["changed"] is True
    site.write("version 2")
    done = module("host_snapshot_rollback", site, run_id=RUN, host=HOST, id=made["snapshot"]["id"])
    assert done["reverted"]["power_state"] == "poweredOn"
    assert site.disks() == "version 1"
    gone = module("host_snapshot", site, state="absent", run_id=RUN, host=HOST, id=made["snapshot"]["id"])
    assert gone["changed"] is True


def test_the_registry_knows_it():
    assert isinstance(create_provider("vsphere", {}, Runner(), Clock()), VsphereProvider)
