# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import contacts

PUMPS = {"patching_device_segments": ["10.9.0.0/16"]}


def test_an_address_outside_the_segments_may_be_contacted():
    contacts.require("portal1", "10.1.0.1", PUMPS)


@pytest.mark.parametrize(
    ("address", "variables", "said"),
    [
        ("10.9.1.1", PUMPS, "10.9"),
        ("10.1.0.1", {**PUMPS, "patching_policy": "vendor_locked"}, "vendor_locked"),
        ("10.1.0.1", {}, "patching_device_segments"),
        ("no-such-host.invalid", PUMPS, "resolve"),
    ],
)
def test_everything_else_is_refused_and_says_why(address, variables, said):
    with pytest.raises(PatchingError, match="pump1") as refusal:
        contacts.require("pump1", address, variables)
    assert said in str(refusal.value)


def test_an_empty_list_of_segments_is_a_declaration():
    assert contacts.decide("portal1", "10.1.0.1", {"patching_device_segments": []}).allowed


def test_a_journey_needs_the_machine_that_drains_too():
    hostvars = {
        "portal1": {**PUMPS, "ansible_host": "10.1.0.1"},
        "lb1": {**PUMPS, "ansible_host": "10.1.0.2"},
        "lb2": {**PUMPS, "ansible_host": "10.9.0.2"},
    }
    assert contacts.journey("portal1", None, hostvars).allowed
    assert contacts.journey("portal1", "lb1", hostvars).allowed
    assert "lb2" in contacts.journey("portal1", "lb2", hostvars).reason
    assert not contacts.journey("portal1", "unknown", hostvars).allowed
