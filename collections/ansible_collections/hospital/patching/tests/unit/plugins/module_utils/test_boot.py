# SPDX-License-Identifier: GPL-3.0-or-later
"""Which start of the host it is, also where containers share a kernel."""

import re

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.boot import TICKS_PER_SECOND, read_boot
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError

KERNEL = "3d3c2b60-5ab0-4c8d-b6f1-0e6f0b1a2c3d"


def make_proc(folder, name="systemd", ticks=24, btime=1795300000):
    (folder / "sys/kernel/random").mkdir(parents=True)
    (folder / "1").mkdir()
    (folder / "sys/kernel/random/boot_id").write_text(KERNEL + "\n")
    fields = "S 0 1 1 0 -1 4194560 3 4 5 6 7 8 9 10 20 0 1 0 {} 1 2 3".format(ticks)
    (folder / "1/stat").write_text("1 ({}) {}\n".format(name, fields))
    (folder / "stat").write_text("cpu 1 2 3\nbtime {}\n".format(btime))
    return str(folder)


def test_the_start_of_init_is_part_of_the_identity(tmp_path):
    first = read_boot(make_proc(tmp_path / "a", ticks=24))
    second = read_boot(make_proc(tmp_path / "b", ticks=24 + 3600 * TICKS_PER_SECOND))
    assert first == {"boot_id": KERNEL + "+24", "booted": "2026-11-21T22:26:40Z"}
    assert second["boot_id"] != first["boot_id"]
    assert second["booted"] == "2026-11-21T23:26:40Z"


def test_a_strange_name_of_init_does_not_shift_the_fields(tmp_path):
    assert read_boot(make_proc(tmp_path / "a", name="in) S 1 (it"))["boot_id"] == KERNEL + "+24"


def test_this_machine_has_one(tmp_path):
    boot = read_boot()
    assert boot["boot_id"] == read_boot()["boot_id"]
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$", boot["booted"])


@pytest.mark.parametrize("lost", ["sys/kernel/random/boot_id", "1/stat", "stat"])
def test_what_cannot_be_read_is_refused(tmp_path, lost):
    make_proc(tmp_path / "a")
    (tmp_path / "a" / lost).write_text("")
    if lost != "sys/kernel/random/boot_id":
        with pytest.raises(PatchingError):
            read_boot(str(tmp_path / "a"))
    (tmp_path / "a" / lost).unlink()
    with pytest.raises(PatchingError):
        read_boot(str(tmp_path / "a"))
