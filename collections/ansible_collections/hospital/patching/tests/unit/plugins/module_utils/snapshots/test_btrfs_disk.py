# SPDX-License-Identifier: GPL-3.0-or-later
"""btrfs snapshots on a real file system."""

import os
import shutil
import uuid

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.snapshots import btrfs_sets, btrfs_volume, keeping
from ansible_collections.hospital.patching.tests.unit.plugins.module_utils.snapshots.btrfs_disk import (
    EXPIRES,
    MIB,
    OTHER,
    RUN,
    Disk,
    closing,
    kill_at,
    killed,
    make,
    mounted,
    require_btrfs,
    sh,
)

LOCK_WAIT = "ansible_collections.hospital.patching.plugins.module_utils.snapshots.mounted.LOCK_WAIT_S"


@pytest.fixture(scope="session")
def able(tmp_path_factory):
    require_btrfs(tmp_path_factory.mktemp("able"))


@pytest.fixture
def disk(tmp_path, able):
    with closing(Disk(tmp_path)) as found:
        yield found


def test_create_break_revert_and_retention(disk):
    provider, before = disk.provider(), disk.digests()
    first = make(provider)
    assert make(provider) == first, "a run makes one"
    assert len(first.id.split(",")) == 2
    assert all(uuid.UUID(one) for one in first.id.split(","))
    assert (first.run_id, first.host, first.reason, first.expires) == (RUN, "db1", "before the night", EXPIRES)

    with disk.top() as top:
        assert os.stat(os.path.join(top, "hospital-patching")).st_mode & 0o777 == 0o700
        at = [os.path.join(top, one["kept_at"]) for one in first.detail["subvolumes"]]
        shown = [sh("btrfs", "subvolume", "show", path) for path in at]
        assert all("readonly" in text for text in shown)
        assert [text.split("UUID:")[1].split()[0] for text in shown] == first.id.split(",")
        # Somebody else's of the same names, beside ours and elsewhere.
        foreign = os.path.join(top, "hospital-patching", "foreign")
        os.mkdir(foreign)
        for path in (os.path.join(foreign, "0"), os.path.join(top, "0")):
            sh("btrfs", "subvolume", "snapshot", "-r", os.path.join(top, "@data"), path)

    disk.damage()
    assert disk.digests() != before
    done = provider.revert(first.id, "db1")
    assert disk.digests() == before
    assert (done["reboot"], done["resumed"], done["carried"], done["left"]) == (False, False, [], [])
    assert disk.mounts() == [("app", "/@app"), ("data", "/@data")]
    flags = [mount.options for mount in mounted() if mount.path == disk.path("data")]
    assert "nosuid" in flags[0].split(","), "mounted as before"
    with open(disk.path("data", "writable"), "w") as handle:
        handle.write("the reverted one can be written")

    kept = [one for one in provider.list() if one.detail["kind"] == "set_aside"]
    assert [one.id for one in kept] == [done["kept"]]
    assert done["kept_until"] == kept[0].expires > kept[0].created
    assert provider.present(RUN, "db1") == first, "what was set aside is no restore point"
    with pytest.raises(PatchingError, match="it was set aside by a revert"):
        provider.revert(done["kept"], "db1")
    with disk.top() as top:
        for path in done["kept_at"]:
            with open(os.path.join(top, path, "etc", "conf")) as handle:
                assert handle.read() == "broken"

    for one in provider.list():
        with pytest.raises(PatchingError, match="belongs to run"):
            keeping.absent(provider, OTHER, one.id)
        assert keeping.absent(provider, RUN, one.id).changed
        assert not keeping.absent(provider, RUN, one.id).changed
    assert provider.list() == []
    assert disk.subvolumes() == ["0", "@app", "@data", "hospital-patching/foreign/0"]
    with disk.top() as top:
        assert os.listdir(os.path.join(top, "hospital-patching")) == ["foreign"]


def test_check_mode_makes_nothing_and_says_whether_it_could(disk):
    assert keeping.present(disk.provider(), RUN, "db1", "why", EXPIRES, write=False) == (True, None)
    with pytest.raises(PatchingError, match="bytes free"):
        keeping.present(disk.provider(min_free_bytes=1024 * MIB), RUN, "db1", "why", EXPIRES, write=False)
    assert disk.subvolumes() == ["@app", "@data"]


def test_two_sets_and_only_the_one_that_is_named(disk):
    provider = disk.provider()
    before = disk.digests()
    first = make(provider)
    disk.damage()
    broken = disk.digests()
    second = make(provider, OTHER)
    assert [one.id for one in provider.list()] == [first.id, second.id]
    assert [one.id for one in provider.list(OTHER)] == [second.id]
    assert provider.list(host="db2") == []

    provider.revert(first.id, "db1")
    assert disk.digests() == before
    provider.revert(second.id, "db1")
    assert disk.digests() == broken
    provider.revert(first.id, "db1")
    assert disk.digests() == before
    assert provider.delete(first.id)
    assert provider.present(OTHER, "db1") == second
    assert provider.present(RUN, "db1") is None
    assert disk.digests() == before, "a reverted subvolume outlives its snapshot"


def test_a_full_file_system_has_no_restore_point_made(disk):
    disk.fill()
    provider = disk.provider()
    assert "bytes free" in provider.available("db1")
    with pytest.raises(PatchingError, match="bytes free"):
        make(provider)
    # Nor is anything left by one that finds out only when it writes.
    with pytest.raises(PatchingError, match="No space left"):
        make(disk.provider(min_free_bytes=0, min_metadata_bytes=0))
    assert disk.subvolumes() == ["@app", "@data"]
    assert disk.provider().list() == []


def test_a_file_system_that_the_update_has_filled_is_reverted(disk):
    provider, before = disk.provider(), disk.digests()
    mine = make(provider)
    disk.damage()
    disk.fill()
    with open(disk.path("data", "new"), "wb", 0) as handle, pytest.raises(OSError, match="No space left"):
        handle.write(b"x" * MIB)
    with open(disk.path("data", "etc", "conf")), pytest.raises(PatchingError, match="in use by"):
        provider.revert(mine.id, "db1")
    disk.fill("fuller")
    provider.revert(mine.id, "db1")
    assert disk.digests() == before


def test_snapshots_removed_behind_our_back(disk):
    provider = disk.provider()
    mine = make(provider)
    disk.damage()
    broken = disk.digests()
    at = [one["kept_at"] for one in mine.detail["subvolumes"]]
    with disk.top() as top:
        sh("btrfs", "subvolume", "delete", os.path.join(top, at[1]))
        # A foreign one of the same name, of the same subvolume.
        sh("btrfs", "subvolume", "snapshot", "-r", os.path.join(top, "@app"), os.path.join(top, at[1]))

    seen = provider.list()
    assert [one.id for one in seen] == [mine.id]
    assert seen[0].detail["missing"] == [mine.id.split(",")[1]]
    assert provider.present(RUN, "db1") is None
    with pytest.raises(PatchingError, match="removed behind the run's back"):
        make(provider)
    with pytest.raises(PatchingError, match="removed behind the run's back"):
        provider.revert(mine.id, "db1")
    assert disk.digests() == broken
    assert provider.delete(mine.id)
    assert disk.subvolumes() == ["@app", "@data", at[1]], "the foreign one stays"
    assert provider.list() == []


def test_a_snapshot_that_was_moved_is_ours_and_one_that_was_changed_is_refused(disk):
    provider, before = disk.provider(), disk.digests()
    mine = make(provider)
    with disk.top() as top:
        kept_at = os.path.join(top, mine.detail["subvolumes"][0]["kept_at"])
        sh("btrfs", "property", "set", kept_at, "ro", "false")  # what is read-only does not move
        os.rename(kept_at, os.path.join(top, "moved"))
        sh("btrfs", "property", "set", os.path.join(top, "moved"), "ro", "true")
    disk.damage()
    provider.revert(mine.id, "db1")
    assert disk.digests() == before

    with disk.top() as top:
        sh("btrfs", "property", "set", os.path.join(top, "moved"), "ro", "false")
    with pytest.raises(PatchingError, match="made writable"):
        provider.revert(mine.id, "db1")
    assert provider.delete(mine.id)
    assert "moved" not in disk.subvolumes()


KILLS = {
    "its first copy is made": (btrfs_volume.TopLevel, "snapshot", 1, True),
    "only one is unmounted": (btrfs_volume.TopLevel, "unmount", 2, False),
    "all is unmounted": (btrfs_sets.Sets, "advance", 1, False),
    "nothing is exchanged": (btrfs_volume.TopLevel, "exchange", 1, False),
    "one is exchanged": (btrfs_volume.TopLevel, "exchange", 2, False),
    "all is exchanged": (btrfs_volume.TopLevel, "exchange", 2, True),
    "one is mounted": (btrfs_volume.TopLevel, "mount", 2, False),
    "all is mounted": (btrfs_sets.Sets, "advance", 2, False),
}
UNDONE = ("its first copy is made", "only one is unmounted", "all is unmounted")


@pytest.mark.parametrize("moment", sorted(KILLS))
def test_an_interrupted_revert_is_ended_or_undone(disk, monkeypatch, moment):
    provider, before = disk.provider(), disk.digests()
    mine = make(provider)
    disk.damage()
    with monkeypatch.context() as patched:
        kill_at(patched, *KILLS[moment])
        killed(lambda: provider.revert(mine.id, "db1"))

    assert [one.id for one in provider.list()] == [mine.id], "seen while half done, and only it"
    said = provider.available("db1")
    if moment not in UNDONE:
        assert mine.id in said
        assert "cut off" in said
    done = provider.revert(mine.id, "db1")
    assert done["resumed"] is (moment not in UNDONE)
    assert disk.digests() == before
    assert disk.mounts() == [("app", "/@app"), ("data", "/@data")]
    assert provider.available("db1") is None
    for one in provider.list():
        assert provider.delete(one.id)
    assert disk.subvolumes() == ["@app", "@data"]


@pytest.mark.parametrize("moment", ["all is unmounted", "one is exchanged"])
def test_whoever_wants_a_restore_point_settles_an_interrupted_revert(disk, monkeypatch, moment):
    provider, before = disk.provider(), disk.digests()
    mine = make(provider)
    disk.damage()
    broken = disk.digests()
    with monkeypatch.context() as patched:
        kill_at(patched, *KILLS[moment])
        killed(lambda: provider.revert(mine.id, "db1"))
    if moment in UNDONE:
        make(provider, OTHER)
        assert disk.digests() == broken
        return
    with pytest.raises(PatchingError, match="had been cut off, and was ended just now"):
        make(provider, OTHER)
    assert disk.digests() == before
    make(provider, OTHER)


def test_after_a_crash_the_boot_has_mounted_both(disk, monkeypatch):
    provider, before = disk.provider(), disk.digests()
    mine = make(provider)
    disk.damage()
    with monkeypatch.context() as patched:
        kill_at(patched, *KILLS["one is exchanged"])
        killed(lambda: provider.revert(mine.id, "db1"))
    sh("umount", disk.path("run", "top"))
    shutil.rmtree(disk.path("run"))
    for name in ("data", "app"):
        disk.mount(name)
    assert disk.digest("data") == before[0]
    assert disk.digest("app") != before[1]

    assert provider.revert(mine.id, "db1")["resumed"] is True
    assert disk.digests() == before


def test_a_killed_creation_is_an_orphan_that_can_be_deleted_or_is_replaced(disk, monkeypatch):
    provider = disk.provider()
    with monkeypatch.context() as patched:
        kill_at(patched, btrfs_volume.TopLevel, "snapshot", 1, True)
        killed(lambda: make(provider))
    orphan = provider.list()
    assert [(one.run_id, one.detail["complete"]) for one in orphan] == [(RUN, False)]
    assert provider.present(RUN, "db1") is None
    with pytest.raises(PatchingError, match="it was set aside by a revert, or is not complete"):
        provider.revert(orphan[0].id, "db1")

    other = make(provider, OTHER)
    assert len(provider.list()) == 2, "another run's orphan is left to its sweep"
    assert keeping.absent(provider, RUN, orphan[0].id).changed
    assert provider.list() == [other]

    with monkeypatch.context() as patched:
        kill_at(patched, btrfs_volume.TopLevel, "snapshot", 1, True)
        killed(lambda: make(provider))
    mine = make(provider)
    assert {one.id for one in provider.list()} == {other.id, mine.id}  # of one second, maybe
    assert len(disk.subvolumes()) == 6


def test_what_lies_where_a_killed_call_was_to_make_its_own_is_left(disk, monkeypatch):
    provider = disk.provider()
    with monkeypatch.context() as patched:
        kill_at(patched, btrfs_volume.TopLevel, "snapshot", 1)
        killed(lambda: make(provider))
    with disk.top() as top:
        (name,) = os.listdir(os.path.join(top, "hospital-patching"))
        foreign = os.path.join("hospital-patching", name, "0")
        sh("btrfs", "subvolume", "snapshot", "-r", os.path.join(top, "@app"), os.path.join(top, foreign))
    assert provider.list() == []
    mine = make(provider)
    assert [one.id for one in provider.list()] == [mine.id]
    assert provider.delete(mine.id)
    assert disk.subvolumes() == ["@app", "@data", foreign]


def test_what_is_in_use_is_not_reverted_unless_by_a_reboot(disk):
    before = disk.digests()
    provider = disk.provider()
    mine = make(provider)
    disk.damage()
    broken = disk.digests()
    with open(disk.path("app", "etc", "conf")):
        with pytest.raises(PatchingError, match=r"in use by \S+ \({}\)".format(os.getpid())):
            provider.revert(mine.id, "db1")
        assert disk.digests() == broken
        assert disk.mounts() == [("app", "/@app"), ("data", "/@data")]
        assert [one.id for one in provider.list()] == [mine.id]

        waiting = disk.provider(at_reboot=[disk.path("app")])
        done = waiting.revert(mine.id, "db1")
        assert done["reboot"] is True
        assert disk.digests() == [before[0], broken[1]]
        with pytest.raises(PatchingError, match="it is mounted at " + disk.path("app")):
            waiting.delete(done["kept"])
        with pytest.raises(PatchingError, match="if an earlier revert is waiting for its reboot"):
            waiting.revert(mine.id, "db1")
    for name in ("data", "app"):  # as a boot does
        sh("umount", disk.path(name))
        disk.mount(name)
    assert disk.digests() == before
    assert waiting.delete(done["kept"])


def test_the_default_subvolume_is_reverted_as_such_and_never_deleted(disk):
    before = disk.digests()
    with disk.top() as top:
        number = sh("btrfs", "inspect-internal", "rootid", os.path.join(top, "@app")).strip()
        sh("btrfs", "subvolume", "set-default", number, top)
    sh("umount", disk.path("app"))
    disk.mount("app", "rw")
    provider = disk.provider(at_reboot=[disk.path("app")])
    mine = make(provider)
    disk.damage()
    done = provider.revert(mine.id, "db1")
    sh("umount", disk.path("app"))
    disk.mount("app", "rw")
    assert disk.digests() == before

    with disk.top() as top:
        sh("btrfs", "subvolume", "set-default", os.path.join(top, done["kept_at"][1]))
    with pytest.raises(PatchingError, match="default subvolume"):
        provider.delete(done["kept"])
    with disk.top() as top:
        assert all(os.path.isdir(os.path.join(top, path)) for path in done["kept_at"]), "nothing of it was deleted"


def test_subvolumes_within_are_outside_and_move_along(disk):
    sh("btrfs", "subvolume", "create", disk.path("data", "cache"))
    with open(disk.path("data", "cache", "file"), "w") as handle:
        handle.write("before")
    provider = disk.provider()
    mine = make(provider)
    assert mine.detail["outside"] == ["/@data/cache"]
    with open(disk.path("data", "cache", "file"), "w") as handle:
        handle.write("after")
    sh("btrfs", "subvolume", "create", disk.path("data", "etc", "later"))
    disk.damage()

    with pytest.raises(PatchingError, match="no snapshot holds: /@data/cache"):
        disk.provider(at_reboot=[disk.path("data")]).revert(mine.id, "db1")
    done = provider.revert(mine.id, "db1")
    assert sorted(done["carried"]) == ["/cache", "/etc/later"]
    with open(disk.path("data", "cache", "file")) as handle:
        assert handle.read() == "after", "what no snapshot holds stays as it is"
    with open(disk.path("data", "etc", "conf")) as handle:
        assert handle.read() == "before in data"
    assert provider.delete(done["kept"])


def test_nothing_moves_through_a_link_that_the_snapshot_has(disk):
    os.mkdir(disk.path("app", "outside"))
    os.symlink("../@app/outside", disk.path("data", "way"))
    provider = disk.provider(names=["data"])
    mine = make(provider)
    os.unlink(disk.path("data", "way"))
    os.mkdir(disk.path("data", "way"))
    sh("btrfs", "subvolume", "create", disk.path("data", "way", "inner"))
    with open(disk.path("data", "way", "inner", "file"), "w") as handle:
        handle.write("x")

    done = provider.revert(mine.id, "db1")
    assert (done["carried"], done["left"]) == ([], ["/way/inner"])
    assert os.listdir(disk.path("app", "outside")) == []
    with pytest.raises(PatchingError, match="way/inner lies within it"):
        provider.delete(done["kept"])


def test_another_subvolume_in_the_place_of_ours_is_not_touched(disk):
    provider = disk.provider()
    mine = make(provider)
    for name in ("data", "app"):
        sh("umount", disk.path(name))
    with disk.top() as top:
        os.rename(os.path.join(top, "@app"), os.path.join(top, "@old"))
        sh("btrfs", "subvolume", "create", os.path.join(top, "@app"))
    for name in ("data", "app"):
        disk.mount(name)
    with pytest.raises(PatchingError, match="subvolume /@app: another one is there"):
        provider.revert(mine.id, "db1")
    assert [one.id for one in provider.list()] == [mine.id]
    with pytest.raises(PatchingError, match="it is of host db1"):
        provider.revert(mine.id, "db2")


def test_what_cannot_be_put_back_is_not_held(disk):
    (line,) = [mount for mount in mounted() if mount.path == disk.path("app")]
    by_number = "{} {} btrfs subvol=/@app,subvolid=257 0 0\n".format(line.source, line.path)
    assert "/etc/fstab mounts it by subvolid=257" in disk.provider(fstab=by_number).available("db1")
    by_path = "{} {} btrfs subvol=/@app 0 0\n".format(line.source, line.path)
    assert disk.provider(fstab=by_path).available("db1") is None

    with disk.top():
        assert "top level" in disk.provider(names=["top"]).available("db1")
    os.mkdir(disk.path("bound"))
    sh("mount", "--bind", disk.path("data", "etc"), disk.path("bound"))
    try:
        assert "is no subvolume" in disk.provider(names=["bound"]).available("db1")
        provider = disk.provider()
        mine = make(provider)
        with pytest.raises(PatchingError, match="/bound"):
            provider.revert(mine.id, "db1")
    finally:
        sh("umount", disk.path("bound"))
    assert "nothing is mounted there" in disk.provider(names=["bound"]).available("db1")
    assert "it needs btrfs" in disk.provider(names=[], subvolumes=["/proc"]).available("db1")


def test_quotas_and_other_snapshots_are_said(disk):
    sh("btrfs", "quota", "enable", disk.path("data"))
    with disk.top() as top:
        sh("btrfs", "subvolume", "snapshot", os.path.join(top, "@data"), os.path.join(top, "snapper"))
    risks = make(disk.provider()).detail["risks"]
    assert any("quotas are on" in risk for risk in risks)
    assert "1 snapshots are there already" in risks
    assert any("unallocated" in risk for risk in risks)
    sh("btrfs", "qgroup", "limit", "16M", disk.path("app"))
    assert "quota of {} leaves".format(disk.path("app")) in disk.provider().available("db1")


def test_a_folder_that_others_write_to_is_refused(disk):
    with disk.top() as top:
        os.mkdir(os.path.join(top, "hospital-patching"))
        os.chmod(os.path.join(top, "hospital-patching"), 0o777)
    with pytest.raises(PatchingError, match="only root may write"):
        make(disk.provider())
    assert disk.provider(folder="@snapshots").list() == []


def test_a_record_that_is_damaged_is_said_and_not_passed_over(disk):
    provider = disk.provider()
    mine = make(provider)
    with disk.top() as top:
        place = os.path.dirname(mine.detail["subvolumes"][0]["kept_at"])
        with open(os.path.join(top, place, "set.json"), "w") as handle:
            handle.write("{")
    with pytest.raises(PatchingError, match="cannot be read"):
        provider.list()


def test_two_calls_at_once_wait_for_each_other(disk, monkeypatch):
    provider = disk.provider()
    monkeypatch.setattr(LOCK_WAIT, 0)
    with provider._opened(), pytest.raises(PatchingError, match="another call works"):
        disk.provider().list()


def test_what_a_revert_loses_is_what_was_written_since(disk):
    provider = disk.provider()
    with open(disk.path("data", "in the same generation"), "wb") as handle:
        handle.write(os.urandom(MIB))
    one = make(provider)
    assert provider.loss(one.id, "db1") == (0, None), "what the snapshot holds is not lost"
    with open(disk.path("data", "new"), "wb") as handle:
        handle.write(os.urandom(3 * MIB))
    with open(disk.path("app", "large"), "r+b") as handle:
        handle.write(os.urandom(MIB // 2))
    assert provider.loss(one.id, "db1") == (3 * MIB + MIB // 2, None)
    assert provider.loss("another", "db1") == (None, "there is no such restore point")
    done = provider.revert(one.id, "db1")
    assert provider.loss(done["kept"], "db1").size_bytes is None, "what was set aside is no restore point"
