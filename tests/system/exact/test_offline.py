# SPDX-License-Identifier: GPL-3.0-or-later
"""An offline site: a host that never reaches a repository is assessed, staged, patched and put back from a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import lab
from tests.support.expect import four_parts, version
from tests.support.night import Night, portals_as_built

OFFLINE, CONNECTED = "portal1", "portal2"
#: Takes every way to the repositories away from a host, and leaves that to the controller.
CUT = "ip route del default; ip route add blackhole {}"


@pytest.fixture
def night(tmp_path) -> Night:
    """Return a night with a folder; the connected host has the update already, as a test system would."""
    portals_as_built()
    lab.exec(CONNECTED, "DEBIAN_FRONTEND=noninteractive apt-get install -qq ehr-portal=1.1.0")
    lab.in_network_namespace(OFFLINE, CUT.format(lab.address("mirror1")))
    assert "'http://mirror1 hospital Release' no longer" in lab.exec(OFFLINE, "apt-get update 2>&1", check=False)
    return Night(tmp_path / "evidence", patching_carried=str(tmp_path / "carried"))


@pytest.mark.slow
def test_a_host_without_any_network_is_patched_and_put_back_from_a_carried_folder(night):
    folder = Path(night.settings["patching_carried"])
    asked = night.play("carry_request")
    assert asked.rc == 0, asked.stdout
    assert (folder / "requests" / f"{OFFLINE}.json").is_file()

    filled = night.play("carry_packages", patching_hosts=CONNECTED)
    assert filled.rc == 0, filled.stdout
    result = filled.results("Fetch what the offline hosts need")[0]
    assert result["resolved"] == {OFFLINE: 1, CONNECTED: 0}
    assert result["waiting"] == []

    plan = night.prepare()
    updates = {update["name"]: update for update in plan["hosts"][OFFLINE]["updates"]}
    assert updates["ehr-portal"]["to"] == "1.1.0"

    package = folder / "files" / updates["ehr-portal"]["sha256"]
    whole = package.read_bytes()
    package.write_bytes(whole[:-1] + b"x")
    damaged = night.play("stage")
    assert damaged.rc != 0
    (message,) = set(damaged.messages())  # once more after what hooks did was undone
    assert str(package) in message
    assert "ehr-portal:all 1.1.0" in message
    four_parts(message)
    package.write_bytes(whole)

    staged = night.play("stage")
    assert staged.rc == 0, staged.stdout
    brought = staged.results("Bring the packages of the carried folder", OFFLINE)[0]
    assert brought["copied_bytes"] < sum(path.stat().st_size for path in (folder / "files").iterdir())

    patched = night.play("patch")
    assert patched.rc == 0, patched.stdout
    assert version(OFFLINE) == "1.1.0"
    back = night.play(
        "rollback", patching_run_id=plan["plan_id"], rollback_hosts=OFFLINE, rollback_reason="second thoughts"
    )
    assert back.rc == 0, back.stdout
    assert version(OFFLINE) == "1.0.0"
    assert night.outcomes() == {OFFLINE: "rolled_back"}
