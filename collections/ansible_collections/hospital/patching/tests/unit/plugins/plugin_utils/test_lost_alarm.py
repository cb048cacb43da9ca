# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.hospital.patching.plugins.plugin_utils import lost_alarm
from ansible_collections.hospital.patching.plugins.plugin_utils.lost import Mark, Report
from ansible_collections.hospital.patching.plugins.plugin_utils.paging import Sent

REPORT = Report("ws1", "stolen", "Ada Nurse", "2026-11-22T07:00:00Z", "ward 3", "unknown", "the door was open")
FOUND = Report("ws1", "found", "Ben Guard", "2026-11-22T07:30:00Z", reason="installed anew")


@pytest.mark.parametrize(
    ("data", "said"), [("yes", "It held patient data."), ("no", "held no patient data"), ("unknown", "is not known")]
)
def test_the_notice_says_what_the_contact_must_know(data, said):
    notice = lost_alarm.notice(replace(REPORT, patient_data=data))
    assert said in notice
    assert all(word in notice for word in ("ws1", "stolen", "Ada Nurse", "ward 3", "2026-11-22T07:00:00Z"))
    assert "installed anew" in lost_alarm.notice(FOUND)


def test_the_alarm_names_the_address_and_the_next_step():
    alarm = lost_alarm.alarm("ws1", Mark("stolen", "reported stolen by Ada", {}), "10.20.0.7")
    assert alarm.startswith("ALARM: ws1, reported stolen by Ada, answers at 10.20.0.7")


@pytest.mark.parametrize(
    ("contact", "problems", "urls"),
    [
        (None, ["nobody is told: patching_security_contact is not set"], None),
        ({"a": 1}, ["patching_security_contact is not text that is not empty, or a list of such"], None),
        ("json://a/", [], ("json://a/",)),
        (["json://a/", "json://b/"], [], ("json://a/", "json://b/")),
    ],
)
def test_who_is_told(contact, problems, urls):
    asked = []

    def page(given, message, setting):
        asked.append((given, message, setting))
        return Sent(True, [])

    assert lost_alarm.tell(contact, "gone", page) == problems
    assert asked == ([(urls, "gone", "patching_security_contact")] if urls else [])


@pytest.mark.parametrize(
    ("variables", "port"),
    [
        ({}, 22),
        ({"ansible_port": 2222}, 2222),
        ({"ansible_port": "{{ x }}"}, 22),
        ({"ansible_port": 70000}, 22),
        ({"ansible_ssh_port": "2200"}, 2200),
        ({"ansible_connection": "winrm"}, 5986),
    ],
)
def test_the_port_at_which_it_would_be_logged_in(variables, port):
    assert lost_alarm.login_port(variables) == port
