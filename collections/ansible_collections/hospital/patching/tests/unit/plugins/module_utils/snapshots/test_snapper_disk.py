# SPDX-License-Identifier: GPL-3.0-or-later
"""snapper itself on a real btrfs; its configs are the test's own, in a mount namespace of each command."""

import json
import os

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner
from ansible_collections.hospital.patching.plugins.module_utils.snapshots import btrfs_sets, btrfs_volume, keeping
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.snapper import SnapperProvider, SnapperSets
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


class SnapperDisk(Disk):
    """The subvolumes @data and @app, each with a config of its name; snapshots lie within them, as create-config does.

    The limits of the configs are such that snapper's own cleanup deletes whatever it may.
    """

    def __init__(self, folder):
        super().__init__(folder)
        os.makedirs(self.path("etc", "configs"))
        for name in ("data", "app"):
            self.configure(name)
            sh("btrfs", "subvolume", "create", self.path(name, ".snapshots"))

    def configure(self, name):
        lines = [
            ("SUBVOLUME", self.path(name)),
            ("FSTYPE", "btrfs"),
            ("NUMBER_CLEANUP", "yes"),
            ("NUMBER_MIN_AGE", "0"),
        ]
        lines += [("NUMBER_LIMIT", "0"), ("NUMBER_LIMIT_IMPORTANT", "0"), ("EMPTY_PRE_POST_MIN_AGE", "0")]
        with open(self.path("etc", "configs", name), "w") as handle:
            handle.writelines('{}="{}"\n'.format(*line) for line in lines)

    def words(self):
        inside = 'mount --bind "$0" /etc/snapper && exec snapper --no-dbus "$@"'
        return ["unshare", "--mount", "sh", "-c", inside, self.path("etc")]

    def snapper(self, *words):
        return sh(*self.words(), *words)

    def numbers(self, config):
        """Return what snapper lists, without the present state: userdata by number."""
        found = json.loads(self.snapper("--jsonout", "-c", config, "list", "--columns", "number,userdata"))[config]
        return {one["number"]: one["userdata"] for one in found if one["number"]}

    def provider(self, names=("data", "app"), fstab="", **options):
        with open(self.path("fstab"), "w") as handle:
            handle.write(fstab)
        given = {"min_free_bytes": 32 * MIB, "min_metadata_bytes": 8 * MIB, "configs": list(names)}
        given["snapper"] = self.words()
        given.update(options)
        places = btrfs_volume.Places(self.path("run"), "/proc/self/mountinfo", self.path("fstab"), "/proc/cmdline")
        return SnapperProvider(given, Runner(), Clock(), places)


class OpensuseDisk(SnapperDisk):
    """As openSUSE lays a root out: the default subvolume is @/.snapshots/1/snapshot, with @/.snapshots within it."""

    def __init__(self, folder):
        super().__init__(folder)
        sh("umount", self.path("data"))
        with self.top() as top:
            sh("btrfs", "subvolume", "delete", os.path.join(top, "@data/.snapshots"))
            for path in ("@", "@/.snapshots"):
                sh("btrfs", "subvolume", "create", os.path.join(top, path))
            place = os.path.join(top, "@/.snapshots/1")
            os.mkdir(place)
            sh("btrfs", "subvolume", "snapshot", os.path.join(top, "@data"), os.path.join(place, "snapshot"))
            sh("btrfs", "subvolume", "set-default", os.path.join(place, "snapshot"))
            sh("btrfs", "subvolume", "delete", os.path.join(top, "@data"))
            with open(os.path.join(place, "info.xml"), "w") as handle:
                handle.write('<?xml version="1.0"?>\n<snapshot><type>single</type><num>1</num>')
                handle.write("<date>2026-11-01 00:00:00</date></snapshot>\n")
        self.boot()
        os.mkdir(self.path("data", ".snapshots"))
        self.mount_snapshots()

    def mount_snapshots(self):
        sh("mount", "-o", "subvol=@/.snapshots", self.device, self.path("data", ".snapshots"))

    def boot(self):
        """Mount the data as a boot does, by the file system's default."""
        self.mount("data", "rw")


@pytest.fixture(scope="session")
def able(tmp_path_factory):
    require_btrfs(tmp_path_factory.mktemp("able"), "snapper")


@pytest.fixture
def disk(tmp_path, able):
    with closing(SnapperDisk(tmp_path)) as found:
        yield found


@pytest.fixture
def opensuse(tmp_path, able):
    with closing(OpensuseDisk(tmp_path)) as found:
        yield found


def test_create_break_revert_and_retention(disk):
    provider, before = disk.provider(), disk.digests()
    disk.snapper("-c", "data", "create", "--description", "foreign", "--cleanup-algorithm", "number")
    first = make(provider)
    assert make(provider) == first, "a run makes one"
    assert (first.provider, first.run_id, first.host, first.expires) == ("snapper", RUN, "db1", EXPIRES)
    told = [(one["config"], one["number"], one["kept_at"]) for one in first.detail["subvolumes"]]
    assert told == [("data", 2, "@data/.snapshots/2/snapshot"), ("app", 1, "@app/.snapshots/1/snapshot")]
    assert [one["uuid"] for one in first.detail["subvolumes"]] == first.id.split(",")
    said = disk.numbers("data")[2]
    assert said == dict(disk.numbers("app")[1], **{"hospital-patching": said["hospital-patching"]})
    assert (said["run"], said["host"], said["expires"]) == (RUN, "db1", "2030-11-25T00%3A00%3A00Z")
    assert "hospital.patching: before the night" in disk.snapper("-c", "data", "list")

    disk.snapper("-c", "data", "cleanup", "number")
    assert list(disk.numbers("data")) == [2], "snapper's own cleanup took only what was its own"
    disk.snapper("-c", "data", "create", "--description", "hospital.patching: before the night")

    disk.damage()
    assert disk.digests() != before
    done = provider.revert(first.id, "db1")
    assert disk.digests() == before
    assert (done["reboot"], done["resumed"], done["left"]) == (False, False, [])
    assert done["carried"] == ["/.snapshots", "/.snapshots"]
    assert disk.mounts() == [("app", "/@app"), ("data", "/@data")]
    assert sorted(disk.numbers("data")) == [2, 3], "snapper goes on with what it had"

    assert provider.present(RUN, "db1") == first
    second = make(provider, OTHER)
    kept = [one for one in provider.list() if one.detail["kind"] == "set_aside"]
    assert [one.id for one in kept] == [done["kept"]]
    for one in provider.list():
        with pytest.raises(PatchingError, match="belongs to run"):
            keeping.absent(provider, "20260101T000000Z-00000000", one.id)
        assert keeping.absent(provider, OTHER if one == second else RUN, one.id).changed
        assert not keeping.absent(provider, RUN, one.id).changed
    assert provider.list() == []
    assert (list(disk.numbers("data")), disk.numbers("app")) == ([3], {}), "the foreign one of that name stays"
    assert disk.subvolumes() == [
        *("@app", "@app/.snapshots", "@data", "@data/.snapshots", "@data/.snapshots/3/snapshot"),
    ]


def test_check_mode_makes_nothing_and_says_whether_it_could(disk):
    assert keeping.present(disk.provider(), RUN, "db1", "why", EXPIRES, write=False) == (True, None)
    with pytest.raises(PatchingError, match="bytes free"):
        keeping.present(disk.provider(min_free_bytes=1024 * MIB), RUN, "db1", "why", EXPIRES, write=False)
    assert (disk.numbers("data"), disk.numbers("app")) == ({}, {})


def test_a_number_that_snapper_has_given_again_is_not_ours(disk):
    provider = disk.provider(names=["data"])
    mine = make(provider)
    disk.snapper("-c", "data", "delete", "1")
    disk.snapper("-c", "data", "create", "--description", "hospital.patching: before the night")
    assert list(disk.numbers("data")) == [1]

    (seen,) = provider.list()
    assert (seen.id, seen.detail["missing"]) == (mine.id, [mine.id])
    assert provider.present(RUN, "db1") is None
    for act in (lambda: make(provider), lambda: provider.revert(mine.id, "db1")):
        with pytest.raises(PatchingError, match="removed behind the run's back"):
            act()
    assert provider.delete(mine.id), "what is left of it is a record"
    assert provider.list() == []
    assert list(disk.numbers("data")) == [1]


def test_what_somebody_has_made_his_own_is_not_deleted(disk):
    provider, before = disk.provider(), disk.digests()
    mine = make(provider)
    disk.snapper("-c", "app", "modify", "--userdata", "hospital-patching=", "1")
    with pytest.raises(PatchingError, match="snapshot 1 of snapper's config app: snapper lists none whose userdata"):
        provider.delete(mine.id)
    assert (list(disk.numbers("data")), list(disk.numbers("app"))) == ([1], [1]), "nothing of it was deleted"
    disk.damage()
    provider.revert(mine.id, "db1")
    assert disk.digests() == before
    disk.snapper("-c", "app", "delete", "1")
    assert provider.delete(mine.id)
    assert [one.detail["kind"] for one in provider.list()] == ["set_aside"]


@pytest.mark.parametrize("nth", [1, 2])
def test_a_killed_creation_is_an_orphan_that_can_be_deleted_or_is_replaced(disk, monkeypatch, nth):
    provider = disk.provider()
    with monkeypatch.context() as patched:
        kill_at(patched, SnapperSets, "make", nth, True)
        killed(lambda: make(provider))
    (orphan,) = provider.list()
    assert (orphan.run_id, orphan.detail["complete"], len(orphan.id.split(","))) == (RUN, False, nth)
    assert provider.present(RUN, "db1") is None
    other = make(provider, OTHER)
    assert keeping.absent(provider, RUN, orphan.id).changed
    assert provider.list() == [other]

    with monkeypatch.context() as patched:
        kill_at(patched, SnapperSets, "make", nth, True)
        killed(lambda: make(provider))
    mine = make(provider)
    assert {one.id for one in provider.list()} == {other.id, mine.id}
    assert [len(disk.numbers(name)) for name in ("data", "app")] == [2, 2], "no orphan is left"


def test_a_creation_that_fails_leaves_nothing(disk):
    provider = disk.provider()
    sh("chattr", "+i", disk.path("app", ".snapshots"))
    try:
        with pytest.raises(PatchingError, match="mkdir failed"):
            make(provider)
    finally:
        sh("chattr", "-i", disk.path("app", ".snapshots"))
    assert (provider.list(), disk.numbers("data"), disk.numbers("app")) == ([], {}, {})


KILLS = {
    "all is unmounted": (btrfs_sets.Sets, "advance", 1, False),
    "one is exchanged": (btrfs_volume.TopLevel, "exchange", 2, False),
    "one is mounted": (btrfs_volume.TopLevel, "mount", 2, False),
}


@pytest.mark.parametrize("moment", sorted(KILLS))
def test_an_interrupted_revert_is_ended_or_undone(disk, monkeypatch, moment):
    provider, before = disk.provider(), disk.digests()
    mine = make(provider)
    disk.damage()
    with monkeypatch.context() as patched:
        kill_at(patched, *KILLS[moment])
        killed(lambda: provider.revert(mine.id, "db1"))
    provider = disk.provider()  # another call
    assert keeping.require(provider, mine.id, RUN, "db1").id == mine.id
    assert provider.revert(mine.id, "db1")["resumed"] is (moment != "all is unmounted")
    assert disk.digests() == before
    assert disk.mounts() == [("app", "/@app"), ("data", "/@data")]
    for one in provider.list():
        assert provider.delete(one.id)
    assert (disk.numbers("data"), disk.numbers("app")) == ({}, {})


def test_a_file_system_that_the_update_has_filled_is_reverted(disk):
    provider, before = disk.provider(), disk.digests()
    mine = make(provider)
    disk.damage()
    disk.fill()
    provider.revert(mine.id, "db1")
    assert disk.digests() == before


def test_the_default_subvolume_with_its_snapshots_beside_it_is_reverted_by_a_reboot(opensuse):
    disk, before = opensuse, opensuse.digest("data")
    provider = disk.provider(names=["data"], at_reboot=[disk.path("data")])
    mine = make(provider)
    (told,) = mine.detail["subvolumes"]
    assert (told["path"], told["kept_at"]) == ("@/.snapshots/1/snapshot", "@/.snapshots/2/snapshot")
    disk.damage()
    broken = disk.digest("data")
    done = provider.revert(mine.id, "db1")
    assert done["reboot"] is True
    assert disk.digest("data") == broken, "until the reboot"

    sh("umount", disk.path("data", ".snapshots"))
    sh("umount", disk.path("data"))
    disk.boot()
    disk.mount_snapshots()
    assert disk.digest("data") == before
    assert [mount.root for mount in mounted() if mount.path == disk.path("data")] == ["/@/.snapshots/1/snapshot"]
    assert sorted(disk.numbers("data")) == [1, 2]
    active = json.loads(disk.snapper("--jsonout", "-c", "data", "list", "--columns", "number,default,active"))["data"]
    assert {one["number"] for one in active if one["default"] and one["active"]} == {1}, "snapper sees it as its own"
    assert provider.delete(mine.id)
    assert provider.delete(done["kept"])
    assert provider.list() == []


def test_what_cannot_be_put_back_is_not_held(disk):
    data = disk.path("data")
    within = disk.provider(names=["data"], at_reboot=[data])
    assert "within subvolume /@data, whose revert waits for a reboot" in within.available("db1")
    with pytest.raises(PatchingError, match=r"or take \S+/data out of at_reboot"):
        make(within)
    assert "exit 1: Config 'none' not found" in disk.provider(names=["none"]).available("db1")
    sh("umount", data)
    assert "nothing is mounted there" in disk.provider().available("db1")
    disk.mount("data")
    sh("btrfs", "subvolume", "delete", disk.path("data", ".snapshots"))
    with pytest.raises(PatchingError, match=r"data/.snapshots: no subvolume of that file system.*create-config"):
        make(disk.provider())
    os.mkdir(disk.path("data", ".snapshots"))
    assert "no subvolume of that file system" in disk.provider().available("db1")
    assert disk.numbers("app") == {}


def test_a_subvolume_that_cannot_be_unmounted_is_named_beforehand(opensuse):
    disk = opensuse
    with pytest.raises(PatchingError, match=r"could not be unmounted for a revert.*give \S+/data in at_reboot"):
        make(disk.provider(names=["data"]))
    assert sorted(disk.numbers("data")) == [1]
