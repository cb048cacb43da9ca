# SPDX-License-Identifier: GPL-3.0-or-later
"""Restore points of the provider lvm on real volumes: made, damaged, put back, filled up, deleted."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

pytestmark = pytest.mark.slow

HOST = "vm1"
RUN, OTHER = "20261122T034500Z-ab12cd34", "20261123T034500Z-ffffffff"
MIB = 1024 * 1024
BOTH = ["/srv/data", "/srv/thin"]
LVS = "lvs --all --reportformat json --units b --nosuffix -o lv_uuid,lv_name,vg_name,lv_attr,origin,lv_tags,lv_role"
#: Content, owner, mode and links of all that is in a folder of one file system.
DIGEST = """
cd {0}; find . -xdev -printf '%P %m %U %G %y %l\\n' | sort | sha256sum
find . -xdev -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum
"""
DAMAGE = """
for name in data thin; do
    echo broken >/srv/$name/patients/list; rm /srv/$name/images; chmod 700 /srv/$name/patients
    head -c 8000000 /dev/urandom >/srv/$name/left_by_the_update
done
sync
"""
REPAIR = """
for name in data thin; do
    rm -f /srv/$name/left_by_the_update; chmod 755 /srv/$name/patients
    [ -e /srv/$name/images ] || head -c 4000000 /dev/urandom >/srv/$name/images
done
sync
"""


def provider(volumes: list[str], **options: Any) -> dict[str, Any]:
    return {"provider": "lvm", "options": {"volumes": volumes, "change_bytes": 64 * MIB, **options}}


def make(vm, volumes, run_id=RUN, **options) -> dict[str, Any]:
    """Make a restore point and return it."""
    made = vm.call("host_snapshot", run_id=run_id, host=HOST, reason="test", **provider(volumes, **options))
    assert made.get("changed"), made
    return dict(made["snapshot"])


def put_back(vm, one, volumes, run_id=RUN, **options) -> dict[str, Any]:
    return dict(
        vm.call("host_snapshot_rollback", run_id=run_id, host=HOST, id=one["id"], **provider(volumes, **options))
    )


def delete(vm, one, run_id=RUN) -> dict[str, Any]:
    return dict(
        vm.call("host_snapshot", state="absent", run_id=run_id, host=HOST, id=one["id"], provider="lvm", options={})
    )


def listed(vm) -> list[dict[str, Any]]:
    return list(vm.do("host_snapshot_info", provider="lvm")["snapshots"])


def volumes_of(vm) -> dict[str, dict[str, str]]:
    """Return all volumes by UUID."""
    rows = json.loads(vm.sh(LVS))["report"][0]["lv"]
    return {row["lv_uuid"]: row for row in rows if row["lv_role"] != "private"}


def digests(vm, *folders: str) -> list[str]:
    return [vm.sh(DIGEST.format(folder)) for folder in folders]


def mounts(vm) -> list[str]:
    return sorted(vm.sh("awk '{print $1, $2, $4}' /proc/mounts | grep ' /srv'").splitlines())


@pytest.fixture
def clean(vm):
    """Hold volumes and mounts to what they were."""
    before, mounted = volumes_of(vm), mounts(vm)
    yield vm
    assert set(volumes_of(vm)) == set(before), "no volume more or less"
    assert mounts(vm) == mounted
    vm.sh(REPAIR)


def test_data_on_thick_and_thin_volumes_is_put_back_as_it_was(clean):
    vm = clean
    before, tags = digests(vm, *BOTH), {uuid: row["lv_tags"] for uuid, row in volumes_of(vm).items()}
    checked = vm.call("host_snapshot", True, run_id=RUN, host=HOST, **provider(BOTH))
    assert checked["changed"]
    assert not listed(vm), "check mode makes nothing"
    started = time.monotonic()
    one = make(vm, BOTH)
    made_s = time.monotonic() - started
    assert [volume["thin"] for volume in one["detail"]["volumes"]] == [False, True]
    again = vm.call("host_snapshot", run_id=RUN, host=HOST, reason="test", **provider(BOTH))
    assert (again["changed"], again["snapshot"]["id"]) == (False, one["id"])
    vm.sh(DAMAGE)
    assert digests(vm, *BOTH) != before
    started = time.monotonic()
    told = put_back(vm, one, BOTH)
    print(f"made in {made_s:.1f} s, put back in {time.monotonic() - started:.1f} s")
    assert told.get("changed"), told
    assert told["reverted"]["reboot"] is False
    assert digests(vm, *BOTH) == before
    assert {uuid: row["lv_tags"] for uuid, row in volumes_of(vm).items()} == tags
    assert not listed(vm), "it is used up"


def test_the_provider_of_a_host_with_its_root_on_lvm_is_found_out(clean):
    told = clean.do("snapshot_provider_info", host=HOST)
    assert (told["provider"], told["why"]) == ("lvm", "/ is ext4 on /dev/mapper/hospital-root")


def test_a_thin_volume_that_was_put_back_comes_back_at_the_next_boot(clean):
    """LVM activates no thin snapshot by itself, and this volume was one: see test_boot.py, which reboots."""
    rows = {row["lv_name"]: row for row in volumes_of(clean).values()}
    assert rows["thin"]["lv_attr"][9] == "-"


def test_a_foreign_snapshot_of_the_same_name_is_left_alone(clean):
    vm = clean
    one = make(vm, BOTH)
    group, name = one["detail"]["volumes"][0]["snapshot"].split("/")
    own = next(row for row in volumes_of(vm).values() if row["lv_name"] == name)
    tags = " ".join(f"--addtag '{tag}'" for tag in own["lv_tags"].split(","))
    # Another group has a volume of that name; and ours is renamed, so that somebody else's takes its name.
    vm.sh(
        f"""
        truncate -s 64m /var/tmp/foreign
        device=$(losetup --find --show /var/tmp/foreign)
        vgcreate -q foreign $device
        lvcreate -q --yes --name data --size 16m foreign
        lvcreate -q --yes --snapshot --name {name} --size 16m {tags} foreign/data
        lvrename -q {group} {name} moved
        lvcreate -q --yes --snapshot --name {name} --size 16m {tags} hospital/data
        """
    )
    try:
        foreign = [uuid for uuid, row in volumes_of(vm).items() if row["lv_name"] == name]
        assert len(foreign) == 2
        assert [seen["id"] for seen in listed(vm)] == [one["id"]], "tags that were copied are not ours"
        assert delete(vm, one).get("changed")
        left = volumes_of(vm)
        assert all(uuid in left for uuid in foreign)
        assert not set(one["id"].split(",")) & set(left)
        assert not listed(vm)
    finally:
        vm.sh(
            f"""
            lvremove -q --yes {group}/{name} || true
            vgremove -q --force --yes foreign
            losetup --detach-all
            rm /var/tmp/foreign
            """
        )


def test_a_thick_snapshot_that_filled_up_is_told(clean):
    vm = clean
    one = make(vm, ["/srv/data"], change_bytes=8 * MIB)
    vm.sh("head -c 60000000 /dev/urandom >/srv/data/left_by_the_update; sync; sleep 1")
    before = digests(vm, "/srv/data")
    seen = listed(vm)
    assert "the snapshot of /srv/data filled up" in seen[0]["detail"]["lacks"], vm.sh(LVS)
    assert [volume["full"] for volume in seen[0]["detail"]["volumes"]] == [True]
    refused = put_back(vm, one, ["/srv/data"])
    assert "filled up" in refused["msg"]
    assert "roll the packages back" in refused["msg"]
    again = vm.call("host_snapshot", run_id=RUN, host=HOST, **provider(["/srv/data"]))
    assert "filled up" in again["msg"]
    assert digests(vm, "/srv/data") == before
    assert delete(vm, one).get("changed")


def test_retention_deletes_exactly_ours(clean):
    vm = clean
    vm.sh("lvcreate -q --yes --snapshot --name backup --size 16m hospital/data")
    vm.sh("lvcreate -q --yes --snapshot --name thin_backup hospital/thin")
    try:
        before = set(volumes_of(vm))
        one, two = make(vm, BOTH), make(vm, BOTH, run_id=OTHER)
        assert any("snapshots already: backup" in risk for risk in one["detail"]["risks"])
        assert set(volumes_of(vm)) - before == set(one["id"].split(",")) | set(two["id"].split(","))
        refused = delete(vm, two)
        assert "belongs to run" in refused["msg"]
        assert delete(vm, one).get("changed")
        assert set(volumes_of(vm)) - before == set(two["id"].split(","))
        assert delete(vm, one).get("changed") is False, "it is gone already"
        assert delete(vm, two, run_id=OTHER).get("changed")
        assert set(volumes_of(vm)) == before
    finally:
        vm.sh("lvremove -q --yes hospital/backup hospital/thin_backup")


def test_no_room_is_refused_beforehand(clean):
    refused = clean.call("host_snapshot", run_id=RUN, host=HOST, **provider(["/"], min_free_bytes=2**40))
    assert "volume group hospital" in refused["msg"]
    too_much = clean.call("host_snapshot", run_id=RUN, host=HOST, **provider(["/srv/thin"], change_bytes=500 * MIB))
    assert "thin pool hospital/pool" in too_much["msg"]


def test_a_volume_in_use_is_refused_by_the_name_of_its_user(clean):
    vm = clean
    one = make(vm, BOTH)
    vm.sh("cd /srv/data; nohup sleep 600 >/dev/null 2>&1 & echo $! >/run/sleeper")
    before = digests(vm, *BOTH)
    refused = put_back(vm, one, BOTH)
    assert "in use by" in refused["msg"]
    assert "sleep (" in refused["msg"]
    assert digests(vm, *BOTH) == before
    vm.sh("kill $(cat /run/sleeper)")
    assert delete(vm, one).get("changed")


@pytest.mark.parametrize("command", ["umount", "lvconvert", "lvchange"])
def test_a_revert_that_is_killed_is_gone_on_with(clean, command):
    """The command is run, and then its caller is killed, as it would be by a power failure of the controller."""
    vm = clean
    before = digests(vm, *BOTH)
    one = make(vm, BOTH)
    vm.sh(DAMAGE)
    vm.sh(
        f"""
        real=$(command -v {command})
        printf '#!/bin/sh\\n%s "$@"\\nkill -9 $PPID\\n' "$real" >/usr/local/sbin/{command}
        chmod 755 /usr/local/sbin/{command}
        """
    )
    killed = put_back(vm, one, BOTH)
    vm.sh(f"rm /usr/local/sbin/{command}")
    assert "reverted" not in killed, killed
    assert [seen["id"] for seen in listed(vm)] == [one["id"]]
    told = put_back(vm, one, BOTH)
    assert told.get("changed"), told
    assert told["reverted"]["resumed"] is (command == "lvconvert")
    assert digests(vm, *BOTH) == before
