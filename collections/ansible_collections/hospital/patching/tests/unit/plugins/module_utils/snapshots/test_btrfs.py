# SPDX-License-Identifier: GPL-3.0-or-later
"""What btrfs-progs 6.2 was recorded to print, and what the provider refuses without touching a disk."""

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.mount_table import parse_mountinfo
from ansible_collections.hospital.patching.plugins.module_utils.runner import Result
from ansible_collections.hospital.patching.plugins.module_utils.snapshots import btrfs_text, btrfs_volume, registry
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.btrfs import BtrfsProvider

GIB = 1024**3
NONE = "-" + " " * 35
LIST = "".join(
    "ID {} gen 7 top level {} parent_uuid {} uuid {} path {}\n".format(*line)
    for line in (
        (256, 5, NONE, "1ec477a7-233a-1e4d-b66b-a35af5c816d7", "@"),
        (257, 256, NONE, "b8e6a05d-99d3-364d-a8d1-72c684194678", "@/nested"),
        (259, 5, "5669e8d0-ff09-c244-a1a8-13f479da9fa3", "4eacc151-5c61-6546-8685-f3eb21f78285", "a b"),
    )
)
SHOW = """\
@
\tName: \t\t\t@
\tUUID: \t\t\t1ec477a7-233a-1e4d-b66b-a35af5c816d7
\tParent UUID: \t\t-
\tReceived UUID: \t\t-
\tCreation time: \t\t2026-11-26 17:57:26 +0000
\tSubvolume ID: \t\t256
\tGeneration: \t\t7
\tGen at creation: \t7
\tParent ID: \t\t5
\tTop level ID: \t\t5
\tFlags: \t\t\t-
\tSend transid: \t\t0
\tSend time: \t\t2026-11-26 17:57:26 +0000
\tReceive transid: \t0
\tReceive time: \t\t-
\tSnapshot(s):
\t\t\t\tsnap1
"""
USAGE = """\
Overall:
    Device size:\t\t         536870912
    Device allocated:\t\t          92274688
    Device unallocated:\t\t         444596224
    Device missing:\t\t                 0
    Device slack:\t\t                 0
    Used:\t\t\t            425984
    Free (estimated):\t\t         452984832\t(min: 230686720)
    Free (statfs, df):\t\t         451936256
    Data ratio:\t\t\t              1.00
    Metadata ratio:\t\t              2.00
    Global reserve:\t\t           5767168\t(used: 0)
    Multiple profiles:\t\t                no

Data,single: Size:8388608, Used:0 (0.00%)
   /dev/loop0\t   8388608

Metadata,DUP: Size:33554432, Used:196608 (0.59%)
   /dev/loop0\t  67108864

System,DUP: Size:8388608, Used:16384 (0.20%)
   /dev/loop0\t  16777216

Unallocated:
   /dev/loop0\t 444596224
"""
FULL = (
    USAGE.replace("444596224", "1048576")
    .replace("452984832", "0")
    .replace("230686720", "0")
    .replace("196608", "720896")
)
QUOTAS = """\
Qgroupid    Referenced    Exclusive  Max referenced  Max exclusive   Path
--------    ----------    ---------  --------------  -------------   ----
0/263            16384        16384       104857600           none   @data
"""
MOUNTS = """\
27 1 0:31 /@ / rw,relatime shared:1 - btrfs /dev/vda2 rw,space_cache=v2,subvolid=256,subvol=/@
28 27 0:31 /@home /home rw,nosuid shared:2 - btrfs /dev/vda2 rw,space_cache=v2,subvolid=258,subvol=/@home
29 27 0:44 /@lab /srv/lab\\040data rw - btrfs /dev/vdb rw,subvolid=256,subvol=/@lab
30 27 8:1 / /boot rw - ext4 /dev/vda1 rw
31 27 0:46 /@old /srv/old rw - btrfs /dev/vdc ro,subvolid=256,subvol=/@old
"""
FOUND = {
    ("subvolume", "list"): LIST,
    ("subvolume", "show"): SHOW,
    ("subvolume", "get-default"): "ID 5 (FS_TREE)\n",
    ("filesystem", "usage"): USAGE.replace("230686720", str(9 * GIB)),
    ("filesystem", "sync"): "",
}


class Host:
    """Mounts, and answers in the words of btrfs."""

    def __init__(self, folder):
        self.places = btrfs_volume.Places(*[str(folder / name) for name in ("run", "mountinfo", "fstab", "cmdline")])
        self.mountinfo, self.fstab, self.cmdline = folder / "mountinfo", folder / "fstab", folder / "cmdline"
        self.mountinfo.write_text(MOUNTS)
        self.answers = dict(FOUND)
        self.changes = []

    def run(self, args, timeout_s=0, check=True, **_others):
        if args[0] == "mount":
            device = next(mount.device for mount in parse_mountinfo(MOUNTS) if mount.source == args[-2])
            line = "99 27 {} / {} rw - btrfs {} rw\n".format(device, args[-1], args[-2])
            self.mountinfo.write_text(self.mountinfo.read_text() + line)
        elif args[0] == "umount":
            lines = self.mountinfo.read_text().splitlines(True)
            self.mountinfo.write_text("".join(line for line in lines if " {} ".format(args[1]) not in line))
        elif args[1] == "qgroup":
            answer = self.answers.get("quotas")
            return Result(args, 0 if answer else 1, answer or "", "ERROR: can't list qgroups: quotas not enabled\n")
        else:
            words = tuple(args[1:3])
            if words not in FOUND:
                self.changes.append(words)
            answer = self.answers.get(words, "")
            if isinstance(answer, PatchingError):
                raise answer
            return Result(args, 0, answer, "")
        return Result(args, 0, "", "")

    def provider(self, **options):
        return BtrfsProvider(options, self, Clock(), self.places)


@pytest.fixture
def host(tmp_path, monkeypatch):
    monkeypatch.setattr(btrfs_volume, "is_subvolume", lambda full: True)
    found = Host(tmp_path)
    yield found
    assert found.changes == [], "nothing is changed on a host that is refused"
    assert found.mountinfo.read_text() in (MOUNTS, ""), "unmounted again"


def test_subvolumes_are_read_with_their_parents():
    assert btrfs_text.parse_list(LIST) == [
        (256, "1ec477a7-233a-1e4d-b66b-a35af5c816d7", "", "@"),
        (257, "b8e6a05d-99d3-364d-a8d1-72c684194678", "", "@/nested"),
        (259, "4eacc151-5c61-6546-8685-f3eb21f78285", "5669e8d0-ff09-c244-a1a8-13f479da9fa3", "a b"),
    ]
    assert btrfs_text.parse_list("") == []


def test_one_subvolume_is_read():
    uuid = "1ec477a7-233a-1e4d-b66b-a35af5c816d7"
    assert btrfs_text.parse_show(SHOW) == (256, uuid, "", False)
    read_only = SHOW.replace("Flags: \t\t\t-", "Flags: \t\t\treadonly").replace(
        "Parent UUID: \t\t-", "Parent UUID: \t\tff"
    )
    assert btrfs_text.parse_show(read_only) == (256, uuid, "ff", True)
    # The top level, in the words of btrfs-progs before 4.19, and an error.
    assert btrfs_text.parse_show("/\n\tName: \t\t\t<FS_TREE>\n") is None
    assert btrfs_text.parse_show("") is None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (USAGE, (230686720, 33554432 - 196608 + 222298112, 444596224, 0, False)),
        (FULL, (0, 33554432 - 720896 + 524288, 1048576, 0, False)),
        (
            USAGE.replace("Device missing:\t\t                 0", "Device missing:\t\t              4096").replace(
                "profiles:\t\t                no", "profiles:\t\t               yes"
            ),
            (230686720, 33554432 - 196608 + 222298112, 444596224, 4096, True),
        ),
        (USAGE.replace("Unallocated:", "").replace("Free (estimated)", "Free"), None),
        ("", None),
    ],
)
def test_room_is_read(text, found):
    assert btrfs_text.parse_usage(text) == found


def test_mixed_block_groups_count_as_metadata():
    mixed = USAGE.replace("Data,single: Size:8388608, Used:0", "Data+Metadata,single: Size:8388608, Used:8388607")
    mixed = "\n".join(line for line in mixed.splitlines() if not line.startswith("Metadata,DUP"))
    assert btrfs_text.parse_usage(mixed).metadata == 1 + 222298112


def test_the_default_subvolume_is_read():
    assert btrfs_text.parse_default("ID 5 (FS_TREE)\n") == 5
    assert btrfs_text.parse_default("ID 263 gen 13 top level 5 path @data\n") == 263
    assert btrfs_text.parse_default("ERROR: not root\n") is None


@pytest.mark.parametrize(
    ("text", "room"),
    [
        (QUOTAS, 104857600 - 16384),
        (QUOTAS.replace("104857600", "none"), None),
        (QUOTAS.replace("104857600           none", "none           16385"), 1),
        (QUOTAS.splitlines(True)[0], None),
    ],
)
def test_quotas_are_read(text, room):
    assert btrfs_text.quota_room(text) == room


@pytest.mark.parametrize(
    ("mount", "fstab", "cmdline", "found"),
    [
        ("/", "UUID=1 / btrfs subvol=/@ 0 0", "root=UUID=1 rootflags=subvol=@ ro", None),
        ("/", "UUID=1 / btrfs defaults 0 0", "root=UUID=1", None),
        ("/", "UUID=1 / btrfs rw,subvolid=256,subvol=/@ 0 0", "", "/etc/fstab mounts it by subvolid=256"),
        ("/", "", "rootflags=compress=zstd,subvolid=256", "the kernel's command line mounts it by subvolid=256"),
        ("/", "", "rootflags=subvolid=256 ro", "the kernel's command line mounts it by subvolid=256"),
        ("/srv", "", "rootflags=subvolid=256 ro", None),
        ("/srv", "# UUID=1 /srv btrfs subvolid=9 0 0\nUUID=1 /srv/a btrfs subvolid=9 0 0\n\n/dev/x none", "", None),
        ("/srv", "LABEL=a  /srv/\tbtrfs subvolid=9", "", "/etc/fstab mounts it by subvolid=9"),
    ],
)
def test_what_mounts_by_number_is_found(mount, fstab, cmdline, found):
    assert btrfs_text.boots_by_id(mount, fstab, cmdline) == found


def test_mounts_are_read_with_their_roots():
    found = parse_mountinfo(MOUNTS)
    assert [mount.path for mount in found] == ["/", "/home", "/srv/lab data", "/boot", "/srv/old"]
    assert found[1] == ("0:31", "/@home", "/home", "rw,nosuid", "btrfs", "/dev/vda2", False)
    assert found[4].read_only_device
    assert parse_mountinfo("broken\n1 2 3 - x") == []


def test_a_name_with_a_line_break_is_not_asked_about(host):
    top = btrfs_volume.TopLevel(host, "/point", "/dev/vda2", "0:31", host.places)
    assert top.at("@").id == 256
    assert top.at("evil\n\tUUID: 1") is None


def test_a_host_that_can_have_one(host):
    assert host.provider().available("db1") is None


@pytest.mark.parametrize(
    ("options", "seen"),
    [
        ({"subvolumes": ["/boot"]}, "mount /boot: it is ext4"),
        ({"subvolumes": ["/", "/srv/lab data"]}, "another file system than /"),
        ({"subvolumes": ["/", "/nowhere"]}, "mount /nowhere: nothing is mounted there"),
        ({"subvolumes": ["/srv/old"]}, "mount /srv/old: read-only"),
        ({"min_free_bytes": 10 * GIB}, "9663676416 bytes free; it needs 10737418240"),
        ({"min_metadata_bytes": 10 * GIB}, "bytes left for metadata"),
        ({"folder": "@"}, "outside of the subvolumes"),
    ],
)
def test_what_is_refused(host, options, seen):
    assert seen in host.provider(**options).available("db1")
    with pytest.raises(PatchingError):
        host.provider(**options).create("run", "db1", "why", "2030-01-01T00:00:00Z")


@pytest.mark.parametrize(
    ("words", "answer", "seen"),
    [
        (
            ("filesystem", "usage"),
            USAGE.replace("missing:\t\t                 0", "missing:\t\t 1"),
            "device of it is missing",
        ),
        (("filesystem", "usage"), FULL, "0 bytes free"),
        (("filesystem", "usage"), "Overall:\n", "an answer of another form"),
        (("subvolume", "show"), "ERROR: not a subvolume\n", "/@ of it is no subvolume"),
        (
            ("subvolume", "show"),
            PatchingError("btrfs", "No such file", "a command", "install it"),
            "btrfs: No such file",
        ),
        (("subvolume", "show"), SHOW.replace("Flags: \t\t\t-", "Flags: \t\t\treadonly"), "/@ is read-only, as a"),
        ("quotas", QUOTAS, "quota of / leaves 104841216 bytes"),
    ],
)
def test_what_btrfs_says_is_refused(host, words, answer, seen):
    host.answers[words] = answer
    assert seen in host.provider().available("db1")


def test_room_is_what_can_be_written_at_least(host):
    (room,) = host.provider().rooms()
    assert (room.kind, room.name, room.free_bytes) == ("file system", "/dev/vda2", 9 * GIB)
    assert room.size_bytes > 0  # of the folder that stands for the mount
    host.answers[("filesystem", "usage")] = "Overall:\n"
    with pytest.raises(PatchingError, match="an answer of another form"):
        host.provider().rooms()


def test_a_root_that_is_mounted_by_number_is_refused(host):
    host.cmdline.write_text("root=UUID=1 rootflags=subvolid=256\n")
    assert "the kernel's command line mounts it by subvolid=256" in host.provider().available("db1")


def test_a_host_without_any_mount_table_is_refused(host):
    host.mountinfo.write_text("")
    with pytest.raises(PatchingError, match="nothing is mounted there"):
        host.provider().list()


@pytest.mark.parametrize(
    ("options", "seen"),
    [
        ({"subvolumes": ["srv"]}, "absolute paths"),
        ({"subvolumes": ["/srv/"]}, "absolute paths"),
        ({"at_reboot": ["/srv/../var"]}, "absolute paths"),
        ({"subvolumes": ["/", "/"]}, "each once"),
        ({"subvolumes": []}, "each once"),
        ({"folder": "../outside"}, "name of a folder"),
        ({"folder": "a/b"}, "name of a folder"),
        ({"folder": ".."}, "name of a folder"),
        ({"path": "/"}, "unknown option"),
    ],
)
def test_options_that_are_refused(options, seen):
    with pytest.raises(PatchingError, match=seen):
        registry.create_provider("btrfs", options, None, Clock())


NEW = """\
inode 257 file offset 0 len 1048576 disk start 13631488 offset 0 gen 9 flags NONE large
inode 258 file offset 0 len 12 disk start 0 offset 0 gen 9 flags INLINE etc/conf len 99
inode 258 file offset 4096 len 4096 disk start 0 offset 0 gen 9 flags PREALLOC ../a b
transid marker was 10
"""


def test_what_was_written_since_a_generation_is_counted():
    assert btrfs_text.parse_find_new(NEW) == 1048576 + 12 + 4096
    assert btrfs_text.parse_find_new("transid marker was 10\n") == 0
    # Cut off, or an error.
    assert btrfs_text.parse_find_new(NEW.replace("transid marker", "transid")) is None
    assert btrfs_text.parse_find_new("") is None


def test_a_generation_is_read():
    assert btrfs_text.parse_generation(SHOW.replace("Gen at creation: \t7", "Gen at creation: \t3")) == 7
    assert btrfs_text.parse_generation("ERROR: not a subvolume\n") is None
