# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import csv
import json
from datetime import timedelta

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import evidence, fleet_inventory
from ansible_collections.hospital.patching.plugins.plugin_utils.end_of_life import Judge
from ansible_collections.hospital.patching.plugins.plugin_utils.eol_feed import Feed
from ansible_collections.hospital.patching.plugins.plugin_utils.fleet_entry import entry
from ansible_collections.hospital.patching.plugins.plugin_utils.fleet_state import STATES, Member, state_of
from ansible_collections.hospital.patching.plugins.plugin_utils.lost import Mark
from ansible_collections.hospital.patching.plugins.plugin_utils.settings import effective
from ansible_collections.hospital.patching.plugins.plugin_utils.times import stamp
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import NOW, pending, update
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.software_documents import package, software

STOLEN = Mark("stolen", "reported stolen by Ada", {"patient_data": "yes"})
UNREADABLE = Mark("unreadable", "its report cannot be read", {})
CURRENT = pending()
UNTOLD = "1 whose end of life is not known"
MAY_FIX = "1 updates are held that may fix a security flaw: 1 not_security"


def ago(days):
    return stamp(NOW - timedelta(days=days))


def assessed(days=0, **more):
    time = ago(days)
    known = {"status": "assessed", "reason": "", "time": time, "seen": time, "software_time": time}
    return {**known, "software": software(), "pending": CURRENT, "addresses": ["10.20.0.7"], **more}


def away(status, seen_days=None, **more):
    seen = None if seen_days is None else ago(seen_days)
    return {"status": status, "reason": "because", "time": ago(0), "seen": seen, "pending": None, **more}


def held(kind="denied", candidate="3.0.17-1", **more):
    return {"name": "openssl", "arch": "amd64", "candidate": candidate, "kind": kind, "security": None, **more}


def member(document, mark=None, problem="", **settings):
    known = effective("ws1", {f"patching_{key}": value for key, value in settings.items()})
    return Member("ws1", "10.20.0.7", known, document, mark, problem)


@pytest.fixture
def judge(tmp_path):
    """Return a judge to whom everything is supported."""
    data = {"debian": [{"cycle": "12", "eol": False}], "openssl": [{"cycle": "3.0", "eol": False}]}
    path = tmp_path / "feed.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    return Judge(Feed(str(path)), NOW.date())


@pytest.mark.parametrize(
    ("one", "state"),
    [
        (member(assessed()), "assessed"),
        (member(assessed(30)), "assessed"),
        (member(assessed(31)), "unseen"),
        (member(assessed(8), unseen_days=7), "unseen"),
        (member(away("unreachable", 3)), "unreachable"),
        (member(away("unreachable", 31)), "unseen"),
        (member(away("unreachable")), "unreachable"),
        (member(away("failed", 1)), "failed"),
        (member(away("not_contacted")), "not_contacted"),
        (member(away("not_contacted", 99)), "not_contacted"),
        (member(None), "never_assessed"),
        (member({}), "never_assessed"),
        (member({"status": "nonsense"}), "never_assessed"),
        (member(assessed(time="soon", seen="soon")), "unseen"),
        (member(assessed(seen=5)), "unseen"),
        (member({"status": "assessed", "software": software(), "pending": CURRENT}), "unseen"),
        (member(assessed(seen="2036-01-01T00:00:00Z")), "unseen"),
        (member(assessed(-1 / 288)), "assessed"),
        (member(assessed(-1 / 287)), "unseen"),
        (member(away("unreachable", seen="soon")), "unseen"),
        (member(away("not_contacted", seen="soon")), "not_contacted"),
        (member(assessed(), STOLEN), "stolen"),
        (member(None, UNREADABLE), "lost"),
        (member(assessed(), problem="a misspelt setting"), "failed"),
        (member(away("lost", 1)), "unreachable"),
        (member(assessed(), segment="10.20.0.0/16"), "assessed"),
        (member(assessed(), segment=["10.1.0.0/16", "10.20.0.0/24"]), "assessed"),
        (member(assessed(), segment="10.21.0.0/16"), "outside_segment"),
        (member(assessed(addresses=["10.21.0.1", "10.20.0.1"]), segment="10.21.0.0/16"), "outside_segment"),
        (member(assessed(addresses=["nonsense"]), segment="10.21.0.0/16"), "outside_segment"),
        (member(away("unreachable", 1, addresses=["10.20.0.7"]), segment="10.21.0.0/16"), "unreachable"),
    ],
)
def test_what_a_host_is(one, state, judge):
    assert state_of(one, NOW).name == state
    assert state in STATES
    if state != "assessed":
        found = entry(one, judge, NOW).summary
        assert not found["up_to_date"]
        assert found["against"][0].startswith(state)


def test_an_older_document_without_seen_is_dated_by_its_time():
    document = assessed(40)
    del document["seen"]
    assert state_of(member(document), NOW).name == "unseen"


def test_only_a_host_of_which_everything_is_known_is_up_to_date(judge):
    found = entry(member(assessed()), judge, NOW).summary
    assert (found["up_to_date"], found["against"]) == (True, [])
    assert found["pending"] == {"updates": 0, "security": 0, "held": 0}
    assert found["counts"]["installed"] == 1


@pytest.mark.parametrize(
    ("more", "against"),
    [
        ({"pending": pending(update())}, "1 security updates are pending"),
        ({"pending": None}, "its pending updates are not known"),
        ({"software": None}, "its software is not known"),
        ({"software": software(snaps=None)}, "not known: snaps"),
        ({"software": software(reboot_required={"required": True, "reasons": ["kernel"]})}, "1 reboot owed"),
        (
            {"software": software(vulnerable_jars=[{"path": "/a.jar", "library": "log4j-core"}])},
            "1 vulnerable jar files",
        ),
        ({"software": software(applications=[{"name": "Flash", "advice": "remove"}])}, "1 past their end of life"),
        ({"software": software(java_homes=[{"path": "/opt/pacs/jre", "version": "1.8.0_202"}])}, UNTOLD),
        ({"software": software(java_homes=[{"path": "/opt/jre", "version": "8", "vendor": "Nobody"}])}, UNTOLD),
        ({"software": software(applications=[{"name": "Viewer", "product": "viewer", "path": "/opt/v"}])}, UNTOLD),
        (
            {"software": software(errors={"packages": "240 damaged stanzas"})},
            "not wholly known: packages: 240 damaged stanzas",
        ),
        (
            {"software": software(snaps=None, errors={"snaps": "no snapd"})},
            "not wholly known: snaps: no snapd",
        ),
        ({"software": software(reboot_required=None)}, "not known: reboot_required"),
        ({"software": software(reboot_required={"required": None})}, "not known: reboot_required"),
        ({"software": software(replaced_libraries=None)}, "not known: replaced_libraries"),
        (
            {"software": software(replaced_libraries=[{"pid": 412, "command": "nginx"}])},
            "1 processes run replaced libraries",
        ),
        ({"problems": ["no SBOM was written"]}, "assessment: no SBOM was written"),
        ({"pending": {**pending(), "problems": ["locks unread"]}}, "pending updates: locks unread"),
        (
            {"pending": {**pending(), "held": [held("deferred", security=True), held(security=True), held("hold")]}},
            "2 security updates are held: 1 deferred, 1 denied",
        ),
        ({"pending": {**pending(), "held": [held("hold")]}}, "1 updates are held that may fix a security flaw: 1 hold"),
        ({"pending": {**pending(), "held": [held(security=False)]}}, "1 other updates are held: 1 denied"),
        ({"pending": {**pending(), "held": [held("not_security")]}}, MAY_FIX),
        ({"pending": {**pending(), "held": [held("not_security", security="no")]}}, MAY_FIX),
        (
            {"software": software(packages=[package("nginx", "1.22.1", origin=None)])},
            "1 whose end of life is not known",
        ),
    ],
)
def test_what_speaks_against_a_host(judge, more, against):
    found = entry(member(assessed(**more)), judge, NOW).summary
    assert against in found["against"]
    assert not found["up_to_date"]


def test_what_the_distribution_mends_itself_does_not_speak_against_a_host(judge):
    found = entry(member(assessed(software=software(packages=[package("nginx", "1.22.1")]))), judge, NOW).summary
    assert found["up_to_date"]
    assert [(one["product"], one["maintained_by"]) for one in found["end_of_life"]] == [("nginx", "os")]


@pytest.mark.parametrize(
    "one", [held("hold", None), held("not_security", security=False)], ids=["nothing newer", "fixes no flaw"]
)
def test_what_is_held_and_would_fix_nothing_does_not_speak_against_a_host(judge, one):
    assert entry(member(assessed(pending={**pending(), "held": [one]})), judge, NOW).summary["up_to_date"]


def test_held_security_updates_are_named_first(judge):
    everything = [held("hold", security=False), held("hold"), held("hold", security=True)]
    found = entry(member(assessed(pending={**pending(), "held": everything})), judge, NOW).summary
    assert [one.partition(" held")[0] for one in found["against"]] == [
        "1 security updates are", "1 updates are", "1 other updates are"
    ]  # fmt: skip


def test_an_unknown_address_speaks_against_a_host_that_has_a_segment(judge):
    found = entry(member(assessed(addresses=[]), segment="10.20.0.0/16"), judge, NOW).summary
    assert found["against"] == ["the address from which it answers is not known"]


def test_what_is_not_known_is_counted_as_null_not_as_zero(judge):
    found = entry(member(away("unreachable", 1)), judge, NOW).summary
    assert set(found["counts"].values()) == {None}
    assert found["pending"] is None


def write(store, members, judge, **more):
    return fleet_inventory.write(store, members, lambda _member: judge, NOW, **more)


def rows(store, name):
    with store.inventory_path(name).open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


@pytest.fixture
def fleet():
    well, gone, answering = (
        assessed(),
        away("unreachable", 3, software=software(), software_time=ago(3)),
        away("lost", 5),
    )
    return [
        Member("portal1", "10.1.0.1", effective("portal1", {}), well),
        Member("ws1", "10.20.0.7", effective("ws1", {}), gone),
        Member("ws2", "10.20.0.8", effective("ws2", {}), {**answering, "answered": True}, STOLEN),
        Member("ws3", "10.20.0.9", None, None, problem="no setting has this name"),
    ]


def test_the_files_hold_every_host_and_alarms_come_first(tmp_path, fleet, judge):
    store = evidence.Evidence(tmp_path / "evidence")
    written = write(store, fleet, judge)
    document = json.loads(store.inventory_path("fleet.json").read_text(encoding="utf-8"))
    assert document == written.document
    assert document["alarms"] == [
        {"host": "ws2", "severity": "alarm", "reason": "reported stolen by Ada; it answers at 10.20.0.8"}
    ]
    assert document["summary"] == {
        "hosts": 4, "up_to_date": 1, "states": {"stolen": 1, "unreachable": 1, "failed": 1, "assessed": 1}
    }  # fmt: skip
    told = fleet_inventory.lines(document)
    assert told[0].startswith("ALARM  ws2")
    assert [line.split()[1] for line in told[1:4]] == ["ws2:", "ws1:", "ws3:"]
    assert told[-1] == "4 hosts: 1 stolen, 1 unreachable, 1 failed, 1 assessed; 1 up to date"
    software_of = {row["host"]: row for row in rows(store, "fleet.csv") if row["kind"] == "deb"}
    assert set(software_of) == {"portal1", "ws1"}
    assert software_of["ws1"]["as_of"] == ago(3)
    assert {row["host"] for row in rows(store, "pending.csv")} == {"ws1", "ws2", "ws3"}


def test_the_same_fleet_yields_the_same_files(tmp_path, fleet, judge):
    stores = [evidence.Evidence(tmp_path / name) for name in ("a", "b")]
    for store in stores:
        write(store, fleet, judge)
    for name in ("fleet.json", "fleet.csv", "pending.csv"):
        assert stores[0].inventory_path(name).read_bytes() == stores[1].inventory_path(name).read_bytes()


def test_check_mode_says_the_same_and_writes_nothing(tmp_path, fleet, judge):
    stores = [evidence.Evidence(tmp_path / name) for name in ("a", "b")]
    assert write(stores[0], fleet, judge, check=True).document == write(stores[1], fleet, judge).document
    assert not stores[0].root.exists()


def test_files_are_replaced_as_a_whole_or_not_at_all(tmp_path, fleet, judge):
    store = evidence.Evidence(tmp_path / "evidence")
    write(store, fleet, judge)
    before = {path.name: path.read_bytes() for path in store.inventory_path("").iterdir()}

    def broken():
        yield fleet[0]
        raise PatchingError("ws1", "broken", "whole", "mend it")

    with pytest.raises(PatchingError, match="broken"):
        write(store, broken(), judge)
    assert {path.name: path.read_bytes() for path in store.inventory_path("").iterdir()} == before


def test_a_broken_encoding_is_written(tmp_path, judge):
    store = evidence.Evidence(tmp_path / "evidence")
    broken = assessed(software=software(packages=[package("caf\udce9")], errors={"snaps": "\udce9"}))
    write(store, [member(broken)], judge)
    document = json.loads(store.inventory_path("fleet.json").read_text(encoding="utf-8"))
    assert document["hosts"]["ws1"]["errors"] == {"snaps": "\udce9"}


def test_many_missing_hosts_do_not_fill_the_screen(tmp_path, judge):
    members = [Member(f"ws{number}", "a", effective("ws", {}), None) for number in range(50)]
    told = fleet_inventory.lines(write(evidence.Evidence(tmp_path), members, judge, check=True).document)
    assert len(told) == 22
    assert told[20] == "and 30 more hosts that were not assessed: see inventory/fleet.json"


def test_what_went_wrong_while_it_was_assessed_is_listed(judge):
    document = assessed(software=software(errors={"snaps": "no snapd"}), problems=["no SBOM was written: it failed"])
    found = entry(member(document), judge, NOW).summary
    assert found["errors"] == {"snaps": "no snapd", "assessment": "no SBOM was written: it failed"}
