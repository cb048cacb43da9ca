# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import re

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import contacts, schema
from ansible_collections.hospital.patching.plugins.plugin_utils.fleet import Candidate
from ansible_collections.hospital.patching.plugins.plugin_utils.service_catalogue import (
    KEYS,
    device_segments,
    layers,
    locked,
    read,
)
from ansible_collections.hospital.patching.plugins.plugin_utils.settings import (
    CATALOGUE_ERROR,
    CATALOGUE_LOCKED,
    CATALOGUE_READ,
    CATALOGUE_REQUIRED,
    CATALOGUE_SEGMENTS,
    effective,
)
from ansible_collections.hospital.patching.plugins.plugin_utils.wave_check import wave_problems
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import (
    ALL_HOSTS,
    hosts_of,
    pending,
    planned,
    update,
)

GOOD = """\
plugin: hospital.patching.service_catalogue
schema: 1
segments:
  10.9.0.0/16: {policy: vendor_locked}
  10.2.0.0/24:
    window: "Sun 03:00, 1 h, UTC"
services:
  database:
    tier: 3
    owner: Clinical applications
    contact: "+49 30 1234"
    window: "Sun 01:00, 12 h, UTC"
    drain: none
    min_healthy: 1
    hosts:
      db1: {role: primary}
      db2: {role: replica, soak_s: 60}
  ehr:
    depends_on: [database]
    after: [database]
    window: "Sun 01:00, 12 h, UTC"
    drain: none
    probe_url: "https://{{ ansible_host }}/health"
    hosts:
      ehr1:
      ehr2:
hosts:
  ws1: {policy: managed, kind: endpoint}
"""
ADDRESSES = {"db1": "10.1.0.1", "db2": "db2.example", "ehr1": "10.2.0.7", "ehr2": None, "ws1": "10.1.0.9"}
ADDRESSES |= {"pump1": "10.9.4.4"}


def variables(found):
    """Return each host's variables as Ansible puts the layers together."""
    result = {}
    for layer in sorted(found, key=lambda one: one.priority):
        for host in layer.hosts:
            result.setdefault(host, {}).update(layer.variables)
    return result


@pytest.fixture
def catalogue(tmp_path):
    """Return a function that reads a text as a catalogue and hands out its variables."""

    def read_text(text):
        path = tmp_path / "catalogue.yml"
        path.write_text(text)
        return variables(layers(read(path), ADDRESSES))

    return read_text


def test_it_becomes_the_inventorys_variables(catalogue):
    found = catalogue(GOOD)
    assert found["db2"] == {
        "patching_service": "database",
        "patching_tier": 3,
        "patching_owner": "Clinical applications",
        "patching_contact": "+49 30 1234",
        "patching_window": "Sun 01:00, 12 h, UTC",
        "patching_drain": "none",
        "patching_min_healthy": 1,
        "patching_role": "replica",
        "patching_soak_s": 60,
    }
    assert found["ehr1"]["patching_window"] == "Sun 01:00, 12 h, UTC", "a service goes before a network"
    assert found["ws1"] == {"patching_policy": "managed", "patching_kind": "endpoint"}
    assert found["pump1"] == {"patching_policy": "vendor_locked"}


def test_a_device_network_is_one_line(tmp_path):
    path = tmp_path / "catalogue.yml"
    path.write_text(GOOD)
    assert device_segments(read(path)) == ["10.9.0.0/16"]


def test_the_plan_follows_it(catalogue):
    found = catalogue(GOOD)
    fleet = {
        host: Candidate(effective(host, {**ALL_HOSTS, **given}), ADDRESSES[host], pending(update()), None)
        for host, given in found.items()
    }
    plan = planned(fleet).plan
    assert hosts_of(plan) == [["db2"], ["db1"], ["ehr1"], ["ehr2"], ["ws1"]]
    assert plan["services"]["database"]["owner"] == "Clinical applications (+49 30 1234)"
    assert plan["services"]["ehr"]["owner"] is None
    assert "vendor_locked" in plan["not_planned"]["pump1"]["reason"]


EDITS = [
    ("    tier: 3\n", "    teir: 3\n", "9: the key teir; expected perhaps tier"),
    (
        "    tier: 3\n",
        "    tier: 5\n",
        "9: services.database.tier: 5 is greater than the maximum of 4; expected at most",
    ),
    ("    tier: 3\n", "    service: x\n", "9: the key service; expected the host under services, SERVICE, hosts"),
    ("    tier: 3\n", "    patching_tier: 3\n", "9: the key patching_tier; expected perhaps tier"),
    ("    tier: 3\n", "    device_segments: []\n", "9: the key device_segments; expected networks under segments"),
    (
        "after: [database]",
        "after: database",
        "20: services.ehr.after: 'database' is not of type",
    ),
    ("      ehr1:\n      ehr2:\n", "      [ehr1, ehr2]\n", "24: services.ehr.hosts: ['ehr1', 'ehr2'] is not of type"),
    (
        '"+49 30 1234"',
        "4930",
        "11: services.database.contact: 4930 is not of type",
    ),
    ("services:\n", "servces:\n", "7: the key servces; expected perhaps services"),
    ("schema: 1\n", "schema: 2\n", "2: schema: 1 was expected; expected 1"),
    ("schema: 1\n", "", "1: its top: 'schema' is a required property; expected plugin, schema"),
    ("      ehr1:\n      ehr2:\n", "      {}\n", "24: services.ehr.hosts: "),
    ("      ehr1:\n", "      ehr9:\n", "25: host ehr9, which the inventory does not know"),
    ("  ws1: {", "  ws9: {", "28: host ws9, which the inventory does not know"),
    (
        "      ehr1:\n",
        "      db1:\n",
        "25: host db1 in service ehr and in service database; expected one service a host",
    ),
    ("  ws1: {", "  ehr2: {", "28: host ehr2, which stands in service ehr already"),
    (
        "min_healthy: 1",
        "min_healthy: 2",
        "14: min_healthy of service database is 2 of 2 hosts, so none may ever be out",
    ),
    (
        "depends_on: [database]",
        "depends_on: [databse]",
        "19: depends_on of service ehr names databse; expected perhaps",
    ),
    ("depends_on: [database]", "never_with: [ehr]", "19: never_with of service ehr names ehr"),
    ("    tier: 3\n", "    after: [ehr]\n", "9: after goes in a circle: database before ehr before database"),
    ("    tier: 3\n", "    depends_on: [ehr]\n", "9: depends_on goes in a circle: "),
    (
        '"Sun 01:00, 12 h, UTC"\n    drain: none\n    min',
        '"Sum 01:00"\n    drain: none\n    min',
        "12: window of database: ",
    ),
    ("soak_s: 60", "soak_s: -1", "17: soak_s of db2: -1"),
    ("  10.9.0.0/16: {", "  10.9.0.0/99: {", "4: segment 10.9.0.0/99: "),
    ("  10.2.0.0/24:", "  10.9.3.0/24:", "5: segments 10.9.0.0/16 and 10.9.3.0/24, of which one lies in the other"),
    ("policy: vendor_locked", "policy: vendor_lockt", "4: policy of 10.9.0.0/16: 'vendor_lockt'"),
    ("10.9.0.0/16: {policy: vendor_locked}", "10.99.0.0/16: {policy: locked}", "4: policy of 10.99.0.0/16: 'locked'"),
    ("soak_s: 60", "soak_s: 1:30", "17: soak_s of db2: '1:30'"),
    ("soak_s: 60", "soak_s: 0x_", "17: soak_s of db2: '0x_'"),
    ("      ehr2:\n", "      ehr2:\n      ehr2:\n", "27: the key ehr2 stands there twice"),
    ("schema: 1\n", "schema: 1\nx: *y\n", "3: the alias *y"),
]


@pytest.mark.parametrize(("before", "after", "message"), EDITS, ids=[message for _b, _a, message in EDITS])
def test_a_mistake_is_refused_with_its_line(catalogue, before, after, message):
    assert before in GOOD
    # A service that contradicts itself in two ways is told of one.
    with pytest.raises(PatchingError) as found:
        catalogue(GOOD.replace(before, after, 1))
    assert f"catalogue.yml:{message}" in str(found.value)
    assert "Next: " in str(found.value)


@pytest.mark.parametrize("text", ["", "[]", "plugin: hospital.patching.service_catalogue\n"])
def test_what_is_no_catalogue_is_refused(catalogue, text):
    with pytest.raises(PatchingError, match=r"catalogue\.yml"):
        catalogue(text)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(PatchingError, match=r"No such file.*expected a service catalogue"):
        read(tmp_path / "catalogue.yml")
    (tmp_path / "catalogue.yml").write_bytes(b"\xff\xfe")
    with pytest.raises(PatchingError, match="expected a service catalogue"):
        read(tmp_path / "catalogue.yml")


def test_every_setting_may_stand_in_it_and_nothing_else():
    assert {"tier", "owner", "window", "drain", "estimate_s"} <= KEYS
    assert "service" not in KEYS
    assert "service_catalogue" in schema.kinds()


def test_no_host_is_touched_while_it_cannot_be_read():
    given = {**ALL_HOSTS, CATALOGUE_ERROR: "catalogue.yml:9: the key teir"}
    with pytest.raises(PatchingError, match=r"the service catalogue cannot be read \(catalogue\.yml:9: the key teir\)"):
        effective("db1", given)
    contact = contacts.decide("db1", "10.1.0.1", given)
    assert not contact.allowed
    assert "the service catalogue cannot be read" in contact.reason
    assert contacts.decide("db1", "10.1.0.1", ALL_HOSTS).allowed


def test_a_site_that_asks_for_a_catalogue_is_closed_without_one():
    given = {**ALL_HOSTS, CATALOGUE_REQUIRED: True}
    with pytest.raises(PatchingError, match="patching_catalogue_required is set, and no service catalogue was read"):
        effective("db1", given)
    assert not contacts.decide("db1", "10.1.0.1", given).allowed
    read_one = {**given, CATALOGUE_READ: "catalogue.yml"}
    assert effective("db1", read_one).policy == "observed"
    assert contacts.decide("db1", "10.1.0.1", read_one).allowed


def test_nothing_else_loosens_what_it_locks():
    given = {**ALL_HOSTS, CATALOGUE_LOCKED: True, "patching_policy": "managed"}
    assert effective("pump1", given).policy == "vendor_locked"
    assert not contacts.decide("pump1", "10.1.0.1", given).allowed


@pytest.mark.parametrize("declared", [["10.9.0.0/16"], [], None, "10.8.0.0/16", ["nonsense"]])
def test_no_other_place_takes_a_device_network_away(declared):
    given = {CATALOGUE_SEGMENTS: ["10.8.0.0/16"], "patching_device_segments": declared}
    found = contacts.decide("db1", "10.1.0.1", given)
    assert not found.allowed
    assert "10.8.0.0/16, vendor_locked in the service catalogue, is not in patching_device_segments" in found.reason


def test_a_wider_declaration_contains_it():
    given = {CATALOGUE_SEGMENTS: ["10.8.0.0/16"], "patching_device_segments": ["10.8.0.0/15"]}
    assert contacts.decide("db1", "10.1.0.1", given).allowed
    assert not contacts.decide("pump1", "10.8.4.4", given).allowed


def test_hosts_that_any_entry_locks(tmp_path):
    path = tmp_path / "catalogue.yml"
    path.write_text(GOOD.replace("ws1: {policy: managed, kind: endpoint}", "ws1: {policy: vendor_locked}"))
    assert locked(layers(read(path), ADDRESSES)) == ["pump1", "ws1"]


@pytest.mark.parametrize(
    "edit",
    [
        ("hosts:\n  ws1: {policy: managed, kind: endpoint}", "hosts:\n  ws1:"),
        ("  ws1: {policy: managed, kind: endpoint}", ""),
    ],
)
def test_an_entry_may_be_empty(catalogue, edit):
    assert catalogue(GOOD.replace(*edit)).get("ws1", {}) == {}


def test_a_service_of_group_vars_may_be_needed(catalogue):
    text = GOOD.replace("depends_on: [database]", "depends_on: [radiology]")
    assert catalogue(text)["ehr1"]["patching_depends_on"] == ["radiology"]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("    tier: 3\n", "    tier: 5\n", "at most 4"),
        ("after: [database]", "after: database", "a list, as in [database]"),
        ("      ehr1:\n      ehr2:\n", "      [ehr1, ehr2]\n", "names with a colon, one a line"),
        ('"+49 30 1234"', "4930", "text; put it in quotes"),
        ("    tier: 3\n", "    tier: high\n", "a whole number"),
    ],
)
def test_what_was_expected_is_said_in_words(catalogue, before, after, expected):
    with pytest.raises(PatchingError, match=re.escape(f"; expected {expected}. Next: ")):
        catalogue(GOOD.replace(before, after, 1))


CHAIN = """\
plugin: hospital.patching.service_catalogue
schema: 1
services:
  lab:
    min_healthy: 0
    window: "daily 00:00, 24 h, UTC"
    drain: none
    probe_url: "https://{{ ansible_host }}/health"
    start_order:
      - ehr2
      - db1
      - ehr1
    hosts:
      db1:
      ehr1:
      ehr2:
  radiology:
    min_healthy: 1
    window: "daily 00:00, 24 h, UTC"
    drain: none
    probe_url: "https://{{ ansible_host }}/health"
    hosts:
      db2:
      pump1:
"""


def fleet_of(found, without=()):
    """Return the fleet that has a catalogue's variables; hosts ``without`` an update have nothing to do."""
    return {
        host: Candidate(
            effective(host, {**ALL_HOSTS, **given}),
            ADDRESSES[host],
            pending(*([] if host in without else [update()])),
            None,
        )
        for host, given in found.items()
    }


def test_a_start_order_is_the_order_of_the_waves(catalogue):
    """The order is none that names, sizes or the file's own order would give."""
    waves = [host for wave in hosts_of(planned(fleet_of(catalogue(CHAIN))).plan) for host in wave]
    assert [host for host in waves if host in ("db1", "ehr1", "ehr2")] == ["ehr2", "db1", "ehr1"]
    turned = CHAIN.replace("- ehr2", "- x").replace("- ehr1", "- ehr2").replace("- x", "- ehr1")
    waves = [host for wave in hosts_of(planned(fleet_of(catalogue(turned))).plan) for host in wave]
    assert [host for host in waves if host in ("db1", "ehr1", "ehr2")] == ["ehr1", "db1", "ehr2"]


def test_ordered_hosts_are_never_out_together_however_many_may_be(catalogue):
    def most_of_it(text):
        waves = hosts_of(planned(fleet_of(catalogue(text))).plan)
        return max(len({"db1", "ehr1", "ehr2"} & set(wave)) for wave in waves)

    unordered = CHAIN.replace("    start_order:\n      - ehr2\n      - db1\n      - ehr1\n", "")
    assert (most_of_it(unordered), most_of_it(CHAIN)) == (2, 1)


def test_a_plan_whose_waves_were_turned_is_refused(catalogue):
    plan = planned(fleet_of(catalogue(CHAIN))).plan
    assert wave_problems(plan) == []
    first, last = (next(wave for wave in plan["waves"] if host in wave["hosts"]) for host in ("ehr2", "ehr1"))
    first["hosts"], last["hosts"] = last["hosts"], first["hosts"]
    assert any("ehr1 does not come after ehr2" in problem for problem in wave_problems(plan))


def test_the_order_of_the_others_holds_where_the_one_between_has_nothing_to_do(catalogue):
    text = CHAIN.replace("      ehr1:\n      ehr2:\n", "      ehr1: {ring: early}\n      ehr2: {ring: early}\n")
    plan = planned(fleet_of(catalogue(text), without=["db1"])).plan
    assert [host for wave in hosts_of(plan) for host in wave if host.startswith("ehr")] == ["ehr2", "ehr1"]
    assert catalogue(text)["ehr1"]["patching_after"] == ["ehr2", "db1"]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("      ehr1:\n", "      ehr1: {after: [db2]}\n", ["db2", "ehr2", "db1"]),
        ("    drain: none\n    probe_url", "    drain: none\n    after: [radiology]\n    probe_url", ["radiology"]),
        ("services:\n", "segments:\n  10.2.0.0/24: {after: [ws1]}\nservices:\n", ["ws1", "ehr2", "db1"]),
        ("      ehr1:\n", "      ehr1: {after: [db1]}\n", ["db1", "ehr2"]),
        ("      ehr1:\n", "      ehr1: {after: []}\n", ["ehr2", "db1"]),
    ],
)
def test_it_is_added_to_what_the_host_waits_for_anyhow(catalogue, before, after, expected):
    assert before in CHAIN
    found = catalogue(CHAIN.replace(before, after, 1))
    assert found["ehr1"]["patching_after"] == [*expected, *([] if len(expected) > 1 else ["ehr2", "db1"])]
    assert "start_order" not in " ".join(found["ehr1"]), "it is no setting of a host"


def test_it_is_added_to_the_hosts_own_after_and_not_to_the_services_which_that_replaces(catalogue):
    text = CHAIN.replace("    start_order:", "    after: [radiology]\n    start_order:")
    found = catalogue(text.replace("      ehr1:\n", "      ehr1: {after: [db2]}\n"))
    assert found["ehr1"]["patching_after"] == ["db2", "ehr2", "db1"]


def test_whoever_starts_first_waits_for_nobody_by_it(catalogue):
    assert "patching_after" not in catalogue(CHAIN)["ehr2"]


WHOLE = "start_order:\n      - ehr2\n      - db1\n      - ehr1\n"
ORDERS = [
    (
        "      - db1\n",
        "      - db2\n",
        "11: start_order of service lab names db2, which is none of its hosts; expected",
    ),
    (
        "      - db1\n",
        "      - lab\n",
        "11: start_order of service lab names lab, which is none of its hosts; expected",
    ),
    ("      - ehr1\n", "      - ehr2\n", "12: start_order of service lab names ehr2 twice; expected each host once"),
    ("      - db1\n      - ehr1\n", "", "9: start_order of service lab names ehr2 alone; expected at least two hosts"),
    (WHOLE, "start_order: []\n", "9: start_order of service lab names no"),
    (WHOLE, "start_order: ehr2\n", "9: services.lab.start_order: 'ehr2'"),
    ("      - db1\n", "      - 7\n", "11: services.lab.start_order[1]: 7 is not of type 'string'"),
    ("    start_order:", "    start_oder:", "9: the key start_oder; expected perhaps start_order"),
    ("      db1:\n", "      db1: {start_order: [db1, ehr1]}\n", "14: the key start_order; expected "),
    (
        "      ehr2:\n",
        "      ehr2: {after: [ehr1]}\n",
        "11: start_order of service lab goes in a circle with after: db1 before ehr1 before ehr2 before db1",
    ),
    (
        "      db1:\n",
        "      db1: {after: [ehr1]}\n",
        "12: start_order of service lab goes in a circle with after: ehr1 before db1 before ehr1",
    ),
    (
        "      ehr2:\n  radiology:\n",
        "      ehr2: {after: [radiology]}\n  radiology:\n    after: [db1]\n",
        "11: start_order of service lab goes in a circle with after: db1 before db2 before ehr2 before db1",
    ),
    (
        "      db1:\n      ehr1:\n",
        "      db1: {role: primary}\n      ehr1: {role: replica}\n",
        "12: start_order of service lab has db1 before ehr1, the primary before its replica; expected replicas",
    ),
    (
        "      ehr1:\n      ehr2:\n",
        "      ehr1: {ring: canary}\n      ehr2: {ring: broad}\n",
        "12: start_order of service lab has ehr2 before ehr1, ring broad before ring canary; expected the earlier",
    ),
]


@pytest.mark.parametrize(("before", "after", "message"), ORDERS, ids=[message for _b, _a, message in ORDERS])
def test_a_start_order_that_cannot_be_is_refused_with_its_line(catalogue, before, after, message):
    assert before in CHAIN
    text = CHAIN.replace(before, after, 1)
    with pytest.raises(PatchingError) as found:
        catalogue(text)
    assert f"catalogue.yml:{message}" in str(found.value)
    assert "Next: " in str(found.value)


@pytest.mark.parametrize("after", ["db1", "{a: 1}", "3"])
def test_an_after_that_is_no_list_is_refused_beside_a_start_order_too(catalogue, after):
    with pytest.raises(PatchingError, match=r"catalogue\.yml:15: after of ehr1: "):
        catalogue(CHAIN.replace("      ehr1:\n", f"      ehr1: {{after: {after}}}\n"))


def test_a_host_in_two_windows_that_never_overlap_is_refused_unless_it_states_its_own(tmp_path):
    clashing = GOOD.replace('window: "Sun 03:00, 1 h, UTC"', 'window: "Tue 03:00, 1 h, UTC"')
    addresses = {"db1": "10.2.0.5", "db2": None, "ehr1": None, "ehr2": None, "ws1": None}
    (tmp_path / "catalogue.yml").write_text(GOOD)
    layers(read(tmp_path / "catalogue.yml"), addresses)
    (tmp_path / "catalogue.yml").write_text(clashing)
    with pytest.raises(PatchingError) as refused:
        layers(read(tmp_path / "catalogue.yml"), addresses)
    told = str(refused.value)
    assert told.startswith(f"{tmp_path}/catalogue.yml:12: db1 has 'Sun 01:00, 12 h, UTC' as a host of database, and")
    assert f"'Tue 03:00, 1 h, UTC' as one of network 10.2.0.0/24 ({tmp_path}/catalogue.yml:6), which are never" in told
    own = clashing.replace("db1: {role: primary}", 'db1: {role: primary, window: "Mon 01:00, 2 h, UTC"}')
    (tmp_path / "catalogue.yml").write_text(own)
    layers(read(tmp_path / "catalogue.yml"), addresses)
