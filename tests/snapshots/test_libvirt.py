# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots of domains, against a real libvirtd with emulated machines in a view of its own.

The machines have no operating system: what is on their disks is written by qemu-io while they are off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.runner import Result
from ansible_collections.hospital.patching.plugins.module_utils.snapshots import keeping
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.base import Snapshot
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.libvirt import LibvirtProvider
from tests.snapshots.conftest import EXPIRES, OTHER, RUN, Killed, QuickClock
from tests.snapshots.domains import HOST, OTHERS, TURNED, UUID, Site, Watched, two_domains
from tests.support.hypervisor import Hypervisor, missing

pytestmark = [pytest.mark.slow, pytest.mark.skipif(missing() is not None, reason=str(missing()))]

#: What a revert of a domain that is off changes; each one is a point to be interrupted at.
CHANGES = ["snapshot-create-as", "snapshot-revert", "start", "snapshot-create"]


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hypervisor]:
    with two_domains(tmp_path_factory.mktemp("hypervisor")) as running:
        yield running


@pytest.fixture
def site(machine: Hypervisor) -> Iterator[Site]:
    made = Site(machine, QuickClock())
    yield made
    made.clear()


def secure(provider: LibvirtProvider, run: str = RUN, host: str = HOST) -> Snapshot:
    kept = keeping.present(provider, run, host, "before the monthly update", EXPIRES)
    assert kept.snapshot is not None
    return kept.snapshot


def refusal(work: Callable[[], Any]) -> str:
    with pytest.raises(PatchingError) as raised:
        work()
    return str(raised.value)


def test_create_change_revert_and_unchanged_again(site):
    site.write(0x11)
    provider = site.provider()
    assert keeping.present(provider, RUN, HOST, "monthly", EXPIRES, write=False) == (True, None)
    assert site.snapshots() == []
    made = secure(provider)
    assert (made.run_id, made.host, made.expires) == (RUN, HOST, EXPIRES)
    assert made.id == f"{UUID}/{site.snapshots()[0]}"
    assert made.detail["consistency"] == "off"
    again = keeping.present(provider, RUN, HOST, "monthly", EXPIRES)
    assert (again.changed, again.snapshot) == (False, made)

    site.write(0x22)
    assert site.holds(0x22)
    snapshot = keeping.require(provider, made.id, RUN, HOST)
    done = provider.revert(snapshot.id, HOST)
    assert site.holds(0x11)
    assert (done["power_state"], site.power()) == ("running", "running")
    kept = next(one for one in provider.list() if one.id == done["kept"])
    assert (kept.detail["kind"], kept.detail["of"], kept.detail["revert"]) == ("set_aside", made.id, "ended")

    assert provider.revert(kept.id, HOST)["resumed"] is False
    assert site.holds(0x22)
    for one in provider.list():
        assert keeping.absent(provider, RUN, one.id).changed is True
    assert site.snapshots() == []
    assert site.holds(0x22)


def test_a_running_domain_is_secured_with_its_memory_only_when_asked(site):
    site.write(0x11)
    site.machine.ask("start", UUID)
    said = refusal(lambda: secure(site.provider()))
    assert "it is running, and a snapshot within its images would hold its memory as well" in said
    assert "memory: true" in said
    assert "its guest agent does not answer" in refusal(lambda: secure(site.provider(memory=True, quiesce="required")))
    assert site.snapshots() == []
    made = secure(site.provider(memory=True))
    assert (made.detail["consistency"], made.detail["power_state"]) == ("memory", "running")
    assert made.detail["note"] == "not quiesced: its guest agent does not answer"
    assert site.power() == "running"
    site.off()
    site.write(0x22)
    site.machine.ask("start", UUID)
    began = site.machine.run("sh", "-c", "cat /run/libvirt/qemu/db1.pid")
    runner = Watched()
    done = site.provider(runner).revert(made.id, HOST)
    assert site.holds(0x11)
    assert done["power_state"] == "running"
    # Not the memory of then: after the revert it was turned off, and started anew.
    assert runner.changes[-4:] == ["snapshot-revert", "destroy", "start", "snapshot-create"]
    assert site.machine.run("sh", "-c", "cat /run/libvirt/qemu/db1.pid") != began


def test_retention_deletes_exactly_ours(site):
    provider = site.provider()
    site.machine.ask("snapshot-create-as", UUID, "before-lunch", "somebody's")
    made = secure(provider)
    name = made.detail["name"]
    # The same name on another machine, and on this one after ours was deleted by somebody.
    site.machine.ask("snapshot-create-as", OTHERS, name, "somebody's")
    foreign = f"{OTHERS}/{name}"
    assert [one.id for one in provider.list()] == [made.id]
    assert provider.delete(foreign) is False
    assert "no such snapshot" in refusal(lambda: keeping.require(provider, foreign, RUN, HOST))
    assert f"belongs to run {RUN}" in refusal(lambda: keeping.absent(provider, OTHER, made.id))
    assert keeping.absent(provider, RUN, made.id).changed is True
    site.machine.ask("snapshot-create-as", UUID, name, "somebody's")
    assert keeping.absent(provider, RUN, made.id).changed is False
    assert provider.delete(made.id) is False
    assert "has no such snapshot of ours" in refusal(lambda: provider.revert(made.id, HOST))
    assert (sorted(site.snapshots()), site.snapshots(OTHERS)) == (sorted(["before-lunch", name]), [name])


def test_orphans_are_swept_by_their_owner(site):
    with pytest.raises(Killed):
        secure(site.provider(Watched(0, "killed after")))
    other = secure(site.provider(dmi_uuid=OTHERS), OTHER, "db2")
    sweep = site.provider(dmi_uuid=None)
    orphans = sweep.list(RUN)
    assert [(one.host, one.run_id) for one in orphans] == [(HOST, RUN)]
    assert [keeping.absent(sweep, RUN, one.id).changed for one in orphans] == [True]
    assert sweep.list() == [other]


def test_a_killed_call_is_taken_up_and_makes_no_second_one(site):
    with pytest.raises(Killed):
        secure(site.provider(Watched(0, "killed after")))
    left = site.snapshots()
    assert secure(site.provider()).detail["name"] == left[0]
    assert site.snapshots() == left
    rooms = site.provider(dmi_uuid=None).rooms()
    assert [(one.kind, one.name) for one in rooms] == [("pool", "images of libvirt qemu:///system")]
    assert 0 < rooms[0].free_bytes <= rooms[0].size_bytes


def test_a_snapshot_removed_behind_our_back(site):
    provider = site.provider()
    made = secure(provider)
    site.machine.ask("snapshot-delete", UUID, made.detail["name"])
    said = refusal(lambda: provider.revert(made.id, HOST))
    assert "has no such snapshot of ours" in said
    assert "roll the packages back" in said
    assert provider.delete(made.id) is False


@pytest.mark.parametrize("how", ["killed before", "killed after"])
@pytest.mark.parametrize("at", range(len(CHANGES)))
def test_a_revert_that_was_broken_off_anywhere_is_ended_by_the_next_call(site, at, how):
    site.write(0x11)
    made = secure(site.provider())
    site.write(0x22)
    runner = Watched(at, how)
    with pytest.raises(Killed):
        site.provider(runner).revert(made.id, HOST)
    assert runner.changes == CHANGES[: at + 1]
    begun = at >= 1 or how == "killed after"
    over = at == 3 and how == "killed after"
    if begun and not over:
        assert "was begun and has not ended" in str(site.provider(memory=True).available(HOST))
        assert "was begun and has not ended" in refusal(lambda: secure(site.provider()))
        assert "has not ended" in refusal(lambda: site.provider().delete(made.id))
    done = site.provider().revert(made.id, HOST)
    assert done["resumed"] is (begun and not over)
    assert (site.holds(0x11), site.power()) == (True, "running")
    kept = [one for one in site.provider().list() if one.detail["kind"] == "set_aside"]
    assert {one.detail["revert"] for one in kept} == {"ended"}


def test_a_revert_broken_off_with_the_old_memory_loaded_is_ended_without_it(site):
    site.write(0x11)
    site.machine.ask("start", UUID)
    made = secure(site.provider(memory=True))
    runner = Watched(3, "killed after")  # shutdown, destroy, what is set aside, revert
    with pytest.raises(Killed):
        site.provider(runner).revert(made.id, HOST)
    assert runner.changes == ["shutdown", "destroy", "snapshot-create-as", "snapshot-revert"]
    assert site.power() == "paused"
    again = Watched()
    assert site.provider(again).revert(made.id, HOST)["resumed"] is True
    assert again.changes == ["destroy", "start", "snapshot-create"]
    assert site.power() == "running"


def test_a_machine_that_does_not_start_gets_the_old_state_back(site):
    site.write(0x11)
    made = secure(site.provider())
    site.write(0x22)

    class Failing(Watched):
        """The first start fails, as with a device that is in use."""

        def run(self, args: list[str], *rest: Any, **named: Any) -> Result:
            if "start" in args and "start" not in self.changes:
                self.changes.append("start")
                return Result(args, 1, "", "error: internal error: device is in use")
            return super().run(args, *rest, **named)

    said = refusal(lambda: site.provider(Failing()).revert(made.id, HOST))
    assert "virsh start: internal error: device is in use" in said
    assert "was undone: the machine is running" in said
    assert site.holds(0x22)
    assert site.snapshots() == [made.detail["name"]]


def test_a_domain_that_is_not_the_host_is_refused(site):
    assert site.provider(dmi_uuid=TURNED).available(HOST) is None
    said = refusal(lambda: secure(site.provider(name="db2")))
    assert f"its firmware says UUID {UUID}, which is the domain db1" in said
    assert "there is no domain of UUID" in refusal(lambda: secure(site.provider(dmi_uuid=OTHERS[:-1] + "6")))
    assert "no dmi_uuid" in refusal(lambda: secure(site.provider(dmi_uuid=None)))
    made = secure(site.provider())
    assert "is of host db1" in refusal(lambda: site.provider().revert(made.id, "db2"))
    other = site.provider(dmi_uuid=OTHERS)
    said = refusal(lambda: other.revert(made.id, "db2"))
    assert "machine db2 (" in said
    assert "has no such snapshot of ours" in said


def test_before_too_little_space_a_long_chain_and_unfit_disks_are_refused(site):
    assert "pool images of libvirt qemu:///system has " in str(site.provider(min_free_bytes=10**18).available(HOST))
    for number in range(2):
        site.machine.ask("snapshot-create-as", UUID, f"a-{number}")
    assert "2 snapshots or backing images lie under" in str(site.provider(max_depth=2).available(HOST))
    raw = "22222222-2222-3333-4444-555555555555"
    site.define("db3", raw, "raw")
    try:
        assert "vda is raw" in str(site.provider(dmi_uuid=raw).available(HOST))
        site.machine.ask("snapshot-create-as", raw, "external", "--disk-only")
        assert "external snapshots" in str(site.provider(dmi_uuid=raw, max_depth=9).available(HOST))
    finally:
        site.machine.ask("snapshot-delete", raw, "external", "--metadata", check=False)
        site.machine.ask("undefine", raw)


def test_a_libvirt_that_is_not_there_or_does_not_answer_is_said(site):
    said = refusal(lambda: site.provider(uri="qemu+unix:///system?socket=/nowhere").available(HOST))
    assert said.startswith("libvirt qemu+unix:///system?socket=")
    assert "virsh list: " in said
    assert "nowhere" in said or "socket" in said
    slow = site.provider(virsh=["sh", "-c", "sleep 30", "virsh"], timeout_s=1)
    assert "no end after 1 s" in refusal(lambda: slow.available(HOST))
    absent = site.provider(virsh=["/nowhere/virsh"])
    assert "/nowhere/virsh" in refusal(lambda: absent.available(HOST))
