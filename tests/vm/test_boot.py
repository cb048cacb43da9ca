# SPDX-License-Identifier: GPL-3.0-or-later
"""A real kernel update with its reboot; and on the new kernel, broken data that are put back from LVM snapshots."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.support import vm as machines
from tests.support.told import tell

pytestmark = pytest.mark.slow

HOST = "vm1"
RUN, OTHER = "20261124T034500Z-ab12cd34", "20261125T034500Z-ab12cd34"
MIB = 1024 * 1024
DATA = {"provider": "lvm", "options": {"volumes": ["/srv/data", "/srv/thin"], "change_bytes": 64 * MIB}}
DATA_DIGEST = """
for name in data thin; do
    cd /srv/$name; find . -xdev -type f ! -path './lost+found*' -print0 | sort -z | xargs -0 sha256sum
done
"""
KERNELS = "dpkg-query -W -f '${Package} ${Version} ${db:Status-Abbrev}\\n' 'linux-image-*' | grep 'ii '"
STATE = "systemctl is-system-running --wait || systemctl --failed --no-legend"
#: What is on no line of fstab has to be mounted by hand; that it can be shows that LVM has activated it at boot.
MOUNT_THIN = "mountpoint -q /srv/thin || mount -o nodev /dev/hospital/thin /srv/thin"


@pytest.fixture(scope="module")
def told(vm: machines.Machine) -> dict[str, Any]:
    """Walk the whole way once: kernel update, reboot, verification, broken data, the way back, another reboot."""
    seen: dict[str, Any] = {}

    def look(moment: str) -> None:
        seen[moment] = {
            "boot_id": vm.boot_id(),
            "kernel": vm.kernel(),
            "kernels": vm.sh(KERNELS),
            "state": vm.sh(STATE).strip(),
            "data": vm.sh(DATA_DIGEST),
            "volumes": sorted(vm.sh("lvs --all --noheadings -o lv_name,lv_role hospital").splitlines()),
        }
        tell(f"{moment}: boot {seen[moment]['boot_id']}, kernel {seen[moment]['kernel']}, {seen[moment]['state']}")
        for line in seen[moment]["data"].splitlines():
            tell(f"    {line}")

    def step(name: str, call: Any) -> Any:
        started = time.monotonic()
        result = call()
        tell(f"{name}: {time.monotonic() - started:.0f} s")
        return result

    vm.sh("apt-get update -qq", timeout_s=machines.START_LIMIT_S)
    look("before")
    seen["pending"] = pending = vm.do("pending_updates_info", include=["linux-image-*"])["updates"]
    stage = {"run_id": RUN, "host": HOST, "updates": pending}
    transaction = step("stage", lambda: vm.do("update_stage", **stage))["transaction"]
    install = {"run_id": RUN, "transaction": transaction}
    seen["install"] = step("install", lambda: vm.do("update_install", **install))
    seen["required"] = vm.kernel()
    limit_s = machines.REBOOT_LIMIT_S
    seen["reboot"] = step("reboot", lambda: vm.do("ansible.builtin.reboot", reboot_timeout=limit_s))
    vm.sh(MOUNT_THIN)
    look("updated")
    seen["verify"] = vm.do("update_verify", run_id=RUN, transaction=transaction, expect="to")

    own = {"run_id": OTHER, "host": HOST, **DATA}
    point = step("restore point", lambda: vm.do("host_snapshot", reason="data", **own))["snapshot"]
    vm.sh("for name in data thin; do echo broken >/srv/$name/patients/list; rm /srv/$name/images; done; sync")
    look("broken")
    back = step("put back", lambda: vm.do("host_snapshot_rollback", id=point["id"], **own))
    seen["reverted"] = back["reverted"]
    look("put back")
    seen["left"] = vm.do("host_snapshot_info", provider="lvm")["snapshots"]
    step("next boot", vm.reboot)
    vm.sh(MOUNT_THIN)
    look("next boot")
    return seen


def test_the_machine_boots_from_its_own_disk_with_its_root_on_lvm(vm, told):
    assert "/dev/mapper/hospital-root / ext4" in vm.sh("cat /proc/mounts")
    assert "BOOT_IMAGE=" in vm.sh("cat /proc/cmdline"), "a boot loader has started it"


def test_a_real_kernel_update_is_installed_and_runs_after_the_reboot(told):
    before, updated = told["before"], told["updated"]
    assert any(one["name"].startswith("linux-image") and one["security"] for one in told["pending"])
    assert told["required"] == before["kernel"], "the install alone changes no running kernel"
    assert updated["boot_id"] != before["boot_id"]
    assert updated["kernel"] != before["kernel"]
    assert updated["kernels"] != before["kernels"]


def test_the_new_kernel_passes_verification(told):
    verify = told["verify"]
    assert (verify["verdict"], verify["problems"], verify["at_target"]) == ("ok", [], True)
    assert verify["versions_checked"] >= 1
    assert told["updated"]["state"] == told["before"]["state"] == "running"
    assert told["updated"]["data"] == told["before"]["data"]


def test_on_the_new_kernel_broken_data_volumes_are_put_back_from_their_snapshots(told):
    assert told["broken"]["data"] != told["before"]["data"]
    assert told["reverted"]["reboot"] is False
    assert told["put back"]["data"] == told["before"]["data"]
    assert told["put back"]["boot_id"] == told["updated"]["boot_id"]
    assert told["put back"]["volumes"] == told["before"]["volumes"]
    assert told["left"] == []


def test_what_was_put_back_is_there_at_the_next_boot(told):
    after = told["next boot"]
    assert after["boot_id"] != told["updated"]["boot_id"]
    for what in ("kernel", "state", "data", "volumes"):
        assert after[what] == told["put back"][what], what
