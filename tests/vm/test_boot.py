# SPDX-License-Identifier: GPL-3.0-or-later
"""A real kernel update with its reboot, and a root that is put back with the /boot that belongs to it."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.support import vm as machines

pytestmark = pytest.mark.slow

HOST = "vm1"
RUN = "20261124T034500Z-ab12cd34"
MIB = 1024 * 1024
VOLUMES = ["/", "/srv/data"]
LVM = {"provider": "lvm", "options": {"volumes": VOLUMES, "root_tried": True, "change_bytes": 1024 * MIB}}
DATA = {"provider": "lvm", "options": {"volumes": ["/srv/data"], "change_bytes": 64 * MIB}}
#: What a kernel update changes: modules, /boot, the package database; and what else has to be as it was.
#: LVM keeps backups of its metadata in /etc/lvm, and these go on.
ROOT_DIGEST = """
cd /; own="! -name adjtime ! -path etc/lvm/*"; set -f
find usr etc opt var/lib/dpkg -xdev $own -printf '%p %m %U %G %y %l %s\\n' | sort | sha256sum
find etc opt var/lib/dpkg usr/lib/modules -xdev -type f $own -print0 | sort -z | xargs -0 sha256sum | sha256sum
"""
BOOT_DIGEST = "cd /boot; find . -xdev -type f -print0 | sort -z | xargs -0 sha256sum"
KERNELS = "dpkg-query -W -f '${Package} ${Version} ${db:Status-Abbrev}\\n' 'linux-image-*' | grep 'ii '"


def done(result: dict[str, Any]) -> dict[str, Any]:
    assert not result.get("failed"), result
    return result


@pytest.fixture(scope="module")
def told(vm: machines.Machine) -> dict[str, Any]:
    """Walk the whole way once: restore point, kernel update, reboot, data put back, root put back, reboot."""
    seen: dict[str, Any] = {}

    def look(moment: str) -> None:
        seen[moment] = {
            "boot_id": vm.boot_id(),
            "kernel": vm.kernel(),
            "kernels": vm.sh(KERNELS),
            "root": vm.sh(ROOT_DIGEST),
            "boot": vm.sh(BOOT_DIGEST),
            "data": vm.sh("cat /srv/data/patients/list; sha256sum /srv/data/images"),
            "volumes": sorted(vm.sh("lvs --all --noheadings -o lv_name,lv_attr hospital").split()),
            "seconds": time.monotonic(),
        }

    vm.sh("mkdir -p /opt/app; echo version 1 >/opt/app/version; apt-get update -qq", timeout_s=900)
    look("before")
    seen["point"] = done(vm.call("host_snapshot", run_id=RUN, host=HOST, reason="kernel", **LVM))["snapshot"]
    look("held")

    pending = done(vm.call("pending_updates_info", include=["linux-image-*"]))["updates"]
    seen["pending"] = pending
    staged = done(vm.call("update_stage", run_id=RUN, host=HOST, updates=pending))
    seen["install"] = done(vm.call("update_install", run_id=RUN, transaction=staged["transaction"]))
    vm.sh("echo version 2 >/opt/app/version")
    seen["reboot"] = done(vm.call("ansible.builtin.reboot", reboot_timeout=900))
    look("updated")
    seen["verify"] = done(vm.call("update_verify", run_id=RUN, transaction=staged["transaction"], expect="to"))

    # A broken data volume, on the new kernel.
    other = RUN.replace("24T", "25T")
    point = done(vm.call("host_snapshot", run_id=other, host=HOST, reason="data", **DATA))["snapshot"]
    vm.sh("echo broken >/srv/data/patients/list; rm /srv/data/images; sync")
    seen["data"] = done(vm.call("host_snapshot_rollback", run_id=other, host=HOST, id=point["id"], **DATA))["reverted"]
    look("data put back")

    seen["revert"] = done(vm.call("host_snapshot_rollback", run_id=RUN, host=HOST, id=seen["point"]["id"], **LVM))
    look("asked")
    seen["meanwhile"] = vm.call("host_snapshot", True, run_id=other, host=HOST, **LVM)
    vm.reboot()
    seen["ended"] = done(vm.call("host_snapshot_rollback", run_id=RUN, host=HOST, id=seen["point"]["id"], **LVM))
    look("put back")
    seen["left"] = vm.call("host_snapshot_info", provider="lvm")["snapshots"]
    seen["archives"] = vm.sh("ls /var/lib/hospital-patching/boot")
    seen["tags"] = vm.sh("lvs --noheadings -o lv_tags hospital")
    # What it boots next time as well: all merges are done, nothing waits.
    vm.reboot()
    look("next boot")
    return seen


def test_the_machine_boots_from_its_own_disk_with_its_root_on_lvm(vm, told):
    assert "/dev/mapper/hospital-root / ext4" in vm.sh("cat /proc/mounts")
    assert "BOOT_IMAGE=" in vm.sh("cat /proc/cmdline"), "a boot loader has started it"


def test_a_real_kernel_update_is_installed_and_runs_after_the_reboot(told):
    before, updated = told["before"], told["updated"]
    assert any(one["name"].startswith("linux-image") and one["security"] for one in told["pending"])
    assert updated["boot_id"] != before["boot_id"]
    assert updated["kernel"] != before["kernel"]
    assert updated["kernels"] != before["kernels"]


def test_on_the_new_kernel_a_broken_data_volume_is_put_back(told):
    assert told["data"]["reboot"] is False
    assert told["data put back"]["data"] == told["before"]["data"]
    assert told["data put back"]["boot_id"] == told["updated"]["boot_id"]


def test_boot_goes_back_before_the_reboot_and_the_root_with_it(told):
    assert told["revert"]["reverted"]["reboot"] is True
    assert told["asked"]["boot"] == told["before"]["boot"]
    assert told["asked"]["kernel"] == told["updated"]["kernel"]
    assert "is not done" in told["meanwhile"]["msg"]


def test_after_the_reboot_root_boot_data_and_kernel_are_as_before(told):
    before, back = told["before"], told["put back"]
    assert back["boot_id"] not in (before["boot_id"], told["updated"]["boot_id"])
    for what in ("kernel", "kernels", "root", "boot", "data"):
        assert back[what] == before[what], what
    assert told["ended"]["reverted"]["resumed"] is True
    assert told["ended"]["reverted"]["reboot"] is False


def test_nothing_of_it_is_left_and_the_next_boot_is_the_same(told):
    assert told["left"] == []
    assert told["archives"] == ""
    assert "hospital.patching" not in told["tags"]
    assert told["put back"]["volumes"] == told["before"]["volumes"]
    for what in ("kernel", "root", "boot", "data", "volumes"):
        assert told["next boot"][what] == told["before"][what], what
