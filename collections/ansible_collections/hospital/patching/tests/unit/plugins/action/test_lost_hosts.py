# SPDX-License-Identifier: GPL-3.0-or-later
"""The tasks that record lost hosts, look whether they answer, and raise the alarm."""

from __future__ import annotations

import http.server
import json
import socket
import threading
from types import SimpleNamespace
from unittest import mock

import pytest
from ansible.plugins.action import ActionBase

from ansible_collections.hospital.patching.plugins.action import (
    fleet_inventory,
    host_contact,
    lost_host,
    lost_host_alarm,
    lost_host_info,
)
from ansible_collections.hospital.patching.plugins.plugin_utils import evidence, lost, lost_alarm
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import NOW

REPORT = {
    "host": "ws1",
    "state": "stolen",
    "reported_by": "Ada Nurse",
    "time": "2026-11-22T07:00:00Z",
    "last_seen": "ward 3",
    "patient_data": "yes",
    "reason": "",
}


@pytest.fixture
def pages():
    """Return the address of a notification service and the list of messages that it took."""
    taken = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            taken.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["message"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_words):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield SimpleNamespace(url=f"json://127.0.0.1:{server.server_port}/", taken=taken)
        server.shutdown()


def act(module, arguments, variables, check=False):
    plugin = module.ActionModule.__new__(module.ActionModule)
    plugin._task = SimpleNamespace(check_mode=check)
    plugin.validate_argument_spec = mock.Mock(return_value=(None, arguments))
    plugin.clock = mock.Mock()
    plugin.clock.now.return_value = NOW
    task_vars = {"inventory_hostname": "ws1", "hostvars": {"ws1": variables}, "groups": {"all": ["ws1"]}}
    with mock.patch.object(ActionBase, "run", return_value={}):
        return plugin.run(task_vars=task_vars)


def report(folder, variables, check=False, **more):
    return act(lost_host, {**REPORT, "evidence_dir": str(folder), **more}, variables, check)


def look(folder, **variables):
    known = {"ansible_host": "127.0.0.1", "patching_device_segments": [], **variables}
    return act(lost_host_info, {"evidence_dir": str(folder), "timeout_s": 1}, known)


def test_a_report_is_recorded_and_the_contact_is_told_again_when_it_is_repeated(tmp_path, pages):
    variables = {"patching_security_contact": pages.url}
    first = report(tmp_path, variables)
    assert (first["changed"], first["notified"], first["problems"]) == (True, True, [])
    again = report(tmp_path, variables)
    assert (again["changed"], again["notified"]) == (False, True)
    assert len(pages.taken) == 2
    assert "It held patient data." in pages.taken[0]


def test_check_mode_writes_nothing_and_tells_nobody(tmp_path, pages):
    found = report(tmp_path, {"patching_security_contact": pages.url}, check=True)
    assert (found["changed"], found["notified"]) == (True, False)
    assert pages.taken == []
    assert list(tmp_path.iterdir()) == []


def test_a_contact_that_cannot_be_told_fails_the_task_but_not_the_report(tmp_path):
    found = report(tmp_path, {"patching_security_contact": "json://127.0.0.1:9/secret"})
    assert found["failed"]
    assert "is recorded, but the security contact was not told" in found["msg"]
    assert "secret" not in str(found)
    assert lost.mark(tmp_path, "ws1").state == "stolen"


def test_without_a_contact_the_report_stands_and_it_is_said_that_nobody_is_told(tmp_path):
    found = report(tmp_path, {})
    assert "failed" not in found
    assert found["problems"] == ["nobody is told: patching_security_contact is not set"]
    assert found["text"][-1] == found["problems"][0]


@pytest.mark.parametrize("change", [{"host": "ws9"}, {"reported_by": ""}, {"time": "now"}])
def test_a_refused_report_is_neither_recorded_nor_told(tmp_path, pages, change):
    found = report(tmp_path, {"patching_security_contact": pages.url}, **change)
    assert found["failed"]
    assert pages.taken == []
    assert list(tmp_path.iterdir()) == []


def test_a_host_that_is_marked_may_not_be_contacted(tmp_path):
    variables = {"ansible_host": "127.0.0.1", "patching_device_segments": []}
    before = act(host_contact, {"evidence_dir": str(tmp_path)}, variables)
    assert (before["allowed"], before["lost"]) == (True, False)
    report(tmp_path, {})
    after = act(host_contact, {"evidence_dir": str(tmp_path)}, variables)
    assert (after["allowed"], after["lost"]) == (False, True)
    assert "Ada Nurse" in after["reason"]
    assert act(host_contact, {"evidence_dir": None}, variables)["allowed"]


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        ({}, False),
        ({"patching_policy": "managed"}, True),
        ({"patching_service": "portal"}, True),
        ({"patching_policy": "managed", "patching_snapshot": None}, True),
        ({"patching_policy": "managed", "patching_snapshot": {"provider": "auto"}}, True),
        ({"patching_policy": "managed", "patching_snapshot": "preserved"}, False),
        ({"patching_policy": "managed", "patching_snapshot": {"provider": "lvm"}}, False),
        ({"patching_policy": "managed", "patching_snapshot": "no such"}, False),
        ({"patching_policy": "observed", "patching_snapshot": "auto"}, False),
    ],
)
def test_what_makes_restore_points_is_asked_of_patched_hosts_whose_site_does_not_say_it(tmp_path, given, asked):
    variables = {"ansible_host": "127.0.0.1", "patching_device_segments": [], **given}
    told = act(host_contact, {"evidence_dir": str(tmp_path)}, variables)
    assert (told["allowed"], told["asks_snapshot_provider"]) == (True, asked)


def test_a_lost_host_that_answers_is_seen_without_a_word_being_sent(tmp_path):
    report(tmp_path, {})
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        found = look(tmp_path, ansible_port=port)
        assert (found["answered"], found["addresses"], found["state"]) == (True, ["127.0.0.1"], "stolen")
        connection, _address = server.accept()
        with connection:
            assert connection.recv(100) == b""
    assert look(tmp_path, ansible_port=port)["answered"] is False


def test_nobody_looks_at_a_host_without_a_mark_or_inside_a_device_segment(tmp_path):
    with mock.patch.object(lost_host_info.socket, "create_connection") as connect:
        assert look(tmp_path)["state"] is None
        report(tmp_path, {})
        found = look(tmp_path, patching_device_segments=["127.0.0.0/8"])
        assert found["answered"] is None
        assert "whether it answers is not known" in found["reason"]
        assert look(tmp_path, patching_policy="vendor_locked")["answered"] is None
    connect.assert_not_called()


def inventory(folder, variables, check=False):
    return act(fleet_inventory, {"evidence_dir": str(folder), "hosts": ["ws1"]}, variables, check)


ANSWERED = {"status": "lost", "answered": True, "time": "2026-11-22T08:00:00Z"}


def alarm(folder, check=False, **variables):
    known = {"ansible_host": "10.20.0.7", "ansible_facts": {"patching_assessment": ANSWERED}, **variables}
    return act(lost_host_alarm, {"evidence_dir": str(folder)}, known, check)


def test_a_stolen_host_that_answered_is_an_alarm_of_the_inventory(tmp_path):
    report(tmp_path, {})
    evidence.Evidence(tmp_path).save_assessment("ws1", ANSWERED)
    found = inventory(tmp_path, {"ansible_host": "10.20.0.7"})
    assert found["alarms"][0]["host"] == "ws1"
    assert found["text"][0].startswith("ALARM  ws1")


def test_a_stolen_host_that_answered_pages_once(tmp_path, pages):
    report(tmp_path, {})
    assert alarm(tmp_path, patching_security_contact=pages.url, ansible_facts={})["alarm"] is None, (
        "it did not answer now"
    )
    assert not alarm(tmp_path, patching_security_contact=pages.url, check=True)["notified"]
    assert pages.taken == []
    assert alarm(tmp_path, patching_security_contact=pages.url)["notified"]
    assert pages.taken == [lost_alarm.alarm("ws1", lost.mark(tmp_path, "ws1"), "10.20.0.7")]


@pytest.mark.parametrize(
    ("contact", "why"),
    [({}, "patching_security_contact is not set"), ({"patching_security_contact": "json://127.0.0.1:9/"}, "page")],
)
def test_an_alarm_that_reached_nobody_fails(tmp_path, contact, why):
    report(tmp_path, {})
    found = alarm(tmp_path, **contact)
    assert found["failed"]
    assert "answers at 10.20.0.7" in found["msg"]
    assert why in found["msg"]
    assert found["msg"].endswith("Call them now.")


def test_there_is_no_alarm_for_a_host_that_nobody_misses(tmp_path, pages):
    assert alarm(tmp_path, patching_security_contact=pages.url)["alarm"] is None
    assert pages.taken == []


def test_a_host_with_a_refused_setting_or_a_damaged_document_is_listed_with_its_problem(tmp_path):
    evidence.write_text(evidence.Evidence(tmp_path).assess_path("ws1"), "{")
    found = inventory(tmp_path, {"patching_windw": "Sun"})
    assert found["summary"] == {"hosts": 1, "up_to_date": 0, "states": {"failed": 1}}
    assert "perhaps patching_window" in found["text"][0]


def test_check_mode_takes_what_assess_did_not_keep(tmp_path):
    fact = {"status": "assessed", "time": "2026-11-22T08:00:00Z", "seen": "2026-11-22T08:00:00Z", "pending": None}
    found = inventory(tmp_path, {"ansible_facts": {"patching_assessment": fact}}, check=True)
    assert found["summary"]["states"] == {"assessed": 1}
    assert not found["changed"]
    assert list(tmp_path.iterdir()) == []
