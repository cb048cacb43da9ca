# SPDX-License-Identifier: GPL-3.0-or-later
"""A double of LVM 2.03.16 for the provider's tests: it keeps volumes, tags and what is on them, and merges as LVM does.

What it prints has the form of the recordings in test_lvm.py. What the real one does is shown by tests/vm.
"""

import json
import os

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.runner import Result
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.lvm import LvmProvider
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.lvm_commands import Places

MIB = 1024 * 1024
GIB = 1024 * MIB
#: Of Debian 12, what matters here and a file that does not.
INITRAMFS = """.
usr/lib/modules/6.1.0-43-cloud-amd64/kernel/drivers/md/dm-mod.ko
usr/lib/modules/6.1.0-43-cloud-amd64/kernel/drivers/md/dm-snapshot.ko
usr/lib/modules/6.1.0-43-cloud-amd64/kernel/drivers/md/dm-thin-pool.ko
usr/sbin/dmsetup
usr/sbin/lvm
usr/sbin/thin_check
"""


class Killed(BaseException):
    """The program was killed there."""


class Time(Clock):
    def __init__(self):
        self.passed = 0.0

    def monotonic(self):
        return self.passed

    def sleep(self, seconds):
        self.passed += seconds


def row(uuid, name, group="hospital", **others):
    """Return a volume as the double keeps it."""
    one = {
        "lv_uuid": uuid,
        "lv_name": name,
        "vg_name": group,
        "lv_size": str(2 * GIB),
        "origin": "",
        "origin_uuid": "",
        "pool_lv": "",
        "data_percent": "",
        "metadata_percent": "",
        "lv_kernel_major": "253",
        "lv_kernel_minor": "9",
        "lv_layout": "linear",
        "lv_role": "public",
        "lv_tags": [],
        # Not columns: what the attributes are made of, and what is on it.
        "kind": "-",
        "state": "a",
        "health": "-",
        "permission": "w",
        "merging": False,
        "skip": False,
        "content": "before",
        "opened_by": "",
    }
    one.update(others)
    return one


class Host:
    """Volumes root, data and thin, mounted, and a /boot of its own."""

    def __init__(self, folder):
        self.folder = folder
        self.boot = folder / "bootfs"
        self.boot.mkdir()
        (self.boot / "grub").mkdir()
        (self.boot / "vmlinuz-1").write_text("kernel 1")
        (self.boot / "initrd.img-1").write_text("initramfs 1")
        (self.boot / "grub" / "grub.cfg").write_text("boots 1")
        for name in ("run", "sys/dm_snapshot", "sys/dm_thin_pool", "modules/1"):
            (folder / name).mkdir(parents=True)
        #: What lsinitramfs prints of any image.
        self.initramfs = INITRAMFS
        self.places = Places(
            str(folder / "run"),
            str(folder / "mountinfo"),
            str(folder / "boot_id"),
            str(folder / "sys"),
            str(self.boot),
            str(folder / "fstab"),
            str(folder / "modules"),
        )
        (folder / "boot_id").write_text("boot-1\n")
        (folder / "fstab").write_text("/dev/hospital/data /srv/data ext4 defaults 0 2\n")
        self.volumes = [
            row("ROOT", "root", lv_kernel_minor="0"),
            row("DATA", "data", lv_kernel_minor="1", lv_size=str(512 * MIB), lv_tags=["site"]),
            row("POOL", "pool", lv_layout="thin,pool", lv_role="private", kind="t", lv_kernel_minor="4",
                lv_size=str(4 * GIB), data_percent="10.00", metadata_percent="11.04"),
            row("META", "[pool_tmeta]", lv_role="private,thin,pool,metadata", kind="e", lv_kernel_minor="2",
                lv_size=str(100 * MIB)),
            row("THIN", "thin", lv_layout="thin,sparse", lv_kernel_minor="5", pool_lv="pool", lv_tags=["theirs"],
                kind="V", data_percent="5.00"),
        ]  # fmt: skip
        self.group = {
            "vg_name": "hospital",
            "vg_uuid": "GROUP",
            "vg_attr": "wz--n-",
            "vg_free": str(8 * GIB),
            "vg_extent_size": str(4 * MIB),
            "vg_missing_pv_count": "0",
        }
        self.mounts = [
            ("253:0", "/", "/", "ext4", "/dev/mapper/hospital-root"),
            ("254:1", "/", str(self.boot), "ext2", "/dev/vda1"),
            ("253:1", "/", "/srv/data", "ext4", "/dev/mapper/hospital-data"),
            ("253:5", "/", "/srv/thin", "xfs", "/dev/mapper/hospital-thin"),
        ]
        self.missing_modules = ()
        self.busy = ()
        #: Whose tags a merged thin volume has: of LVM 2.03.16 it was seen to be the origin's.
        self.merged_keeps = "origin"
        self.clock = Time()
        self.made = 0
        self.changes = []
        self.kill_at = None
        self._write_mounts()

    def provider(self, **options):
        given = {"volumes": ["/", "/srv/data", "/srv/thin"], "change_bytes": 256 * MIB}
        given["boot_folder"] = str(self.folder / "archives")
        given.update(options)
        return LvmProvider(given, self, self.clock, self.places)

    def volume(self, uuid):
        return next(one for one in self.volumes if one["lv_uuid"] == uuid)

    def named(self, name):
        return next(one for one in self.volumes if one["lv_name"] == name)

    def uuids(self):
        """Return all but the pool's hidden metadata, which nobody makes or removes by itself."""
        return sorted(one["lv_uuid"] for one in self.volumes if one["kind"] != "e")

    def contents(self):
        return {one: self.volume(one)["content"] for one in ("ROOT", "DATA", "THIN")}

    def damage(self):
        """Do what a bad update does."""
        for uuid in ("ROOT", "DATA", "THIN"):
            self.volume(uuid)["content"] = "after"
        (self.boot / "vmlinuz-2").write_text("kernel 2")
        (self.boot / "grub" / "grub.cfg").write_text("boots 2")

    def booted(self):
        return {path: (self.boot / path).read_text() for path in self.boot_files()}

    def boot_files(self):
        found = []
        for folder, _folders, files in os.walk(str(self.boot)):
            found += [os.path.relpath(os.path.join(folder, one), str(self.boot)) for one in files]
        return sorted(found)

    def mounted(self):
        return sorted(mount[2] for mount in self.mounts)

    def reboot(self):
        """Activate all volumes anew: merges that were put off are done."""
        for one in [volume for volume in self.volumes if volume["merging"]]:
            self._merge(one)
        (self.folder / "boot_id").write_text("boot-2\n")

    def run(self, args, timeout_s=0, env=None, check=True, **_others):
        handler = getattr(self, "_" + args[0])
        reads = args[0] in ("lvs", "vgs", "modprobe", "lsinitramfs")
        if not reads:
            self.changes.append(args)
            if self.kill_at == (len(self.changes), "before"):
                raise Killed(args)
        answer = handler(args[1:])
        if not reads and self.kill_at == (len(self.changes), "after"):
            raise Killed(args)
        rc, out, err = answer if isinstance(answer, tuple) else (0, answer or "", "")
        assert rc == 0 or not check, err
        return Result(args, rc, out, err)

    def _lvs(self, args):
        columns = args[args.index("-o") + 1].split(",")
        return json.dumps({"report": [{"lv": [self._shown(one, columns) for one in self.volumes]}]})

    def _vgs(self, args):
        return json.dumps({"report": [{"vg": [self.group]}]})

    def _shown(self, one, columns):
        origin = any(other["origin_uuid"] == one["lv_uuid"] for other in self.volumes if other["kind"] == "s")
        merging = any(other["merging"] and other["origin_uuid"] == one["lv_uuid"] for other in self.volumes)
        kind = "S" if one["merging"] else "O" if merging else "o" if origin else one["kind"]
        opened = "o" if one["opened_by"] or self._mounted(one) else "-"
        shown = dict(one, lv_tags=",".join(sorted(one["lv_tags"])))
        shown["lv_attr"] = "{}{}i-{}{}-{}{}{}".format(
            kind, one["permission"], one["state"], opened, "-", one["health"], "k" if one["skip"] else "-"
        )
        if one["merging"]:
            shown["lv_name"] = "[{}]".format(one["lv_name"])
        return {column: shown[column] for column in columns}

    def _mounted(self, one):
        device = "{}:{}".format(one["lv_kernel_major"], one["lv_kernel_minor"])
        return any(mount[0] == device for mount in self.mounts)

    def _lvcreate(self, args):
        origin = self.named(args[-1].split("/")[1])
        self.made += 1
        size = args[args.index("--size") + 1][:-1] if "--size" in args else None
        tags = [args[place + 1] for place, word in enumerate(args) if word == "--addtag"]
        thick = size is not None
        self.volumes.append(
            row(
                "SNAP{}".format(self.made),
                args[args.index("--name") + 1],
                lv_size=size or origin["lv_size"],
                origin=origin["lv_name"],
                origin_uuid=origin["lv_uuid"],
                lv_role="public,snapshot,thicksnapshot" if thick else "public,snapshot,thinsnapshot",
                lv_layout="linear" if thick else "thin,sparse",
                pool_lv="" if thick else origin["pool_lv"],
                data_percent="0.01" if thick else "",
                lv_kernel_major="253" if thick else "-1",
                lv_kernel_minor=str(20 + self.made) if thick else "-1",
                kind="s" if thick else "V",
                skip=not thick,
                lv_tags=tags,
                content=origin["content"],
            )
        )

    def _selected(self, args):
        uuid = args[args.index("--select") + 1].split("=")[1]
        group, name = args[-1].split("/")
        return [one for one in self.volumes if (one["lv_uuid"], one["lv_name"], one["vg_name"]) == (uuid, name, group)]

    def _lvremove(self, args):
        for one in self._selected(args):
            self.volumes.remove(one)

    def _lvchange(self, args):
        for one in self._selected(args):
            for place, word in enumerate(args):
                if word in ("--addtag", "--deltag"):
                    assert not one["merging"], "Operation not permitted on hidden LV"
                if word == "--addtag" and args[place + 1] not in one["lv_tags"]:
                    one["lv_tags"] = [*one["lv_tags"], args[place + 1]]
                elif word == "--deltag":
                    one["lv_tags"] = [tag for tag in one["lv_tags"] if tag != args[place + 1]]
                elif word == "--setactivationskip":
                    one["skip"] = args[place + 1] == "y"
                elif word == "--activate" and args[place + 1] == "y":
                    for other in [other for other in self.volumes if other["origin_uuid"] == one["lv_uuid"]]:
                        if other["merging"]:
                            self._merge(other)

    def _lvconvert(self, args):
        one = self.named(args[-1].split("/")[1])
        origin = self.volume(one["origin_uuid"])
        if origin["opened_by"] or self._mounted(origin):
            one["merging"] = True
        else:
            self._merge(one)

    def _merge(self, one):
        origin = self.volume(one["origin_uuid"])
        if one["kind"] == "s":
            origin["content"] = one["content"]
            self.volumes.remove(one)
        else:
            # The snapshot stays, with its flags, under the name and the UUID of its origin.
            self.volumes.remove(origin)
            if self.merged_keeps == "origin":
                one["lv_tags"] = origin["lv_tags"]
            for key in ("lv_uuid", "lv_name", "lv_kernel_major", "lv_kernel_minor", "origin", "origin_uuid", "lv_role"):
                one[key] = origin[key]
            one["merging"] = False
            assert not one["skip"], "a volume that no boot would activate"

    def _umount(self, args):
        if args[0] in self.busy:
            return (32, "", "umount: {}: target is busy.".format(args[0]))
        self.mounts = [mount for mount in self.mounts if mount[2] != args[0]]
        return self._write_mounts()

    def _mount(self, args):
        known = {"/srv/data": "data", "/srv/thin": "thin"}
        one = self.named(known[args[-1]])
        device = "{}:{}".format(one["lv_kernel_major"], one["lv_kernel_minor"])
        self.mounts.append((device, "/", args[-1], "ext4", "/dev/mapper/hospital-" + one["lv_name"]))
        return self._write_mounts()

    def _modprobe(self, args):
        missing = args[-1] in self.missing_modules
        text = "modprobe: FATAL: Module {} not found in directory /lib/modules/6.1.0-35-cloud-amd64\n".format(args[-1])
        return (1, "", text) if missing else ""

    def _lsinitramfs(self, args):
        assert os.path.isfile(args[-1])
        return self.initramfs

    def _write_mounts(self):
        lines = [
            "{} 1 {} {} {} rw,relatime shared:1 - {} {} rw\n".format(20 + number, *mount[:3], *mount[3:])
            for number, mount in enumerate(self.mounts)
        ]
        (self.folder / "mountinfo").write_text("".join(lines))
