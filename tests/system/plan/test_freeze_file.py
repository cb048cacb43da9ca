# SPDX-License-Identifier: GPL-3.0-or-later
"""A freeze file that is dropped while hosts are being patched."""

from __future__ import annotations

from tests.support import lab
from tests.support.expect import require_final_state, version
from tests.support.killing import Controller


def test_a_freeze_file_in_mid_run(staged):
    """It stops the run between hosts; when it is gone the same plan finishes them."""
    freeze = staged.evidence / "freeze"
    controller = Controller(staged)
    assert controller.until(controller.recorded("portal1", "drain"))
    freeze.write_text("mass casualty\n", encoding="utf-8")
    assert controller.wait() != 0
    assert staged.outcomes() == {"portal1": "patched", "portal2": "not_started"}
    assert "mass casualty" in staged.reason("portal2")
    assert lab.in_service("portal1")
    assert version("portal2") == "1.0.0"

    freeze.unlink()
    resumed = staged.play("patch")
    assert resumed.rc == 0, resumed.stdout
    require_final_state(staged)
