# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.hospital.patching.plugins.plugin_utils import explanation, settings

VARIABLES = {"patching_device_segments": [], "patching_service": "portal", "patching_tier": 3}
LAYERS = [
    ("group all", {"patching_device_segments": [], "patching_tier": 4}),
    ("group portal", {"patching_service": "portal", "patching_tier": 3}),
]


def test_the_strongest_layer_that_sets_a_variable_is_its_source():
    assert explanation.places(LAYERS)["patching_tier"] == "group portal"


def test_every_setting_has_a_row_with_its_source():
    table = explanation.rows(settings.explain("portal1", VARIABLES), explanation.places(LAYERS))
    found = {row["name"]: row["source"] for row in table}
    assert len(table) == len(settings.SETTINGS)
    assert found["patching_service"] == "group portal"
    assert found["patching_policy"] == "derived"
    assert found["patching_soak_s"] == "default"


def test_what_no_layer_sets_came_from_the_command_line():
    table = explanation.rows(settings.explain("portal1", VARIABLES), {})
    assert {row["name"]: row["source"] for row in table}["patching_service"] == "playbook or -e"


def test_the_text_names_the_host_and_every_setting():
    table = explanation.rows(settings.explain("portal1", VARIABLES), {})
    text = explanation.text("portal1", table)
    assert text.splitlines()[0] == "Effective settings of portal1"
    assert all(row["name"] in text for row in table)


def test_values_read_as_an_inventory_states_them():
    given = {"patching_never_with": ["viewer"], "patching_drain": {"haproxy": "lb1", "backend": "portal"}}
    text = explanation.text("portal1", explanation.rows(settings.explain("portal1", given), {}))
    assert '["viewer"]' in text
    assert '"backend": "portal"' in text
    assert "true" in text
    assert "('" not in text


def test_the_catalogues_groups_are_called_what_they_are():
    assert explanation.label("patching_catalogue_3") == "the service catalogue"
    assert explanation.label("portal") == "group portal"
