# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab grows only when it is asked to."""

from __future__ import annotations

from typing import Any

import yaml

from tests.support.playbook import HOSPITAL_INVENTORY, LAB_INVENTORY, ROOT


def addresses(group: dict[str, Any]) -> dict[str, str]:
    """Every host below a group, with its address."""
    found = {name: host["ansible_host"] for name, host in (group.get("hosts") or {}).items()}
    for child in (group.get("children") or {}).values():
        found |= addresses(child)
    return found


def test_every_host_knows_the_further_ones_and_the_lab_starts_none_of_them():
    lab, further = (addresses(yaml.safe_load(path.read_text())["hospital"]) for path in HOSPITAL_INVENTORY)
    settings = yaml.safe_load((ROOT / "playbooks/vars/lab.yml").read_text())

    assert settings["lab_further_addresses"] == further
    assert further
    assert not lab.keys() & further.keys()
    assert len(set(lab.values()) | set(further.values())) == len(lab) + len(further)
    assert HOSPITAL_INVENTORY[0] == LAB_INVENTORY
