# SPDX-License-Identifier: GPL-3.0-or-later
"""What a night tells beside its outcome: files to merge, a reboot that was owed before, and who else updates a host."""

from __future__ import annotations

import json
import re

import pytest

from tests.support import lab
from tests.support.night import PORTALS

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
OWED = "/run/reboot-required is set by dbus"


@pytest.mark.slow
def test_files_to_merge_a_reboot_owed_before_and_other_updaters_are_told(night):
    lab.publish(lab.PortalVersion("1.0.0"), lab.PortalVersion("1.1.0", "conffile"))
    lab.exec("portal1", "echo 'greeting = kept on the host' >> /etc/ehr-portal/portal.ini")
    lab.exec("portal1", "echo dbus > /run/reboot-required.pkgs; touch /run/reboot-required")
    lab.exec("portal2", "echo '0 4 * * * root apt-get -y upgrade' > /etc/cron.d/nightly")
    plan = night.ready(patching_snapshot={"provider": "none", "reason": "only in this test"})
    assert plan["hosts"]["portal1"]["reboot_owed"] == [OWED]
    assert "reboot_owed" not in plan["hosts"]["portal2"]

    patched = night.play("patch")
    assert patched.rc == 0, patched.stdout
    assert night.outcomes() == dict.fromkeys(PORTALS, "patched")

    text = (night.run / "report.json").read_text(encoding="utf-8")
    hosts = {one["host"]: one for one in json.loads(text)["hosts"]}
    (merge,) = hosts["portal1"]["conffile_merge"]
    assert (merge["file"], merge["format"]) == ("/etc/ehr-portal/portal.ini", "sections")
    assert [(one["key"].rpartition(".")[2], one["change"]) for one in merge["changes"]] == [("greeting", "changed")]
    ledger = (night.run / "ledger.jsonl").read_text(encoding="utf-8")
    assert "kept on the host" not in text + ledger
    assert "shipped by the vendor" not in text + ledger

    reboot = hosts["portal1"]["reboot"]
    assert (reboot["rebooted"], reboot["reasons"]) == (True, [f"{OWED} (owed before this run)"])
    assert reboot["boot_before"] != reboot["boot_after"]
    assert f"owed a reboot before this run: {OWED}" in " ".join(COLOUR.sub("", patched.stdout).split())
    quiet = hosts["portal2"]["reboot"]
    assert quiet["boot_before"] == quiet["boot_after"] is not None

    held = next(one["detail"] for one in night.records("portal2") if one["step"] == "lock")
    assert held["observed"] == ["/etc/cron.d/nightly"]
    assert "apt-daily.timer" in held["suspended"]
    assert lab.exec("portal2", "systemctl is-active apt-daily.timer").strip() == "active"
