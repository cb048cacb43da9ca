# SPDX-License-Identifier: GPL-3.0-or-later
"""A root that is put back, by the reboot after a real kernel update, with the /boot that belongs to it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import vm as machines
from tests.support.told import tell
from tests.vm.conftest import with_data

pytestmark = pytest.mark.slow

HOST = "vm1"
RUN, OTHER = "20261124T034500Z-ab12cd34", "20261125T034500Z-ab12cd34"
MIB = 1024 * 1024
LVM = {"provider": "lvm", "options": {"volumes": ["/", "/srv/data"], "change_bytes": 1024 * MIB}}
#: What a kernel update changes: modules, /boot, the package database; and what else has to be as it was.
#: LVM keeps backups of its metadata in /etc/lvm, and these go on.
ROOT_DIGEST = """
cd /; own="! -name adjtime ! -path etc/lvm/*"; set -f
find usr etc opt var/lib/dpkg -xdev $own -printf '%p %m %U %G %y %l %s\\n' | sort | sha256sum
find etc opt var/lib/dpkg usr/lib/modules -xdev -type f $own -print0 | sort -z | xargs -0 sha256sum | sha256sum
"""
BOOT_DIGEST = "cd /boot; find . -xdev -type f -print0 | sort -z | xargs -0 sha256sum"


@pytest.fixture(scope="module")
def fresh(tmp_path_factory) -> Iterator[machines.Machine]:
    """Start a machine of its own, whose kernel update is still pending."""
    with with_data(tmp_path_factory.mktemp("fresh")) as one:
        yield one


@pytest.fixture(scope="module")
def told(fresh: machines.Machine) -> dict[str, Any]:
    """Walk the whole way once: restore point, kernel update, reboot, revert, the reboot that merges, another."""
    vm, seen = fresh, {}

    def look(moment: str) -> None:
        seen[moment] = {
            "boot_id": vm.boot_id(),
            "kernel": vm.kernel(),
            "root": vm.sh(ROOT_DIGEST),
            "boot": vm.sh(BOOT_DIGEST),
            "data": vm.sh("cat /srv/data/patients/list; sha256sum /srv/data/images || true"),
            "volumes": sorted(vm.sh("lvs --all --noheadings -o lv_name,lv_role hospital").splitlines()),
        }
        tell(f"{moment}: boot {seen[moment]['boot_id']}, kernel {seen[moment]['kernel']}")
        tell("    root " + " ".join(word for word in seen[moment]["root"].split() if word != "-"))

    def reboot(name: str) -> None:
        started = time.monotonic()
        vm.reboot()
        tell(f"{name}: {time.monotonic() - started:.0f} s")

    own = {"run_id": RUN, "host": HOST, **LVM}
    vm.sh("mkdir -p /opt/app; echo version 1 >/opt/app/version; apt-get update -qq", timeout_s=machines.START_LIMIT_S)
    look("before")
    seen["point"] = point = vm.do("host_snapshot", reason="kernel", **own)["snapshot"]
    pending = vm.do("pending_updates_info", include=["linux-image-*"])["updates"]
    staged = vm.do("update_stage", run_id=RUN, host=HOST, updates=pending)
    vm.do("update_install", run_id=RUN, transaction=staged["transaction"])
    vm.sh("echo version 2 >/opt/app/version; echo broken >/srv/data/patients/list; rm /srv/data/images; sync")
    reboot("reboot into the new kernel")
    look("updated")

    seen["revert"] = vm.do("host_snapshot_rollback", id=point["id"], **own)
    look("asked")
    seen["meanwhile"] = vm.call("host_snapshot", True, run_id=OTHER, host=HOST, **LVM)
    reboot("reboot that merges the root")
    seen["ended"] = vm.do("host_snapshot_rollback", id=point["id"], **own)
    look("put back")
    seen["left"] = vm.do("host_snapshot_info", provider="lvm")["snapshots"]
    seen["archives"] = vm.sh("ls /var/lib/hospital-patching/boot")
    seen["tags"] = vm.sh("lvs --noheadings -o lv_tags hospital")
    # What it boots next time as well: all merges are done, nothing waits.
    reboot("next reboot")
    look("next boot")
    return seen


def test_the_kernel_update_took_effect_before_it_is_taken_back(told):
    for what in ("boot_id", "kernel", "root", "boot", "data"):
        assert told["updated"][what] != told["before"][what], what


def test_boot_goes_back_before_the_reboot_and_the_root_with_it(told):
    assert told["revert"]["reverted"]["reboot"] is True
    assert told["asked"]["boot"] == told["before"]["boot"]
    assert told["asked"]["kernel"] == told["updated"]["kernel"]
    assert "is not done" in told["meanwhile"]["msg"]


def test_after_the_reboot_root_boot_data_and_kernel_are_as_before(told):
    before, back = told["before"], told["put back"]
    assert back["boot_id"] not in (before["boot_id"], told["updated"]["boot_id"])
    for what in ("kernel", "root", "boot", "data"):
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
