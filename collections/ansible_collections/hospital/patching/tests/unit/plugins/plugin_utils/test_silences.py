# SPDX-License-Identifier: GPL-3.0-or-later
"""Silences at monitors on loopback: of one host, ending by themselves, and of nobody else."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils.silences import keeping, login, registry
from ansible_collections.hospital.patching.plugins.plugin_utils.silences.base import Access, Wanted
from ansible_collections.hospital.patching.plugins.plugin_utils.silences.zabbix import maintenance_name
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import PLAN_ID, candidate, planned
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import server as host_of
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.silence_doubles import (
    AlertmanagerDouble,
    Monitor,
    ZabbixDouble,
    ends,
)

#: As the action asks: whole minutes. It lies ahead for the real Alertmanager, which takes no other end.
STARTS = datetime.now(UTC).replace(second=0, microsecond=0)
WANTED = Wanted(PLAN_ID, "portal1", STARTS, STARTS + timedelta(hours=1))
TOKEN = {"token": ZabbixDouble.token}


@pytest.fixture(params=["alertmanager", "zabbix"])
def monitor(request):
    with {"alertmanager": AlertmanagerDouble, "zabbix": ZabbixDouble}[request.param]() as running:
        running.kind = request.param
        yield running


def provider(monitor: Monitor, given=None, segments=(), limit_s=5.0, **more):
    setting = registry.read({monitor.kind: monitor.url, **more})
    return registry.build(setting, Access(list(segments), login.of(TOKEN if given is None else given), limit_s=limit_s))


def test_a_silence_is_of_one_host_and_run_ends_by_itself_and_is_lifted(monitor):
    made, _others = keeping.silence(provider(monitor), WANTED)
    assert monitor.standing() == [made]
    assert ends(monitor.silences[made]) == WANTED.ends
    assert PLAN_ID in json.dumps(monitor.silences[made])
    assert monitor.asked[0][3] == f"Bearer {ZabbixDouble.token}"
    assert keeping.lift(provider(monitor), PLAN_ID, "portal1", [made]) == keeping.Lifted((made,), (), ())
    assert monitor.standing() == []


def test_alerts_of_this_host_alone_are_matched():
    with AlertmanagerDouble() as monitor:
        monitor.kind = "alertmanager"
        keeping.silence(provider(monitor), WANTED)
        (matcher,) = next(iter(monitor.silences.values()))["matchers"]
    assert (matcher["name"], matcher["isRegex"], matcher["isEqual"]) == ("instance", True, True)
    matched = ["portal1", "portal1:9100", "portal10", "portal1.example", "aportal1", "portal1:9100/x"]
    assert [name for name in matched if re.fullmatch(matcher["value"], name)] == ["portal1", "portal1:9100"]


def test_a_maintenance_of_zabbix_is_of_one_host_and_no_group():
    with ZabbixDouble() as monitor:
        monitor.kind = "zabbix"
        made, _others = keeping.silence(provider(monitor), WANTED)
        asked = monitor.silences[made]
    assert asked["hosts"] == [{"hostid": "10084"}]
    (period,) = asked["timeperiods"]
    assert (period["timeperiod_type"], period["start_date"]) == (0, asked["active_since"])
    assert period["start_date"] + period["period"] == asked["active_till"]
    assert len(maintenance_name(PLAN_ID, "h" * 200)) == 128
    assert maintenance_name(PLAN_ID, "h" * 200) != maintenance_name(PLAN_ID, "h" * 201)


def test_what_a_killed_controller_has_left_is_ended_with_a_new_silence_and_without_its_id(monitor):
    left, _others = keeping.silence(provider(monitor), WANTED)
    made, _others = keeping.silence(provider(monitor), WANTED)
    assert left != made
    assert monitor.standing() == [made]
    keeping.lift(provider(monitor), PLAN_ID, "portal1", [])
    assert monitor.standing() == []


def test_lifting_what_has_ended_or_is_not_known_is_fine(monitor):
    made, _others = keeping.silence(provider(monitor), WANTED)
    keeping.lift(provider(monitor), PLAN_ID, "portal1", [made])
    again = keeping.lift(provider(monitor), PLAN_ID, "portal1", [made, "4008a369-6d9c-4a06-b783-88ebb07ace2a"])
    assert (again.lifted, again.problems) == ((), ())
    assert len(again.over) == 2


def test_a_silence_of_somebody_else_is_never_touched(monitor):
    made, _others = keeping.silence(provider(monitor), WANTED)
    theirs = Wanted("20261122T080000Z-ffffffff", "portal1", WANTED.starts, WANTED.ends)
    foreign, _others = keeping.silence(provider(monitor), theirs)
    lifted = keeping.lift(provider(monitor), PLAN_ID, "portal1", [made, foreign])
    assert lifted.lifted == (made,)
    assert "it was left alone" in lifted.problems[0]
    assert monitor.standing() == [foreign]


@pytest.mark.parametrize(
    "broken",
    [
        (401, "token f2aa5d1e is bad"),
        (503, "busy"),
        (503, '"\\ud800"'),
        (200, "<html>login</html>"),
        (302, ""),
    ],
)
def test_a_monitor_that_is_ill_or_wants_another_login_is_said_without_the_login(monitor, broken):
    monitor.broken = broken
    with pytest.raises(PatchingError) as refusal:
        keeping.silence(provider(monitor), WANTED)
    assert monitor.url in str(refusal.value)
    assert "f2aa5d1e" not in str(refusal.value)
    assert str(refusal.value).encode(), "it has to fit into the ledger"
    assert keeping.lift(provider(monitor), PLAN_ID, "portal1", ["1"]).problems


def test_a_monitor_that_hangs_is_not_waited_for(monitor):
    monitor.hangs_s = 0.6
    with pytest.raises(PatchingError, match=r"no answer within 0\.1 s"):
        keeping.silence(provider(monitor, limit_s=0.1), WANTED)


@pytest.mark.parametrize(
    ("kind", "lie", "seen"),
    [
        (AlertmanagerDouble, {"status": {"state": "expired"}}, "it is expired once made"),
        (AlertmanagerDouble, {"endsAt": "2036-01-01T00:00:00.000Z"}, "until 2036"),
        (AlertmanagerDouble, {"matchers": [{"name": "job", "value": "node", "isRegex": False}]}, "job=node"),
        (AlertmanagerDouble, {"comment": "another"}, "an active silence"),
        (ZabbixDouble, {"active_till": 2082758400}, "until 2082758400"),
        (ZabbixDouble, {"hosts": [{"hostid": "10084"}, {"hostid": "10085"}]}, "['10084', '10085']"),
        (ZabbixDouble, {"hostgroups": [{"groupid": "2"}]}, "groups ['2']"),
    ],
)
def test_a_monitor_that_makes_something_else_is_refused_and_that_is_ended(kind, lie, seen):
    with kind() as monitor:
        monitor.kind, monitor.lie = {AlertmanagerDouble: "alertmanager"}.get(kind, "zabbix"), lie
        with pytest.raises(PatchingError) as refusal:
            keeping.silence(provider(monitor), WANTED)
        assert seen in str(refusal.value)
        assert monitor.standing() == [] or lie == {"comment": "another"}


def test_a_host_that_zabbix_does_not_know_is_refused():
    with ZabbixDouble() as monitor:
        monitor.kind = "zabbix"
        with pytest.raises(PatchingError, match="host portal7"):
            keeping.silence(provider(monitor, name="portal7"), WANTED)


def test_nothing_is_sent_into_a_device_segment_or_with_a_login_over_plain_http(monitor):
    with pytest.raises(PatchingError, match="it is not connected to"):
        keeping.silence(provider(monitor, segments=["127.0.0.0/8"]), WANTED)
    assert monitor.asked == []
    away = registry.build(registry.read({monitor.kind: "http://10.1.1.1"}), Access([], login.of(TOKEN)))
    assert "unencrypted" in away.problem()


def test_a_login_of_user_and_password_is_sent_as_basic():
    with AlertmanagerDouble() as monitor:
        monitor.kind = "alertmanager"
        keeping.silence(provider(monitor, {"user": "patch", "password": "s3cret"}), WANTED)
        assert monitor.asked[0][3] == "Basic cGF0Y2g6czNjcmV0"


# --- a site's own commands ------------------------------------------------------


def test_commands_are_told_what_is_meant_and_give_the_id(tmp_path):
    setting = registry.read(
        {
            "hook": ["sh", "-c", f"env | grep ^PATCHING_ | sort > {tmp_path}/on; echo own-7"],
            "back": ["sh", "-c", f"echo $PATCHING_SILENCE $PATCHING_HOST > {tmp_path}/off"],
        }
    )
    made, _others = keeping.silence(registry.build(setting, Access([])), WANTED)
    assert made == "own-7"
    told = (tmp_path / "on").read_text().split()
    assert told[:2] == ["PATCHING_HOST=portal1", f"PATCHING_RUN_ID={PLAN_ID}"]
    keeping.lift(registry.build(setting, Access([])), PLAN_ID, "portal1", [made])
    assert (tmp_path / "off").read_text() == "own-7 portal1\n"


def test_what_a_command_had_begun_when_the_controller_was_killed_is_ended_without_its_id(tmp_path):
    back = ["sh", "-c", f"echo $PATCHING_SILENCE $PATCHING_HOST >> {tmp_path}/off"]
    setting = registry.read({"hook": ["echo", "own-7"], "back": back})
    found = keeping.lift(registry.build(setting, Access([])), PLAN_ID, "portal1", [])
    assert (found.lifted, found.problems) == (("hook",), ())
    assert (tmp_path / "off").read_text() == "hook portal1\n"


@pytest.mark.parametrize(
    ("command", "seen"),
    [("echo no >&2; exit 3", "exit 3: no"), ("sleep 9", "no end after 1 s"), ("echo an id", "no id")],
)
def test_a_command_that_fails_hangs_or_prints_nonsense_is_refused(command, seen):
    setting = registry.read({"hook": ["sh", "-c", command], "back": ["true"], "timeout_s": 1})
    with pytest.raises(PatchingError, match=seen):
        keeping.silence(registry.build(setting, Access([])), WANTED)


# --- the settings -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"alertmanager": "https://am.example", "lable": "host"}, "with label and names"),
        ({"alertmanager": "https://u:p@am.example"}, "without login"),
        ({"alertmanager": "https://am.example/?token=1"}, "without login, query"),
        ({"alertmanager": "ftp://am.example"}, "https://HOST"),
        ({"alertmanager": "https://am.example", "names": []}, "names as a list"),
        ({"alertmanager": "https://am.example", "names": ["a.*"]}, "names as a list"),
        ({"alertmanager": "https://am.example", "label": "a b"}, "a label's name"),
        ({"alertmanager": "https://am.example", "when_unavailable": "ignore"}, "refuse or go_on"),
        ({"alertmanager": "https://am.example", "zabbix": "https://z.example"}, "none, {alertmanager"),
        ({"zabbix": "https://z.example", "host": "x"}, "{zabbix: URL} with name"),
        ({"hook": ["silence"]}, "back: "),
        ({"hook": ["silence"], "back": []}, "which ends the silence"),
        ("yes", "none, {alertmanager"),
    ],
)
def test_what_is_not_understood_is_refused(value, expected):
    with pytest.raises(ValueError, match=re.escape(expected)):
        registry.read(value)


@pytest.mark.parametrize(
    "value",
    ["s3cret", {"token": "s3cret\nX"}, {"user": "a:b", "password": "s3cret"}, {"password": "s3cret"}, {"token": 7}],
)
def test_a_login_that_is_not_understood_is_refused_without_being_shown(value):
    with pytest.raises(ValueError, match="token: TOKEN") as refusal:
        login.read(value)
    assert "s3cret" not in str(refusal.value)
    assert "s3cret" not in repr(login.of({"token": "s3cret"}))


def refused(**settings):
    fleet = {name: host_of(name, "portal", **settings) for name in ("portal1", "portal2")}
    return {host: entry["reason"] for host, entry in planned(fleet).plan["not_planned"].items()}


def test_two_hosts_that_would_be_silenced_together_are_refused():
    found = refused(silence={"alertmanager": "https://am.example", "label": "service", "names": ["portal"]})
    assert "would silence portal2 with it" in found["portal1"]
    assert refused(silence={"alertmanager": "https://am.example"}) == {}


def test_a_monitor_that_cannot_work_is_refused_when_the_host_is_planned():
    assert "needs an API token" in refused(silence={"zabbix": "https://z.example"})["portal1"]
    assert refused(silence={"zabbix": "https://z.example"}, silence_login=TOKEN) == {}
    assert "unencrypted" in refused(silence={"alertmanager": "http://am.example"}, silence_login=TOKEN)["portal1"]


def test_the_plan_has_the_monitor_and_not_its_login():
    portal = host_of("portal1", "portal", silence={"zabbix": "https://z.example"}, silence_login=TOKEN, min_healthy=0)
    made = planned({"portal1": portal}).plan
    assert made["hosts"]["portal1"]["silence"] == {
        "provider": "zabbix",
        "url": "https://z.example",
        "when_unavailable": "refuse",
    }
    assert TOKEN["token"] not in json.dumps(made)
    without = planned({"portal1": host_of("portal1", "portal", silence="none", downtime_s=9)}).plan
    assert "silence" not in without["hosts"]["portal1"]
    assert candidate("portal1", {}).settings.silence is None
