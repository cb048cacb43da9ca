# SPDX-License-Identifier: GPL-3.0-or-later
"""The provider vsphere without a vCenter; against VMware's simulator it is in tests/snapshots of the repository."""

import sys
from types import SimpleNamespace

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner
from ansible_collections.hospital.patching.plugins.module_utils.snapshots import machine_records as records
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.registry import create_provider
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.vsphere import VsphereProvider
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.vsphere_api import read_login
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.vsphere_machine import (
    PATHS,
    NotSecurable,
    grown_since,
    read_tree,
    securable,
)

FACTS = {
    "kind": "restore_point",
    "run": "20261122T034500Z-ab12cd34",
    "host": "db1",
    "reason": "before the monthly update",
    "created": "2026-11-22T03:45:00Z",
    "expires": "2026-11-25T03:45:00Z",
    "machine": "b4689bed-97f0-5bcd-8a4c-07477cc8f06f",
    "token": "0011223344556677",
    "consistency": "crash",
}


@pytest.fixture(autouse=True)
def no_login(monkeypatch):
    for name in ("VMWARE_HOST", "VMWARE_USER", "VMWARE_PASSWORD"):
        monkeypatch.delenv(name, raising=False)


def make(**options):
    return create_provider("vsphere", options, Runner(), Clock())


def test_without_pyvmomi_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyVim", None)
    monkeypatch.setitem(sys.modules, "pyVim.connect", None)
    provider = make(server="vcenter.hospital.test", user="patching", dmi_uuid=FACTS["machine"])
    with pytest.raises(PatchingError, match="the Python library pyVmomi is missing where it runs"):
        provider.list()
    with pytest.raises(PatchingError, match=r"pip install pyvmomi there, or set patching_snapshot\.on to a machine"):
        provider.available("db1")


@pytest.mark.parametrize("key", ["password", "VMWARE_PASSWORD", "token"])
def test_a_password_does_not_belong_in_the_plan(key):
    with pytest.raises(PatchingError, match="unknown option {}".format(key)) as raised:
        make(**{key: "do-not-show-me"})
    assert "do-not-show-me" not in str(raised.value)


@pytest.mark.parametrize("key", ["timeout_s", "attempts", "poll_s", "max_depth", "quiesce_timeout_s"])
def test_a_limit_that_would_never_end_or_never_begin_is_refused(key):
    with pytest.raises(PatchingError, match="{} is 0; expected 1 or more".format(key)):
        make(**{key: 0})


def test_the_login_is_the_options_and_else_the_environments(monkeypatch, tmp_path):
    options = make().options
    with pytest.raises(PatchingError, match="neither server nor VMWARE_HOST in the environment"):
        read_login(options)
    monkeypatch.setenv("VMWARE_HOST", "vc1")
    with pytest.raises(PatchingError, match="neither user nor VMWARE_USER"):
        read_login(options)
    monkeypatch.setenv("VMWARE_USER", "somebody")
    with pytest.raises(PatchingError, match="neither password_file nor VMWARE_PASSWORD"):
        read_login(options)
    monkeypatch.setenv("VMWARE_PASSWORD", "of the environment")
    assert read_login(options) == ("vc1", 443, "somebody", "of the environment")
    path = tmp_path / "password"
    options = make(server="vc2", user="patching", password_file=str(path), port=8443).options
    with pytest.raises(PatchingError, match="cannot be read"):
        read_login(options)
    path.write_text("of the file\n")
    path.chmod(0o640)
    with pytest.raises(PatchingError, match="open to others"):
        read_login(options)
    path.chmod(0o600)
    assert read_login(options) == ("vc2", 8443, "patching", "of the file")


def test_a_description_says_what_was_written_into_it():
    text = records.describe(dict(FACTS, note="not quiesced", of="snapshot-1", revert="begun"))
    assert text.splitlines()[:3] == [records.FIRST_LINE, "kind: restore_point", "run: " + FACTS["run"]]
    assert len(text) < 1024
    assert records.read_description(text) == dict(FACTS, note="not quiesced", of="snapshot-1", revert="begun")


@pytest.mark.parametrize("reason", ["50 % of it\nhost: other", "a\x00b\tc: d", "Größe: 5 µm", "", "%41", ": "])
def test_a_reason_cannot_forge_another_fact(reason):
    read = records.read_description(records.describe(dict(FACTS, reason=reason)))
    assert read == dict(FACTS, reason=reason)
    assert not set(records.describe(dict(FACTS, reason=reason))) & set("\x00\t")


def test_a_long_reason_is_cut_and_all_fits_into_what_vcenter_stores():
    long = dict(FACTS, reason="r" * 5000, note="n" * 5000, of="snapshot-123456", revert="begun")
    assert len(records.describe(long)) < 1024
    assert records.read_description(records.describe(long))["reason"] == "r" * records.VALUE_CHARS


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "before the upgrade",
        records.FIRST_LINE,
        "made by\n" + records.describe(FACTS),
        records.describe(FACTS).replace("token: ", "tok: "),
        records.describe(FACTS).replace(records.FIRST_LINE, records.FIRST_LINE + "s"),
    ],
)
def test_what_others_write_is_not_ours(text):
    assert records.read_description(text) is None


def found(description, moid="snapshot-1"):
    return records.Found(moid, "hospital.patching " + FACTS["run"], description, "poweredOn", 1, None)


def test_ours_is_of_the_machine_that_it_names():
    one = found(records.describe(FACTS))
    assert records.facts_of(one, FACTS["machine"]) == FACTS
    for other in (None, "", FACTS["machine"].replace("b", "c")):
        assert records.facts_of(one, other) is None


def test_a_revert_is_under_way_until_its_end_is_written():
    aside = dict(FACTS, kind="set_aside", of="snapshot-1", revert="begun")
    tree = records.Tree([found(records.describe(FACTS)), found(records.describe(aside), "snapshot-2")], "snapshot-2")
    assert records.under_way(tree, FACTS["machine"]).id == "snapshot-2"
    assert records.under_way(tree, "another") is None
    ended = records.Tree([found(records.describe(dict(aside, revert="ended")))], None)
    assert records.under_way(ended, FACTS["machine"]) is None


def test_a_chain_is_counted_under_the_present_state():
    def item(moid, *children):
        return SimpleNamespace(
            snapshot=SimpleNamespace(_moId=moid),
            name=moid,
            description=None,
            state="poweredOff",
            childSnapshotList=children,
        )

    roots = [item("a", item("b", item("c")), item("d"))]
    tree = read_tree(SimpleNamespace(rootSnapshotList=roots, currentSnapshot=SimpleNamespace(_moId="d")))
    assert [(one.id, one.depth, one.parent) for one in tree.snapshots] == [
        ("a", 1, None),
        ("b", 2, "a"),
        ("c", 3, "b"),
        ("d", 2, "a"),
    ]
    assert records.chain_depth(tree) == 2
    assert read_tree(None) == records.Tree([], None)
    assert records.chain_depth(read_tree(None)) == 0


UUID = "564d5c1b-9a2e-7d0c-55f3-0a1b2c3d4e5f"


class VirtualDisk:
    """A disk as pyVmomi shows one."""

    def __init__(self, label="Hard disk 1", size=100 * 1024, **backing):
        self.deviceInfo = SimpleNamespace(label=label)
        self.capacityInBytes, self.capacityInKB = None, size
        self.backing = SimpleNamespace(
            **dict({"diskMode": "persistent", "datastore": ref("ds-1"), "parent": None}, **backing)
        )


def ref(moid):
    return SimpleNamespace(_moId=moid)


def bus(kind):
    return SimpleNamespace(sharedBus=kind, deviceInfo=SimpleNamespace(label="SCSI controller 1"))


def chain(*names):
    """A machine's property snapshot: one upon the other."""
    item = None
    for name in reversed(names):
        children = [] if item is None else [item]
        item = SimpleNamespace(
            snapshot=ref(name), name=name, description="", state="poweredOn", childSnapshotList=children
        )
    return SimpleNamespace(rootSnapshotList=[item], currentSnapshot=ref(names[-1]))


class FakeVcenter:
    """Answers what a vCenter with one machine would; ``facts`` are what is unusual about it."""

    def __init__(self, store=None, tasks=(), **facts):
        self.vim = SimpleNamespace(VirtualMachine="machine", Datastore="store", Task="task")
        self.server = "vc1"
        self.content = SimpleNamespace(
            searchIndex=SimpleNamespace(FindAllByUuid=lambda _dc, uuid, _vm, _instance: [ref("vm-1")] * (uuid == UUID))
        )
        usual = {
            "name": "db1.hospital.test",
            "config.instanceUuid": FACTS["machine"],
            "config.hardware.device": [VirtualDisk()],
            "runtime.powerState": "poweredOn",
            "runtime.connectionState": "connected",
            "datastore": [ref("ds-1")],
            "recentTask": [ref(moid) for moid, _state in tasks],
        }
        known = dict.fromkeys(PATHS)
        known.update(usual)
        known.update({key.replace("__", "."): value for key, value in facts.items()})
        room = {"summary.name": "san1", "summary.accessible": True, "summary.freeSpace": 10**12}
        room.update(store or {})
        self.answers = {"machine": {"vm-1": known}, "store": {"ds-1": room}}
        self.answers["task"] = {
            moid: {"info.state": state, "info.descriptionId": "VirtualMachine.clone"} for moid, state in tasks
        }

    def ask(self, _what, work):
        return work()

    def machine(self, moid):
        return ref(moid)

    def read(self, kind, objects, _paths):
        return {one._moId: self.answers[kind][one._moId] for one in objects}


def judged(options=None, **unusual):
    """Return why no snapshot of such a machine can be made, or None."""
    given = make(**dict({"dmi_uuid": UUID, "min_free_bytes": 1000}, **(options or {}))).options
    try:
        securable(FakeVcenter(**unusual), given, "db1")
    except NotSecurable as error:
        return str(error)
    return None


def test_a_usual_machine_can_be_secured():
    assert judged() is None
    assert judged(runtime__powerState="poweredOff") is None
    assert judged(tasks=[("task-1", "success"), ("task-2", "error")]) is None


@pytest.mark.parametrize(
    ("unusual", "reason"),
    [
        ({"config__template": True}, "it is a template"),
        ({"runtime__connectionState": "disconnected"}, "it is disconnected"),
        ({"runtime__connectionState": "inaccessible"}, "it is inaccessible"),
        ({"runtime__powerState": "suspended"}, "it is suspended"),
        ({"runtime__question": SimpleNamespace(text="moved or copied?")}, "it waits for an answer: moved or copied?"),
        ({"runtime__consolidationNeeded": True}, "its disks need consolidation"),
        ({"snapshot": chain("a", "b", "c")}, "3 snapshots lie under its present state already (a, b, c)"),
        ({"disabledMethod": ["CreateSnapshot_Task"]}, "vCenter allows no snapshot of it now"),
        ({"disabledMethod": ["RelocateVM_Task"]}, "a backup program has switched off its migration"),
        ({"snapshot": chain("VEEAM BACKUP TEMPORARY SNAPSHOT")}, "a backup program's snapshot is there: VEEAM"),
        ({"snapshot": chain("Consolidate Helper- 0")}, "a backup program's snapshot is there: Consolidate"),
        ({"tasks": [("task-1", "running")]}, "VirtualMachine.clone (task-1) is under way"),
        ({"tasks": [("task-1", "queued")]}, "VirtualMachine.clone (task-1) is under way"),
        ({"store": {"summary.accessible": False}}, "datastore san1 is not accessible"),
        ({"store": {"summary.freeSpace": 1999}}, "datastore san1 has 1999 bytes free"),
        ({"config__hardware__device": [VirtualDisk(), bus("physicalSharing")]}, "SCSI controller 1 shares its bus"),
        ({"config__hardware__device": [VirtualDisk(sharing="sharingMultiWriter")]}, "is written by several machines"),
    ],
)
def test_what_cannot_be_a_way_back_is_refused(unusual, reason):
    said = judged(**unusual)
    assert reason in said
    assert said.startswith("machine db1.hospital.test (vm-1): ")


def test_links_that_no_snapshot_explains_count_as_depth():
    base = SimpleNamespace(parent=SimpleNamespace(parent=SimpleNamespace(parent=None)))
    assert "3 snapshots lie under its present state already (none that the snapshot manager shows)" in judged(
        config__hardware__device=[VirtualDisk(parent=base)]
    )
    assert judged({"max_depth": 4}, config__hardware__device=[VirtualDisk(parent=base)]) is None


@pytest.mark.parametrize(
    ("backing", "why"),
    [
        ({"diskMode": "independent_persistent"}, "mode independent_persistent"),
        ({"diskMode": "independent_nonpersistent"}, "mode independent_nonpersistent"),
        ({"compatibilityMode": "physicalMode"}, "a raw device in physical mode"),
    ],
)
def test_a_disk_that_no_snapshot_holds_is_refused_until_it_is_named(backing, why):
    devices = [VirtualDisk(), VirtualDisk("Hard disk 2", **backing)]
    assert "no snapshot holds Hard disk 2 ({})".format(why) in judged(config__hardware__device=devices)
    assert judged({"without_disks": ["Hard disk 2"]}, config__hardware__device=devices) is None
    for named in (["Hard disk 1", "Hard disk 2"], ["Hard disk 3"]):
        assert "without_disks names Hard disk" in judged({"without_disks": named}, config__hardware__device=devices)
    assert judged(config__hardware__device=[VirtualDisk(compatibilityMode="virtualMode")]) is None


@pytest.mark.parametrize(
    ("options", "needed"),
    [
        ({"change_percent": 10}, 10 * 1024 * 1024 + 1000),  # of 100 MiB
        ({"change_bytes": 5000}, 6000),
        ({"change_bytes": 5000, "memory": True}, 6000 + 64 * 1024 * 1024),
    ],
)
def test_room_is_compared_with_what_the_update_may_change(options, needed):
    facts = {"config__hardware__memoryMB": 64}
    assert judged(options, store={"summary.freeSpace": needed}, **facts) is None
    said = judged(options, store={"summary.freeSpace": needed - 1}, **facts)
    assert "has {} bytes free".format(needed - 1) in said
    assert "expected {}: ".format(needed) in said


def test_signs_of_a_backup_can_be_overridden():
    assert judged({"heed_backups": False}, disabledMethod=["RelocateVM_Task"]) is None
    assert judged({"backup_names": ["nightly *"]}, snapshot=chain("VEEAM BACKUP TEMPORARY SNAPSHOT")) is None
    assert "nightly 7" in judged({"backup_names": ["Nightly *"]}, snapshot=chain("nightly 7"))
    # What runs is no sign, but seen.
    assert "is under way" in judged({"heed_backups": False}, tasks=[("task-1", "running")])


def layout(*chains, **sizes):
    """A machine's layoutEx of one disk: its files now, then those of snapshot-1; ``sizes`` by file."""
    disks = [[SimpleNamespace(chain=[SimpleNamespace(fileKey=list(chain))])] for chain in chains]
    held = [SimpleNamespace(key=ref("snapshot-1"), disk=disk) for disk in disks[1:]]
    files = [SimpleNamespace(key=int(key[1:]), size=size) for key, size in sizes.items()]
    return SimpleNamespace(disk=disks[0], snapshot=held, file=files)


@pytest.mark.parametrize(
    ("given", "grown"),
    [
        (layout([1, 2, 3, 4], [1, 2], f1=10**9, f2=500, f3=700, f4=11), 711),
        (layout([1, 2, 3], [1, 2], f1=10**9, f2=500), None),
        (layout([1, 2], [1, 2], f1=10**9, f2=500), None),
        (layout([1, 2], [], f1=10**9, f2=500), None),
        (layout([1, 2], f1=10**9, f2=500), None),
        (None, None),
    ],
)
def test_what_a_revert_loses_is_the_disks_that_were_begun_since(given, grown):
    assert grown_since(given, "snapshot-1") == grown


class Session(FakeVcenter):
    """A login to it, which counts how often sizes were asked to be looked up anew."""

    refreshed = 0

    def open(self):
        """Log in."""

    def close(self):
        """Log out."""

    def machine(self, moid):
        return SimpleNamespace(_moId=moid, RefreshStorageInfo=self._refresh)

    def _refresh(self):
        self.refreshed += 1

    def change(self, _what, work):
        return work()


def test_sizes_are_looked_up_anew_and_only_of_a_snapshot_of_ours():
    mine = chain("snapshot-1")
    mine.rootSnapshotList[0].description = records.describe(FACTS)
    api = Session(snapshot=mine, layoutEx=layout([1, 2, 3], [1, 2], f1=10**9, f2=500, f3=700))
    provider = VsphereProvider({"dmi_uuid": UUID}, Runner(), Clock(), connected=lambda _options, _clock: api)
    assert provider.loss("snapshot-1", "db1") == (700, None)
    assert api.refreshed == 1
    assert provider.loss("snapshot-2", "db1") == (None, "there is no such restore point")
    api.answers["machine"]["vm-1"]["layoutEx"] = None
    assert provider.loss("snapshot-1", "db1") == (None, "vCenter names no delta disks with their sizes")
