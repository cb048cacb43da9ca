# SPDX-License-Identifier: GPL-3.0-or-later
"""The provider lvm on a double of LVM; what it refuses, and that a revert can be killed at any command."""

import contextlib
import json

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.canonical import digest
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.snapshots import keeping, lvm_sets, registry
from ansible_collections.hospital.patching.tests.unit.plugins.module_utils.snapshots.lvm_double import (
    GIB,
    MIB,
    Host,
    Killed,
    row,
)

RUN, OTHER = "20261122T034500Z-ab12cd34", "20261123T034500Z-ffffffff"
EXPIRES = "2030-11-25T00:00:00Z"
ALL = ["/", "/srv/data", "/srv/thin"]


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path)


def made(host, run_id=RUN, **options):
    return host.provider(**options).create(run_id, "portal1", "before the update, 1 of 2 (#7)", EXPIRES)


def refusal(host, **options):
    """Return why no restore point can be made; that it is said twice, and that nothing is changed, is proven."""
    provider, before = host.provider(**options), json.dumps(host.volumes)
    said = provider.available("portal1")
    with pytest.raises(PatchingError) as error:
        provider.create(RUN, "portal1", "why", EXPIRES)
    assert said.startswith("{}: {}; it needs {}".format(error.value.subject, error.value.seen, error.value.expected))
    assert json.dumps(host.volumes) == before
    assert not host.changes
    assert error.value.next_step
    return str(error.value)


def without(host, word):
    """Take the lines with a word out of what is in the initramfs."""
    host.initramfs = "".join(line for line in host.initramfs.splitlines(True) if word not in line)


@pytest.mark.parametrize(
    ("word", "told"),
    [("dm-snapshot", "the kernel module dm-snapshot"), ("dm-mod", "the kernel module dm-mod"), ("/lvm", "program lvm")],
)
def test_a_root_whose_initramfs_cannot_merge_it_is_refused(host, word, told):
    without(host, word)
    said = refusal(host)
    assert told in said
    assert "update-initramfs -u -k 1" in said
    assert made(host, volumes=["/srv/data"]).detail["lacks"] is None


@pytest.mark.parametrize(("word", "told"), [("dm-thin-pool", "module dm-thin-pool"), ("thin_check", "thin_check")])
def test_a_thin_root_needs_the_tools_of_thin_provisioning_in_its_initramfs(host, word, told):
    host.mounts = [("253:5", "/", "/", "ext4", "/dev/mapper/hospital-thin"), *host.mounts[1:2]]
    host._write_mounts()
    whole = host.initramfs
    without(host, word)
    said = refusal(host, volumes=["/"])
    assert told in said
    assert "thin-provisioning-tools" in said
    host.initramfs = whole
    assert made(host, volumes=["/"]).detail["volumes"][0]["thin"]


def test_modules_of_an_initramfs_may_be_compressed_or_built_into_the_kernel(host):
    host.initramfs = host.initramfs.replace("dm-snapshot.ko", "dm-snapshot.ko.xz")
    without(host, "dm-mod")
    (host.folder / "modules/1/modules.builtin").write_text("kernel/drivers/md/dm-mod.ko\n")
    assert made(host).detail["volumes"][0]["mount"] == "/"


def test_an_initramfs_of_a_kernel_that_is_not_installed_counts_for_nothing(host):
    without(host, "dm-snapshot")
    (host.boot / "initrd.img-1").rename(host.boot / "initrd.img-2")
    assert "no initramfs of initramfs-tools is in" in made(host).detail["risks"][0]


@pytest.mark.parametrize("printed", ["", (1, "", "cpio: premature end of archive")])
def test_an_initramfs_that_nobody_can_read_is_told_as_a_risk(host, printed):
    host.initramfs = printed
    assert "lsinitramfs cannot list" in made(host).detail["risks"][0]
    assert "initramfs" not in str(made(host, OTHER, volumes=["/srv/data"]).detail["risks"])


def test_a_restore_point_is_a_snapshot_of_each_volume_known_by_uuid(host):
    one = made(host)
    assert registry.create_provider("lvm", {"volumes": ["/srv/data"]}, host, host.clock).NAME == "lvm"
    assert (one.id, one.run_id, one.host, one.expires) == ("SNAP1,SNAP2,SNAP3", RUN, "portal1", EXPIRES)
    assert one.reason == "before the update, 1 of 2 (#7)"
    assert [(v["mount"], v["thin"], v["full"]) for v in one.detail["volumes"]] == [
        ("/", False, False),
        ("/srv/data", False, False),
        ("/srv/thin", True, False),
    ]
    assert one.detail["lacks"] is None
    assert host.provider().list() == [one]
    assert host.provider().present(RUN, "portal1") == one
    assert keeping.require(host.provider(), one.id, RUN, "portal1") == one
    # Thick ones have room for what is expected to change and its tables; thin ones no size.
    sizes = [int(host.volume(uuid)["lv_size"]) for uuid in ("SNAP1", "SNAP2")]
    assert all(256 * MIB < size < 270 * MIB and size % (4 * MIB) == 0 for size in sizes)


@pytest.mark.parametrize(("told", "filled"), [("0.00", 0), ("6.24", 7), ("100.00", 100), ("", None)])
def test_how_full_a_thick_snapshot_is_can_be_recorded(host, told, filled):
    made(host)
    host.volume("SNAP2").update(data_percent=told)
    (point,) = host.provider().list()
    assert point.detail["volumes"][1]["filled_percent"] == filled
    assert digest(point.detail).startswith("sha256:")


def test_a_second_call_returns_the_same_one(host):
    first = keeping.present(host.provider(), RUN, "portal1", "why", EXPIRES)
    changes = len(host.changes)
    second = keeping.present(host.provider(), RUN, "portal1", "why", EXPIRES)
    assert (first.changed, second.changed) == (True, False)
    assert first.snapshot == second.snapshot
    assert len(host.changes) == changes


def test_check_mode_says_that_it_could_be_made_and_makes_nothing(host):
    assert keeping.present(host.provider(), RUN, "portal1", "why", EXPIRES, write=False).changed
    assert not host.changes
    assert host.uuids() == ["DATA", "POOL", "ROOT", "THIN"]


def test_boot_is_archived_before_the_root_is_held_and_named_by_its_digest(host):
    one = made(host)
    archives = list((host.folder / "archives").iterdir())
    assert len(archives) == 1
    assert len(one.detail["boot"]) == 64
    assert archives[0].stat().st_mode & 0o077 == 0
    assert one.detail["outside"] == []


def test_what_is_not_held_is_told(host):
    host.mounts.append(("8:1", "/", "/srv/far", "ext4", "/dev/sda1"))
    host._write_mounts()
    one = made(host, volumes=["/srv/data"])
    assert one.detail["boot"] is None, "no root, no /boot"
    assert one.detail["outside"] == sorted(["/", "/srv/far", "/srv/thin", str(host.boot)])
    two = made(host, run_id=OTHER, volumes=["/"], boot="leave")
    assert two.detail["boot"] is None
    assert any("kernel may lack modules" in risk for risk in two.detail["risks"])


def test_a_foreign_snapshot_of_the_same_name_and_copied_tags_is_never_ours(host):
    one = made(host)
    ours = host.volume("SNAP2")
    # In another group under the same name, and in ours with all of our tags: a backup tool copies them.
    host.volumes.append(row("FOREIGN1", ours["lv_name"], group="other", lv_tags=ours["lv_tags"]))
    copied = row("FOREIGN2", "copy", lv_tags=ours["lv_tags"], origin="data", origin_uuid="DATA", kind="s")
    host.volumes.append(copied)
    assert host.provider().list() == [one]
    assert host.provider().delete(one.id)
    assert host.uuids() == ["DATA", "FOREIGN1", "FOREIGN2", "POOL", "ROOT", "THIN"]
    assert host.provider().list() == []
    assert not host.provider().delete(one.id)


def test_a_snapshot_that_was_renamed_is_still_ours_and_one_that_took_its_name_is_not(host):
    one = made(host, volumes=["/srv/data"])
    name = host.volume("SNAP1")["lv_name"]
    host.volume("SNAP1")["lv_name"] = "moved"
    host.volumes.append(row("FOREIGN", name, origin="data", origin_uuid="DATA", kind="s"))
    assert [listed.id for listed in host.provider().list()] == [one.id]
    assert host.provider().delete(one.id)
    assert "FOREIGN" in host.uuids()
    assert "SNAP1" not in host.uuids()


def test_deleting_takes_exactly_that_restore_point_and_its_archive(host):
    one, two = made(host), made(host, run_id=OTHER)
    assert keeping.absent(host.provider(), RUN, one.id).changed
    assert [left.id for left in host.provider().list()] == [two.id]
    assert len(list((host.folder / "archives").iterdir())) == 1
    with pytest.raises(PatchingError, match="belongs to run"):
        keeping.absent(host.provider(), RUN, two.id)


def test_what_is_in_use_is_not_deleted_nor_anything_with_it(host):
    one = made(host)
    host.volume("SNAP2")["opened_by"] = "somebody"
    with pytest.raises(PatchingError, match="mounted, or a program has it open"):
        host.provider().delete(one.id)
    assert {"SNAP1", "SNAP2", "SNAP3"} <= set(host.uuids())


def test_a_thick_snapshot_that_filled_up_is_told_and_nothing_is_put_back_to_it(host):
    one = made(host, volumes=["/", "/srv/data"])
    host.volume("SNAP2").update(state="I", data_percent="100.00")
    listed = host.provider().list()[0]
    assert listed.id == one.id
    assert listed.detail["complete"]
    assert "the snapshot of /srv/data filled up" in listed.detail["lacks"]
    assert [volume["full"] for volume in listed.detail["volumes"]] == [False, True]
    with pytest.raises(PatchingError, match=r"filled up.*roll the packages back"):
        host.provider().revert(one.id, "portal1")
    # Another one would hold what the run has changed since.
    with pytest.raises(PatchingError, match=r"filled up.*start another run"):
        keeping.present(host.provider(), RUN, "portal1", "why", EXPIRES)
    assert host.provider().delete(one.id)
    assert host.uuids() == ["DATA", "POOL", "ROOT", "THIN"]


def test_what_was_removed_behind_the_runs_back_is_told(host):
    one = made(host)
    host.volumes.remove(host.volume("SNAP2"))
    listed = host.provider().list()[0]
    assert (listed.id, listed.detail["missing"]) == (one.id, ["SNAP2"])
    assert host.provider().present(RUN, "portal1") is None
    for call in (
        lambda: host.provider().revert(one.id, "portal1"),
        lambda: made(host),
    ):
        with pytest.raises(PatchingError, match="SNAP2 of it was removed behind the run's back"):
            call()
    assert host.provider().delete(one.id)
    assert host.uuids() == ["DATA", "POOL", "ROOT", "THIN"]


def test_a_killed_creation_is_cleared_by_the_runs_next_call_and_listed_meanwhile(host):
    made(host)
    assert len(host.changes) == 6, "three snapshots and three seals"
    for when in ("before", "after"):
        for number in range(1, 7):
            folder = host.folder / "{}{}".format(when, number)
            folder.mkdir()
            one = Host(folder)
            one.kill_at = (number, when)
            with pytest.raises(Killed):
                made(one)
            one.kill_at = None
            for listed in one.provider().list():
                assert listed.run_id == RUN
                assert set(listed.id.split(",")) <= {"SNAP1", "SNAP2", "SNAP3"}
            again = keeping.present(one.provider(), RUN, "portal1", "why", EXPIRES)
            assert len(again.snapshot.id.split(",")) == 3
            assert len(one.uuids()) == 7, "no orphan"
            assert len(list((one.folder / "archives").iterdir())) == 1


def test_a_killed_creation_is_swept_by_its_id(host):
    host.kill_at = (2, "after")
    with pytest.raises(Killed):
        made(host)
    host.kill_at = None
    left = host.provider().list()
    assert [(one.id, one.detail["complete"]) for one in left] == [("SNAP1,SNAP2", False)]
    assert keeping.absent(host.provider(), RUN, left[0].id).changed
    assert host.uuids() == ["DATA", "POOL", "ROOT", "THIN"]


def test_a_failed_creation_leaves_nothing(host):
    host.volume("THIN")["lv_layout"] = "thin,sparse"
    create = host._lvcreate

    def fail_at_third(args):
        if host.made == 2:
            raise PatchingError("lvcreate", "exit 5", "exit 0", "look")
        create(args)

    host._lvcreate = fail_at_third
    with pytest.raises(PatchingError, match="exit 5"):
        made(host)
    assert host.uuids() == ["DATA", "POOL", "ROOT", "THIN"]
    assert list((host.folder / "archives").iterdir()) == []


# What cannot be held, or has no room.


def test_no_room_in_the_volume_group(host):
    host.group["vg_free"] = str(300 * MIB)
    said = refusal(host)
    assert "volume group hospital: 314572800 bytes free; expected" in said
    assert "for the snapshots of /, /srv/data" in said
    assert "vgextend" in said


def test_room_that_has_to_stay_free_counts(host):
    host.group["vg_free"] = str(600 * MIB)
    assert host.provider().available("portal1") is None
    assert "and 104857600 that stay free" in refusal(host, min_free_bytes=100 * MIB)


def test_a_thick_snapshot_is_never_larger_than_all_of_its_volume(host):
    made(host, volumes=["/srv/data"], change_bytes=100 * GIB)
    assert 512 * MIB < int(host.volume("SNAP1")["lv_size"]) <= 524 * MIB


def test_a_volume_of_its_own_expectation(host):
    made(host, volumes=["/", "/srv/data"], change_bytes_of={"/srv/data": 64 * MIB})
    assert int(host.volume("SNAP2")["lv_size"]) < 72 * MIB < int(host.volume("SNAP1")["lv_size"])


@pytest.mark.parametrize(
    ("pool", "said"),
    [
        ({"data_percent": "86.00"}, "86.0 % of its 4294967296 bytes are used, 92.2 % after"),
        ({"metadata_percent": "81.00"}, "81.0 % of its metadata are used; expected at most 80 %"),
        ({"data_percent": ""}, "LVM does not tell how full it is"),
        ({"health": "D"}, "it is out of data space"),
        ({"health": "M"}, "its metadata is read-only"),
        ({"state": "c"}, "its metadata has to be checked"),
    ],
)
def test_a_thin_pool_without_room_or_in_disorder(host, pool, said):
    host.volume("POOL").update(pool)
    message = refusal(host)
    assert said in message
    assert "thin pool hospital/pool" in message


def test_a_pool_that_has_promised_more_than_it_has_is_a_risk(host):
    host.volume("THIN")["lv_size"] = str(8 * GIB)
    assert any("has promised" in risk for risk in made(host).detail["risks"])


@pytest.mark.parametrize("module", ["dm_snapshot", "dm_thin_pool"])
def test_a_missing_kernel_module_is_named(host, module):
    (host.folder / "sys" / module).rmdir()
    assert host.provider().available("portal1") is None, "not loaded, but it can be"
    host.missing_modules = (module,)
    said = refusal(host)
    assert "kernel module {}: the running kernel has no module".format(module) in said
    assert "6.1.0-35-cloud-amd64" in said


def test_without_modprobe_the_module_is_named_too(host):
    (host.folder / "sys" / "dm_snapshot").rmdir()

    def absent(args):
        raise PatchingError("modprobe", "no such file", "an executable command", "install it")

    host._modprobe = absent
    assert "dm_snapshot is not loaded, and modprobe cannot tell" in refusal(host)


def test_a_chain_that_is_long_or_deep(host):
    for number in range(3):
        host.volumes.append(
            row(
                "S{}".format(number),
                "s{}".format(number),
                origin="data",
                origin_uuid="DATA",
                kind="s",
                lv_role="snapshot",
            )
        )
    assert "3 snapshots: s0, s1, s2; expected fewer than 3" in refusal(host, max_snapshots=3)
    one = made(host)
    assert any("hospital/data has 3 snapshots already: s0, s1, s2" in risk for risk in one.detail["risks"])
    assert any("each write to hospital/data is copied" in risk for risk in one.detail["risks"])


def test_a_thin_volume_that_is_a_snapshot_of_a_snapshot(host):
    above = "THIN"
    for number in range(3):
        host.volumes.append(row("T{}".format(number), "t{}".format(number), pool_lv="pool", kind="V"))
        host.volume(above)["origin_uuid"] = "T{}".format(number)
        above = "T{}".format(number)
    assert "a snapshot of a snapshot, 3 deep" in refusal(host, max_snapshots=3)
    assert "hospital/thin is itself a snapshot, 3 deep" in made(host).detail["risks"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"merging": True, "origin_uuid": "ROOT"}, "a snapshot is being merged into it"),
        ({"permission": "r"}, "it is read-only"),
        ({"health": "p"}, "a disk of it is missing"),
        ({"lv_layout": "cache"}, "it is cache"),
        ({"lv_layout": "vdo"}, "it is vdo"),
        ({"lv_role": "public,snapshot,thicksnapshot", "kind": "s"}, "it is a snapshot itself"),
    ],
)
def test_volumes_of_which_none_can_be_made(host, changed, said):
    host.volume("DATA").update(changed)
    if "merging" in changed:
        host.volume("DATA").update(merging=False, origin_uuid="")
        host.volumes.append(row("M", "m", merging=True, origin_uuid="DATA", kind="s"))
    assert said in refusal(host)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"vg_missing_pv_count": "1"}, "a disk of it is missing"),
        ({"vg_attr": "wz-pn-"}, "a disk of it is missing"),
        ({"vg_attr": "wz--ns"}, "shared by several hosts"),
    ],
)
def test_groups_in_which_none_can_be_made(host, changed, said):
    host.group.update(changed)
    assert said in refusal(host)


def test_mounts_that_are_no_volume(host):
    assert "nothing is mounted there" in refusal(host, volumes=["/srv/none"])
    assert "ext2 from /dev/vda1 is no logical volume" in refusal(host, volumes=[str(host.boot)])
    host.mounts.append(("0:44", "/@", "/srv/b", "btrfs", "/dev/mapper/hospital-b"))
    host.mounts.append(("253:1", "/folder", "/srv/bound", "ext4", "/dev/mapper/hospital-data"))
    host._write_mounts()
    assert "choose another snapshot provider, such as btrfs" in refusal(host, volumes=["/srv/b"])
    assert "/folder of hospital/data is mounted there" in refusal(host, volumes=["/srv/bound"])


def test_a_boot_that_cannot_be_kept_is_refused_with_reason(host, monkeypatch):
    text = (host.folder / "mountinfo").read_text().replace("/dev/vda1 rw", "/dev/vda1 ro")
    (host.folder / "mountinfo").write_text(text)
    assert "{}: read-only".format(host.boot) in refusal(host)
    host._write_mounts()
    provider = "ansible_collections.hospital.patching.plugins.module_utils.snapshots.lvm.BootArchive.room"
    monkeypatch.setattr(provider, lambda _self: (50 * MIB, 60 * MIB))
    said = refusal(host)
    assert "archives: 62914560 bytes free; expected" in said
    assert "another boot_folder" in said
    assert host.provider(boot="leave").available("portal1") is None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"volumes": []}, "mount points, each once"),
        ({"volumes": ["/", "/"]}, "mount points, each once"),
        ({"volumes": ["srv"]}, "absolute paths"),
        ({"at_reboot": ["/var"]}, "some of volumes"),
        ({"change_bytes": 0}, "more than 0"),
        ({"change_bytes_of": {"/var": 5}}, "bytes by mount points"),
        ({"change_bytes_of": {"/": "much"}}, "bytes by mount points"),
        ({"boot": "maybe"}, "one of archive, leave"),
        ({"size": 5}, "unknown option size"),
    ],
)
def test_bad_options(host, options, said):
    with pytest.raises(PatchingError, match=said):
        host.provider(**options)


def test_two_calls_at_once_wait_for_each_other(host, monkeypatch):
    lock = "ansible_collections.hospital.patching.plugins.module_utils.snapshots.mounted.LOCK_WAIT_S"
    monkeypatch.setattr(lock, 0)
    provider = host.provider()
    with provider._opened(), pytest.raises(PatchingError, match="another call works"):
        host.provider().list()


# Reverts.

BEFORE = {"ROOT": "before", "DATA": "before", "THIN": "before"}
ORIGINS = ("ROOT", "DATA", "THIN")
BOOT_BEFORE = {"vmlinuz-1": "kernel 1", "initrd.img-1": "initramfs 1", "grub/grub.cfg": "boots 1"}


def damaged(host, **options):
    one = made(host, **options)
    host.damage()
    return one


def test_a_data_volume_is_unmounted_merged_and_mounted(host):
    one = damaged(host, volumes=["/srv/data", "/srv/thin"])
    told = host.provider(volumes=["/srv/data", "/srv/thin"]).revert(one.id, "portal1")
    assert (told["snapshot"], told["reboot"], told["resumed"], told["boot"]) == (one.id, False, False, None)
    assert [(v["mount"], v["volume"], v["uuid"]) for v in told["volumes"]] == [
        ("/srv/data", "hospital/data", "DATA"),
        ("/srv/thin", "hospital/thin", "THIN"),
    ]
    assert host.contents() == {"ROOT": "after", "DATA": "before", "THIN": "before"}
    assert host.mounted() == sorted(["/", str(host.boot), "/srv/data", "/srv/thin"])
    assert host.booted()["grub/grub.cfg"] == "boots 2", "not its root, not its /boot"
    assert host.provider().list() == [], "it is used up"
    assert [host.volume(uuid)["lv_tags"] for uuid in ("ROOT", "DATA", "THIN")] == [[], ["site"], ["theirs"]]


def test_what_fstab_knows_is_mounted_by_it_and_other_as_it_was(host):
    one = damaged(host, volumes=["/srv/data", "/srv/thin"])
    host.provider().revert(one.id, "portal1")
    assert ["mount", "/srv/data"] in host.changes
    assert ["mount", "-t", "xfs", "-o", "rw,relatime", "/dev/hospital/thin", "/srv/thin"] in host.changes


def test_a_root_waits_for_its_reboot_and_the_next_call_ends_it(host):
    one = damaged(host)
    told = host.provider().revert(one.id, "portal1")
    assert told["reboot"] is True
    assert host.contents() == {"ROOT": "after", "DATA": "before", "THIN": "before"}
    assert host.booted() == BOOT_BEFORE, "the kernel of the root that the reboot brings"
    assert told["boot"] == {"restored": ["grub/grub.cfg"], "removed": ["vmlinuz-2"]}
    listed = host.provider().list()
    assert [(seen.id, seen.detail["kind"], seen.detail["pending"]) for seen in listed] == [(one.id, "reverting", ["/"])]
    assert keeping.require(host.provider(), one.id, RUN, "portal1"), "so that the next call is let through"
    assert "is not done" in host.provider().available("portal1")
    with pytest.raises(PatchingError, match="waits for the host's reboot"):
        made(host, run_id=OTHER)
    with pytest.raises(PatchingError, match="is not done"):
        host.provider().delete(one.id)
    again = host.provider().revert(one.id, "portal1")
    assert (again["reboot"], again["resumed"]) == (True, True)
    host.reboot()
    ended = host.provider().revert(one.id, "portal1")
    assert (ended["reboot"], ended["resumed"], ended["boot"]) == (False, True, None)
    assert host.contents() == BEFORE
    assert host.provider().list() == []
    assert not any("hospital.patching" in tag for one in host.volumes for tag in one["lv_tags"])
    assert list((host.folder / "archives").iterdir()) == []


def test_a_reboot_that_nobody_followed_up_is_tidied_by_the_next_restore_point(host):
    one = damaged(host)
    host.provider().revert(one.id, "portal1")
    host.reboot()
    assert host.provider().available("portal1") is None
    two = made(host, run_id=OTHER)
    assert [listed.id for listed in host.provider().list()] == [two.id]


def test_after_its_reboot_a_revert_can_be_ended_by_deleting_it(host):
    one = damaged(host)
    host.provider().revert(one.id, "portal1")
    host.reboot()
    assert host.provider().delete(one.id)
    assert host.provider().list() == []
    assert host.contents() == BEFORE


@pytest.mark.parametrize("keeps", ["origin", "snapshot"])
def test_a_thin_root_keeps_its_tags_and_is_activated_at_boot(host, keeps):
    host.merged_keeps = keeps
    host.mounts = [("253:5", "/", "/", "xfs", "/dev/mapper/hospital-thin")]
    host._write_mounts()
    one = made(host, volumes=["/"])
    host.damage()
    assert host.volume("SNAP1")["skip"], "not activated beside its origin"
    assert host.provider(volumes=["/"]).revert(one.id, "portal1")["reboot"]
    host.reboot()
    # With the snapshot's tags it says that it is a snapshot of ours, which it is not.
    assert any("seal=SNAP1" in tag for tag in host.volume("THIN")["lv_tags"]) is (keeps == "snapshot")
    assert host.provider().list()[0].detail["kind"] == "reverting"
    two = made(host, run_id=OTHER, volumes=["/"])
    assert host.volume("THIN")["lv_tags"] == ["theirs"]
    assert host.volume("THIN")["content"] == "before"
    assert host.provider().delete(two.id)
    assert "THIN" in host.uuids()


def test_a_merged_thin_volume_is_never_taken_for_a_snapshot(host):
    one = made(host, volumes=["/srv/thin"])
    labels = host.volume("SNAP1")["lv_tags"]
    host.volumes.remove(host.volume("SNAP1"))
    host.volume("THIN")["lv_tags"] = labels
    assert host.provider().list() == []
    assert not host.provider().delete(one.id)
    assert "THIN" in host.uuids()


def test_a_volume_in_use_is_put_back_at_the_reboot(host):
    options = {"volumes": ["/srv/data"], "at_reboot": ["/srv/data"]}
    one = damaged(host, **options)
    told = host.provider(**options).revert(one.id, "portal1")
    assert told["reboot"]
    assert host.mounted() == sorted(["/", str(host.boot), "/srv/data", "/srv/thin"])
    assert host.contents()["DATA"] == "after"
    host.reboot()
    assert not host.provider(**options).revert(one.id, "portal1")["reboot"]
    assert host.contents()["DATA"] == "before"


@pytest.mark.parametrize("opened", ["busy", "other namespace"])
def test_a_volume_that_cannot_be_closed_refuses_with_nothing_changed(host, opened, monkeypatch):
    one = damaged(host)
    tags = {v["lv_uuid"]: v["lv_tags"] for v in host.volumes}
    if opened == "busy":
        host.busy = ("/srv/data",)
        monkeypatch.setattr(
            "ansible_collections.hospital.patching.plugins.module_utils.snapshots.lvm_revert.holders",
            lambda _path: ["postgres (7)"],
        )
        said = "cannot be unmounted .*in use by postgres"
    else:
        host.volume("DATA")["opened_by"] = "a service with mounts of its own"
        said = "still open.*PrivateMounts"
    with pytest.raises(PatchingError, match=said):
        host.provider().revert(one.id, "portal1")
    assert host.mounted() == sorted(["/", str(host.boot), "/srv/data", "/srv/thin"])
    assert {v["lv_uuid"]: v["lv_tags"] for v in host.volumes} == tags
    assert host.contents() == {"ROOT": "after", "DATA": "after", "THIN": "after"}
    assert host.provider().list() == [one]
    host.busy, host.volume("DATA")["opened_by"] = (), ""
    host.provider().revert(one.id, "portal1")
    assert host.contents()["DATA"] == "before"


def test_mounts_within_a_volume_and_of_its_folders_are_named_before_anything_is_done(host):
    one = damaged(host)
    host.mounts.append(("8:1", "/", "/srv/data/inner", "ext4", "/dev/sda1"))
    host.mounts.append(("253:1", "/folder", "/srv/bound", "ext4", "/dev/mapper/hospital-data"))
    host._write_mounts()
    changes = len(host.changes)
    with pytest.raises(PatchingError, match="/srv/bound, /srv/data/inner"):
        host.provider().revert(one.id, "portal1")
    assert len(host.changes) == changes


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda host: host.volume("SNAP2").update(opened_by="x"), "mounted, or a program has it open"),
        (lambda host: host.volumes.remove(host.volume("DATA")), "it is gone"),
        (lambda host: host.volume("SNAP2").update(origin_uuid="ANOTHER"), "LVM names another origin"),
        (
            lambda host: host.volumes.append(row("M", "m", merging=True, origin_uuid="DATA", kind="s")),
            "another snapshot is being merged into it",
        ),
    ],
)
def test_a_revert_that_cannot_be_is_refused_with_nothing_changed(host, damage, said):
    one = damaged(host)
    damage(host)
    changes = len(host.changes)
    with pytest.raises(PatchingError, match=said):
        host.provider().revert(one.id, "portal1")
    assert len(host.changes) == changes


def test_something_else_mounted_there_is_refused(host):
    one = damaged(host)
    host.mounts.append(("8:1", "/", "/srv/data", "ext4", "/dev/sda1"))
    host._write_mounts()
    with pytest.raises(PatchingError, match="/dev/sda1 is mounted there"):
        host.provider().revert(one.id, "portal1")


def test_an_archive_that_was_changed_or_lost_refuses_the_root(host):
    one = damaged(host)
    archive = next((host.folder / "archives").iterdir())
    content = archive.read_bytes()
    archive.write_bytes(content.replace(b"kernel 1", b"kernel X"))
    changes = len(host.changes)
    with pytest.raises(PatchingError, match="expected SHA-256"):
        host.provider().revert(one.id, "portal1")
    archive.unlink()
    with pytest.raises(PatchingError, match="no such file"):
        host.provider().revert(one.id, "portal1")
    assert len(host.changes) == changes


def test_another_hosts_or_an_unknown_snapshot_is_refused(host):
    one = made(host)
    with pytest.raises(PatchingError, match="it is of host portal1"):
        host.provider().revert(one.id, "portal2")
    with pytest.raises(PatchingError, match="no such snapshot"):
        host.provider().revert("SNAP9", "portal1")


def test_a_merge_that_fails_or_does_not_end_is_said_and_can_be_gone_on_with(host):
    one = damaged(host)
    host.provider().revert(one.id, "portal1")
    (host.folder / "boot_id").write_text("boot-2\n")  # rebooted, and the merge goes on
    with pytest.raises(PatchingError, match=r"not done after 60 s.*half done.*goes on with it"):
        host.provider(merge_timeout_s=60).revert(one.id, "portal1")
    host.volume("SNAP1")["state"] = "m"
    with pytest.raises(PatchingError, match="its merge failed"):
        host.provider().revert(one.id, "portal1")
    host.volume("SNAP1")["state"] = "a"
    host.reboot()
    assert host.provider().revert(one.id, "portal1")["resumed"]
    assert host.contents() == BEFORE


def test_a_snapshot_that_vanishes_in_the_middle_is_not_taken_for_merged(host):
    one = damaged(host)
    host.kill_at = (len(host.changes) + 11, "after")  # one volume is merged
    with pytest.raises(Killed):
        host.provider().revert(one.id, "portal1")
    host.kill_at = None
    assert host.contents() == {"ROOT": "after", "DATA": "before", "THIN": "after"}
    host.volumes.remove(host.volume("SNAP3"))
    with pytest.raises(PatchingError, match="SNAP3 of /srv/thin: it was removed behind the run's back"):
        host.provider().revert(one.id, "portal1")


@pytest.mark.parametrize(("follow", "when"), [("revert", "before"), ("revert", "after"), ("create", "after")])
def test_a_revert_that_is_killed_at_any_command_can_be_gone_on_with(tmp_path, when, follow):
    folder = tmp_path / "whole"
    folder.mkdir()
    whole = Host(folder)
    one = damaged(whole)
    first = len(whole.changes)
    whole.provider().revert(one.id, "portal1")
    commands = len(whole.changes) - first
    assert commands > 15
    for number in range(1, commands + 1):
        folder = tmp_path / str(number)
        folder.mkdir()
        host = Host(folder)
        host.merged_keeps = ("origin", "snapshot")[number % 2]
        one = damaged(host)
        host.kill_at = (len(host.changes) + number, when)
        with pytest.raises(Killed):
            host.provider().revert(one.id, "portal1")
        host.kill_at = None
        if follow == "create":
            with_create(host)
        if one.id in [seen.id for seen in host.provider().list()]:
            keeping.require(host.provider(), one.id, RUN, "portal1")
            told = host.provider().revert(one.id, "portal1")
            assert told["reboot"], number
            assert host.booted() == BOOT_BEFORE, number
            host.reboot()
            host.provider().revert(one.id, "portal1")
        assert host.contents() == BEFORE, number
        assert host.mounted() == sorted(["/", str(host.boot), "/srv/data", "/srv/thin"]), number
        assert not any("hospital.patching" in tag for one in host.volumes for tag in one["lv_tags"]), number
        assert host.uuids() == ["DATA", "POOL", "ROOT", "THIN"], number
        assert [host.volume(uuid)["lv_tags"] for uuid in ("THIN", "DATA")] == [["theirs"], ["site"]], number


def with_create(host):
    """The next run wants a restore point: it ends what was cut off and refuses, or was not cut off at all."""
    under_way = [seen for seen in host.provider().list() if seen.detail["kind"] == "reverting"]
    done = ("revert.asked=yes", "revert.state=going", "revert.state=scheduled")
    if under_way and any(tag.endswith(done) for one in ORIGINS for tag in host.volume(one)["lv_tags"]):
        with pytest.raises(PatchingError, match="waits for the host's reboot"):
            made(host, run_id=OTHER)
    else:
        two = made(host, run_id=OTHER)
        assert not [seen for seen in host.provider().list() if seen.detail["kind"] == "reverting"]
        assert host.provider().delete(two.id)


@pytest.mark.parametrize("when", ["before", "after"])
def test_the_end_after_the_reboot_can_be_killed_as_well(tmp_path, when):
    for number in range(1, 12):
        folder = tmp_path / str(number)
        folder.mkdir()
        host = Host(folder)
        one = damaged(host)
        host.provider().revert(one.id, "portal1")
        host.reboot()
        host.kill_at = (len(host.changes) + number, when)
        with contextlib.suppress(Killed):
            host.provider().revert(one.id, "portal1")
        host.kill_at = None
        two = made(host, run_id=OTHER)
        assert host.contents() == BEFORE
        assert [seen.id for seen in host.provider().list()] == [two.id], number
        host.provider().delete(two.id)
        assert host.uuids() == ["DATA", "POOL", "ROOT", "THIN"]
        assert not any("hospital.patching" in tag for one in host.volumes for tag in one["lv_tags"]), number


def test_labels_hold_any_text():
    for text in ("", "before the update, #1 of 2; 100 % \u00e4\U0001f6d1\n", "a=b#20&c", "surrogate \udc80"):
        tag = lvm_sets.label("reason", text)
        assert lvm_sets.labels_of(row_with([tag])) == {"reason": text}
        assert all((letter.isalnum() and ord(letter) < 128) or letter in "_+.-/=!:&#" for letter in tag)
    with pytest.raises(PatchingError, match="at most 1024"):
        lvm_sets.label("host", "x" * 1100)


def row_with(tags):
    return lvm_sets.Volume("U", "n", "g", "", 0, "", "", "", None, None, "", [], [], tags)


def test_a_long_reason_is_shortened_and_a_snapshot_made(host):
    one = host.provider().create(RUN, "portal1", "\u00e4" * 2000, EXPIRES)
    assert 100 < len(one.reason) < 200


def test_what_a_revert_loses_is_what_thick_snapshots_have_kept(host):
    one = made(host, volumes=["/srv/data"])
    size = one.detail["volumes"][0]["size_bytes"]
    host.volume("SNAP1")["data_percent"] = "25.00"
    assert host.provider(volumes=["/srv/data"]).loss(one.id, "portal1") == (size // 4, None)


def test_of_thin_volumes_it_is_not_known_what_a_revert_loses(host):
    one = made(host)
    size = host.volume("SNAP1")["lv_size"]
    for uuid in ("SNAP1", "SNAP2"):
        host.volume(uuid)["data_percent"] = "50.00"
    host.volume("SNAP2")["lv_size"] = size
    lost = host.provider().loss(one.id, "portal1")
    assert lost == (int(size), "LVM does not tell what thin volumes have changed: /srv/thin")
    thin = made(host, run_id=OTHER, volumes=["/srv/thin"])
    assert host.provider().loss(thin.id, "portal1").size_bytes is None


def test_where_a_restore_point_is_of_no_use_that_is_said_instead_of_bytes(host):
    one = made(host)
    assert host.provider().loss("SNAP9", "portal1") == (None, "there is no such restore point")
    host.volume("SNAP1")["data_percent"] = ""
    assert host.provider().loss(one.id, "portal1") == (None, "LVM does not tell how full the snapshots are")
    host.volume("SNAP1")["data_percent"] = "100.00"
    assert "filled up" in host.provider().loss(one.id, "portal1").unknown


def test_what_fills_up_with_snapshots_is_the_pool_of_thin_ones(host):
    pools = [
        ("thin pool", "hospital/pool", 4 * GIB, int(4 * GIB * (100 - 10.0) / 100)),
        ("thin pool metadata", "hospital/pool", 100 * MIB, int(100 * MIB * (100 - 11.04) / 100)),
    ]
    assert host.provider().rooms() == pools
    # A thick snapshot was given its room when it was made.
    assert host.provider(volumes=["/srv/data"]).rooms() == []
    assert host.provider(volumes=["/srv/thin"]).rooms() == pools


def test_where_a_snapshot_of_ours_is_counts_whatever_policy_holds_by_now(host):
    made(host, volumes=["/srv/thin"])
    assert len(host.provider(volumes=["/srv/data"]).rooms()) == 2
    assert host.provider(volumes=["/srv/nowhere"]).rooms()[0].kind == "thin pool"


@pytest.mark.parametrize(("uuid", "column"), [("POOL", "data_percent"), ("POOL", "metadata_percent"), ("META", None)])
def test_a_pool_that_does_not_tell_how_full_it_is_is_not_taken_for_empty(host, uuid, column):
    if column:
        host.volume(uuid)[column] = ""
    else:
        host.volumes.remove(host.volume(uuid))
    with pytest.raises(PatchingError, match="thin pool hospital/pool: LVM does not tell how full it is"):
        host.provider().rooms()
