# SPDX-License-Identifier: GPL-3.0-or-later
"""How the restore point of a host is asked for."""

from __future__ import annotations

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils.restore_point import found_out, restore_point

STAGE = {"preserved_dir": "/kept", "transaction": {"digest": "sha256:1"}, "not_preserved": []}
#: Of one machine, as vCenter and as Linux may write it.
UUID, TURNED = "564d5c1b-9a2e-7d0c-55f3-0a1b2c3d4e5f", "1b5c4d56-2e9a-0c7d-55f3-0a1b2c3d4e5f"
LOST = {"name": "viewer", "version": "1.0", "reason": "/usr/bin/viewer is missing"}


def test_preserved_packages_lie_on_the_host():
    asked = restore_point("ws1", "run", {"snapshot": {"provider": "preserved"}}, STAGE)
    assert asked["on"] == "ws1"
    assert asked["options"] == {"preserved_dir": "/kept", "transaction": STAGE["transaction"]}
    assert asked["reason"] == "before run run"


@pytest.mark.parametrize(
    ("wanted", "assessed", "expected"),
    [
        ("preserved", {"provider": "lvm", "why": "/ is on LVM"}, ("preserved", "")),
        ("auto", None, ("preserved", "assess has not asked the host")),
        ("auto", {"provider": "lvm", "why": "/ is on\x1b[31m LVM"}, ("lvm", "/ is on [31m LVM")),
        *(
            ("auto", said, ("preserved", "what the host answered is not understood"))
            for said in (
                {"provider": "vsphere", "why": "runs on the controller"},
                {"provider": "none", "why": "no way back"},
                {"provider": ["lvm"], "why": ""},
                {"provider": "lvm", "why": ["no", "text"]},
                {"why": "no provider"},
            )
        ),
    ],
)
def test_what_the_site_does_not_say_is_as_assess_found_it_out(wanted, assessed, expected):
    provider, why = expected
    assert found_out({"provider": wanted}, assessed) == ({"provider": provider}, why)


def test_beside_a_provider_that_was_found_out_packages_have_to_be_preserved_as_well():
    entry = {"snapshot": {"provider": "btrfs"}, "snapshot_found": "/ is btrfs on /dev/sda2"}
    assert restore_point("ws1", "run", entry, STAGE)["options"] == {}
    lost = {**STAGE, "not_preserved": [LOST]}
    with pytest.raises(PatchingError, match="not preserved: viewer"):
        restore_point("ws1", "run", entry, lost)
    assert restore_point("ws1", "run", {"snapshot": entry["snapshot"]}, lost)["provider"] == "btrfs"


def test_another_provider_runs_where_it_is_told_to():
    wanted = {"provider": "container", "engine": "podman", "on": "farm1", "reason": "monthly"}
    asked = restore_point("ws1", "run", {"snapshot": wanted}, STAGE)
    assert (asked["provider"], asked["reason"], asked["on"]) == ("container", "monthly", "farm1")
    assert asked["options"] == {"engine": "podman"}
    assert restore_point("ws1", "run", {"snapshot": {"provider": "container"}}, STAGE)["on"] == "localhost"
    own = restore_point("ws1", "run", {"snapshot": {"provider": "btrfs", "subvolumes": ["/", "/srv"]}}, STAGE)
    assert (own["on"], own["options"]) == ("ws1", {"subvolumes": ["/", "/srv"]})
    own = restore_point("ws1", "run", {"snapshot": {"provider": "snapper", "configs": ["root", "srv"]}}, STAGE)
    assert (own["on"], own["options"]) == ("ws1", {"configs": ["root", "srv"]})


def test_a_cloud_is_asked_from_the_controller():
    wanted = {"provider": "aws_ebs", "instance_id": "i-1", "region": "eu-central-1"}
    asked = restore_point("ws1", "run", {"snapshot": wanted}, STAGE)
    assert (asked["on"], asked["options"]) == ("localhost", {"instance_id": "i-1", "region": "eu-central-1"})
    assert restore_point("ws1", "run", {"snapshot": wanted | {"on": "jump1"}}, STAGE)["on"] == "jump1"


def test_a_hypervisor_is_told_what_stage_learned_of_its_machine():
    wanted = {"provider": "vsphere", "server": "vc1"}
    stage = {**STAGE, "dmi_uuid": UUID, "change_bytes": 4096}
    asked = restore_point("ws1", "run", {"snapshot": wanted}, stage)
    assert (asked["on"], asked["options"]) == (
        "localhost",
        {"server": "vc1", "dmi_uuid": UUID, "change_bytes": 4096},
    )
    own = restore_point("ws1", "run", {"snapshot": {**wanted, "dmi_uuid": TURNED, "change_bytes": 1}}, stage)
    assert own["options"] == {"server": "vc1", "dmi_uuid": TURNED, "change_bytes": 1}
    # What others do not ask for they do not get.
    assert restore_point("ws1", "run", {"snapshot": {"provider": "container"}}, stage)["options"] == {}


@pytest.mark.parametrize("told", ["11111111-2222-3333-4444-555555555555", "ws1"])
def test_a_machine_that_is_not_the_host_is_refused_before_it_is_touched(told):
    wanted = {"provider": "vsphere", "dmi_uuid": told}
    with pytest.raises(PatchingError, match=rf"host ws1: its firmware says UUID {UUID}; expected {told}"):
        restore_point("ws1", "run", {"snapshot": wanted}, {**STAGE, "dmi_uuid": UUID})
    assert restore_point("ws1", "run", {"snapshot": wanted}, STAGE)["options"]["dmi_uuid"] == told


@pytest.mark.parametrize(
    ("provider", "pending"),
    [
        *(("aws_ebs", True), ("btrfs", True), ("container", True)),
        *(("hook", True), ("libvirt", True), ("proxmox", True), ("vsphere", True)),
        *(("preserved", False), ("none", False)),
    ],
)
def test_what_is_made_of_a_disk_is_journalled_first(provider, pending):
    assert restore_point("ws1", "run", {"snapshot": {"provider": provider}}, STAGE)["pending"] is pending


def test_a_host_without_a_way_back_is_refused_before_it_is_touched():
    stage = {**STAGE, "not_preserved": [LOST]}
    with pytest.raises(PatchingError, match=r"host ws1: not preserved: viewer 1\.0 \(/usr/bin/viewer is missing\)"):
        restore_point("ws1", "run", {"snapshot": {"provider": "preserved"}}, stage)
    # Whoever has a snapshot needs no packages.
    assert restore_point("ws1", "run", {"snapshot": {"provider": "container"}}, stage)["provider"] == "container"
