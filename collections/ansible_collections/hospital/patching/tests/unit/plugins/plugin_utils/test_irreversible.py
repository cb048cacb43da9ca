# SPDX-License-Identifier: GPL-3.0-or-later
"""Updates that cannot be taken back."""

from __future__ import annotations

import pytest

from ansible_collections.hospital.patching.plugins.plugin_utils import irreversible
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import (
    pending,
    planned,
    server,
    update,
)

DATABASE = update("postgresql-15", "15.1", "15.2")
RULE = {"name": "postgresql-*", "reason": "it migrates the archive"}


def plan(*updates, rule=None):
    fleet = {"db1": server("db1", "db", pending(*updates), downtime_s=60, min_healthy=0, irreversible=[rule or RULE])}
    found, left_out = irreversible.applied(fleet)
    return planned(found).plan, irreversible.notes(left_out)


def test_a_host_that_would_get_nothing_else_is_refused():
    made, _notes = plan(DATABASE)
    refused = made["not_planned"]["db1"]
    assert refused["outcome"] == "refused"
    assert "postgresql-15 15.2 cannot be taken back (reversible: no): it migrates the archive" in refused["reason"]


def test_the_others_are_planned_and_it_is_named():
    made, notes = plan(DATABASE, update("curl"))
    assert [one["name"] for one in made["hosts"]["db1"]["updates"]] == ["curl"]
    assert "Left out on db1" in notes[0]


@pytest.mark.parametrize(("to", "names"), [("15.2", ["curl"]), ("15.3", ["curl", "postgresql-15"])])
def test_of_one_version_only(to, names):
    made, _notes = plan(DATABASE, update("curl"), rule={**RULE, "to": to})
    assert sorted(one["name"] for one in made["hosts"]["db1"]["updates"]) == names


def test_a_new_package_has_no_data_yet():
    made, notes = plan(update("postgresql-16", None, "16.0"))
    assert notes == []
    assert "db1" in made["hosts"]
