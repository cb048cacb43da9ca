# SPDX-License-Identifier: GPL-3.0-or-later
"""Hooks of a site: what may be said, what is sealed and approved, what a failure means."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import (
    contacts,
    hook_files,
    hook_records,
    hooks,
    resumption,
)
from ansible_collections.hospital.patching.plugins.plugin_utils.history import History, with_estimates
from ansible_collections.hospital.patching.plugins.plugin_utils.plan_html import plan_page
from ansible_collections.hospital.patching.plugins.plugin_utils.plan_text import plan_table
from ansible_collections.hospital.patching.plugins.plugin_utils.settings import effective
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import planned, server

RUN = {"step": "drain", "when": "before", "run": ["/usr/local/bin/ask-theatre", "--site", "main"]}
HOST = "db1"


def one(**more):
    return hooks.read([{**RUN, **more}])[0]


def of_kind(kind, value, **more):
    return hooks.read([{"step": "restart", "when": "after", kind: value, **more}])[0]


# --- settings ----------------------------------------------------------------


def test_a_hook_says_where_it_belongs_what_is_done_and_for_how_long():
    assert one() == {**RUN, "timeout_s": 60}
    # YAML reads an unquoted on as true.
    assert one(timeout_s="5", name="theatre", means="a list runs late") | {True: "lb1"} is not None
    assert hooks.read([{**RUN, True: "lb1"}])[0]["on"] == "lb1"
    assert of_kind("module", "ansible.builtin.uri", arguments={"url": "http://lb1/"})["arguments"] == {
        "url": "http://lb1/"
    }


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("reboot", "a list of hooks"),
        ([["reboot"]], "hooks like {step"),
        ([{"step": "drain", "when": "before"}], "one of run, script, tasks and module"),
        ([{**RUN, "script": "/a"}], "one of run, script, tasks and module"),
        ([{**RUN, "timeout": 5}], "timeout_s"),
        ([{**RUN, "step": "gate"}], "a step of stage, drain, snapshot"),
        ([{**RUN, "when": "during"}], "when: before or when: after"),
        ([{**RUN, "run": []}], "a command after run"),
        ([{**RUN, "run": "reboot"}], "a list of texts"),
        ([{**RUN, "timeout_s": 0}], "a timeout_s of 1 to 3600"),
        ([{**RUN, "timeout_s": 3601}], "a timeout_s of 1 to 3600"),
        ([{**RUN, "on": "a host"}], "a name of letters"),
        ([{**RUN, "arguments": {}}], "one of run, script, tasks and module"),
        ([RUN, RUN], "hooks that differ"),
        ([{"step": "drain", "when": "after", "script": "drain.sh"}], "an absolute path"),
        ([{"step": "drain", "when": "after", "tasks": "/a.yml", "timeout_s": 91}], "longer work belongs in run"),
        ([{"step": "drain", "when": "after", "module": "uri"}], "full name"),
        (
            [{"step": "drain", "when": "after", "module": "a.b.c", "arguments": {"to": [{"url_password": "x"}]}}],
            "arguments without url_password",
        ),
    ],
)
def test_what_is_not_understood_is_refused_and_nothing_of_it_shown(given, expected):
    with pytest.raises(PatchingError, match="patching_hooks of db1") as error:
        effective(HOST, {"patching_hooks": given})
    assert expected in error.value.expected
    assert "ask-theatre" not in str(error.value)


# --- the plan ----------------------------------------------------------------


def fleet(tmp_path, *given, **more):
    candidates = {HOST: server(HOST, "db", min_healthy=0, downtime_s=60, hooks=list(given), **more)}
    return hook_files.sealed(candidates)


def test_a_plan_carries_the_hooks_of_the_service_and_those_of_the_host(tmp_path):
    script = tmp_path / "quiesce.sh"
    script.write_text("#!/bin/sh\nexit 0\n")
    own = {"step": "install", "when": "before", "script": str(script), "name": "quiesce"}
    plan = planned(fleet(tmp_path, RUN, host_hooks=[own])).plan
    found = plan["hosts"][HOST]["hooks"]
    assert found == [one(), {**own, "timeout_s": 60, "sha256": hashlib.sha256(script.read_bytes()).hexdigest()}]
    shown = "before drain: /usr/local/bin/ask-theatre --site main, at most 60 s"
    assert shown in plan_table(plan)
    assert shown in plan_page(plan)
    assert hooks.by_step(plan["hosts"][HOST])["drain"] == {"before": [one()], "after": []}


def test_another_content_of_a_hooks_file_is_another_plan_and_refused_at_run_time(tmp_path):
    script = tmp_path / "quiesce.sh"
    given = {"step": "install", "when": "before", "script": str(script)}
    script.write_text("exit 0\n")
    before = planned(fleet(tmp_path, given)).plan
    hook = before["hosts"][HOST]["hooks"][0]
    hook_files.require_unchanged(HOST, hook)
    script.write_text("rm -rf /\n")
    assert planned(fleet(tmp_path, given)).plan["digest"] != before["digest"]
    with pytest.raises(PatchingError, match=r"hook 'quiesce.sh' of host db1: .*has SHA-256.*plan again"):
        hook_files.require_unchanged(HOST, hook)
    script.unlink()
    with pytest.raises(PatchingError, match="cannot be read"):
        hook_files.require_unchanged(HOST, hook)


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        (None, "cannot be read"),
        ("a: b: c", "is no YAML"),
        ("{}", "holds no tasks"),
        ("- hosts", "holds no tasks"),
        ("- block:\n    - ansible.builtin.command: a\n      delegate_to: pump1\n", "tasks.yml:3 uses delegate_to"),
        # Under host_pinned, with one host at a time, other hosts would miss the task, or end in the middle.
        ("- command: a\n- command: b\n  run_once: true\n", "tasks.yml:3 uses run_once"),
        ("- name: a\n  run_once: '{{ others }}'\n  command: a\n", "tasks.yml:2 uses run_once"),
        ("- run_once: true\n  block:\n    - command: a\n", "tasks.yml:1 uses run_once"),
        ("- command: a\n  any_errors_fatal: true\n", "tasks.yml:2 uses any_errors_fatal"),
        ("- block: [command: a]\n  rescue:\n    - command: b\n      run_once: yes\n", "tasks.yml:4 uses run_once"),
        (
            "- block:\n    - block: [command: a]\n      always:\n        - any_errors_fatal: no\n          raw: a\n",
            "tasks.yml:4 uses any_errors_fatal",
        ),
        ("- &a\n  command: a\n  any_errors_fatal: true\n- <<: *a\n  command: b\n", "tasks.yml:3 uses any_errors_fatal"),
        ("- import_tasks: more.yml\n  run_once: true\n", "tasks.yml:1 uses import_tasks"),
        ("- ansible.builtin.include_tasks: more.yml\n", "uses ansible.builtin.include_tasks"),
        ("- ansible.legacy.import_role: {name: more}\n", "uses ansible.legacy.import_role"),
        ("- local_action: ansible.builtin.command a\n", "uses local_action"),
        ("- action: include_tasks more.yml\n", "uses action: include_tasks"),
        ("- action: !unsafe include_tasks more.yml\n", "uses action: include_tasks"),
        ("- action: {module: ansible.legacy.add_host name=pump1}\n", "uses action: ansible.legacy.add_host"),
        ("- action: \"{{ 'add_host' }} name=pump1\"\n", "uses action: {{"),
        ("- meta: end_host\n", "uses meta"),
        ("- block:\n    - ansible.builtin.meta: end_play\n", "uses ansible.builtin.meta"),
        ("- command: a\n  vars: {ansible_host: pump1}\n", "uses the variable ansible_host"),
        ("- command: a\n  vars: !unsafe {ansible_host: pump1}\n", "uses the variable ansible_host"),
        ("- vars: {ansible_host: pump1}\n  block:\n    - command: a\n", "uses the variable ansible_host"),
        ("- set_fact: {ansible_connection: local}\n", "uses the variable ansible_connection"),
        ("- ansible.builtin.set_fact:\n  args: {ansible_host: pump1}\n", "uses the variable ansible_host"),
        ("- set_fact: {\"ansible{{ '_host' }}\": pump1}\n", "uses the variable ansible{{ '_host' }}"),
        ("- set_fact: ansible_host=pump1\n", "uses set_fact with text"),
        ("- action: set_fact ansible_host=pump1\n", "uses action: set_fact with text"),
        ("- action: {module: set_fact, args: ansible_host=pump1}\n", "uses action: set_fact with text"),
        ("- set_fact:\n  args: '{{ others }}'\n", "uses set_fact with text"),
        ("- command: a\n  loop: [pump1]\n  loop_control: {loop_var: ansible_host}\n", "uses loop_var: ansible_host"),
        ("- command: a\n  register: ansible_host\n", "uses register: ansible_host"),
        ("- &task\n  command: a\n  vars: {one: *task}\n", "uses an alias within its own anchor"),
        ("- include_vars: more.yml\n", "uses include_vars without name"),
        ("- include_vars: {file: more.yml, name: ansible_host}\n", "uses include_vars without name"),
    ],
)
def test_a_file_of_tasks_that_cannot_be_approved_refuses_its_host(tmp_path, text, seen):
    path = tmp_path / "tasks.yml"
    if text is not None:
        path.write_text(text)
    found = planned(fleet(tmp_path, {"step": "verify", "when": "after", "tasks": str(path)})).plan["not_planned"][HOST]
    assert found["outcome"] == "refused"
    assert seen in found["reason"]


def test_a_file_of_tasks_with_tags_of_ansible_is_read(tmp_path):
    path = tmp_path / "tasks.yml"
    path.write_text("- ansible.builtin.command: a\n  vars:\n    one: !vault |\n      6162\n")
    assert planned(fleet(tmp_path, {"step": "verify", "when": "after", "tasks": str(path)})).plan["hosts"][HOST]


@pytest.mark.parametrize(
    "text",
    [
        "- ansible.builtin.command: a\n  register: orders\n  loop: [1]\n  loop_control: {loop_var: order}\n",
        "- ansible.builtin.set_fact: {orders: '{{ ansible_host }}'}\n  when: ansible_facts.os_family == 'Debian'\n",
        "- action: ansible.builtin.command a\n  args: {chdir: /}\n",
        "- ansible.builtin.include_vars: {file: /srv/secrets.yml, name: secrets}\n  no_log: true\n",
        "- community.general.nmcli: {conn_name: a, connection: b, meta: c}\n",
        "- ansible.builtin.command: a\n  vars: {run_once: true}\n",
    ],
)
def test_a_file_of_plain_tasks_is_approved(tmp_path, text):
    path = tmp_path / "tasks.yml"
    path.write_text(text)
    assert HOST in planned(fleet(tmp_path, {"step": "verify", "when": "after", "tasks": str(path)})).plan["hosts"]


@pytest.mark.parametrize(
    ("known", "seen"), [({}, "does not know"), ({"policy": "vendor_locked", "drain": None}, "a medical device")]
)
def test_a_hook_is_not_done_on_a_host_that_may_not_be_contacted(tmp_path, known, seen):
    candidates = fleet(tmp_path, {**RUN, "on": "pump1"})
    if known:
        candidates["pump1"] = server("pump1", "pumps", min_healthy=0, downtime_s=60, **known)
    reason = planned(candidates).plan["not_planned"][HOST]["reason"]
    assert "a hook of it is done on pump1" in reason
    assert seen in reason


def test_the_gate_asks_for_every_host_of_a_hook():
    variables = {"patching_device_segments": ["10.9.0.0/16"], "patching_service": "db", "patching_policy": "managed"}
    hostvars = {HOST: {**variables, "ansible_host": "10.1.0.1"}, "lb1": {**variables, "ansible_host": "10.9.0.1"}}
    others = hooks.hosts_of([one(), one(on="lb1"), one(on="localhost")])
    assert others == ["lb1"]
    found = contacts.journey(HOST, None, hostvars, others)
    assert (found.allowed, found.reason.split(":")[0]) == (False, "lb1")


def test_the_worst_case_has_the_limits_of_hooks_in_it(tmp_path):
    plain = server(HOST, "db")
    given = hooks.read([one(timeout_s=100), of_kind("run", ["a"], timeout_s=7), {**RUN, "step": "stage"}])
    hooked = replace(plain, settings=replace(plain.settings, hooks=given))
    before, after = (with_estimates({HOST: each}, History())[HOST].settings for each in (plain, hooked))
    # Each command may clean up for 10 s, and its answer be on its way for 30 s.
    assert after.estimate_s - before.estimate_s == 100 + 7 + 2 * 40
    assert after.way_back_s - before.way_back_s == 7 + 40
    others = [of_kind("module", "a.b.c", timeout_s=9), of_kind("tasks", "/a.yml", timeout_s=5)]
    assert hooks.longest_s(others) == (14, 14), "these are ended by Ansible at their limit"


def test_what_was_learned_has_the_limits_of_hooks_added():
    plain = server(HOST, "db")
    given = hooks.read([one(timeout_s=100), of_kind("script", "/a", timeout_s=600)])
    hooked = replace(plain, settings=replace(plain.settings, hooks=given[:1], host_hooks=given[1:]))
    slow = {step: {HOST: [2000] * 3} for step in ("install", "restart")}
    for known in (
        History({HOST: [400] * 3}, {HOST: [500] * 3}),  # nights that all went well
        History({HOST: [400] * 3}, {HOST: [9000]}),  # one way back that was long
        History({HOST: [400] * 3}, steps=slow),  # steps that were slow
    ):
        before, after = (with_estimates({HOST: each}, known)[HOST] for each in (plain, hooked))
        assert after.settings.estimate_s - before.settings.estimate_s == 100 + 600 + 2 * 40
        assert after.settings.way_back_s - before.settings.way_back_s == 600 + 40
        assert after.estimated_by == before.estimated_by


# --- counterparts ------------------------------------------------------------

CLOSE = {**RUN, "name": "close"}
OPEN = {"step": "return", "when": "before", "run": ["open"], "undoes": "close"}


@pytest.mark.parametrize(
    ("named", "counterpart"),
    [
        (("drain", "before"), ("return", "before")),
        (("drain", "after"), ("verify", "before")),
        (("snapshot", "before"), ("verify", "after")),
        (("install", "after"), ("return", "after")),
        (("stage", "before"), ("stage", "after")),
    ],
)
def test_a_counterpart_stands_where_it_is_done_whatever_becomes_of_the_host(tmp_path, named, counterpart):
    given = [
        {**CLOSE, "step": named[0], "when": named[1]},
        {**OPEN, "step": counterpart[0], "when": counterpart[1]},
    ]
    plan = planned(fleet(tmp_path, *given)).plan
    assert [one.get("undoes") for one in plan["hosts"][HOST]["hooks"]] == [None, "close"]
    assert "undoes close" in plan_table(plan)


@pytest.mark.parametrize(
    ("given", "seen"),
    [
        ([OPEN], "it undoes 'close', a name that 0 of its hooks have"),
        ([CLOSE, {**CLOSE, "step": "install"}, OPEN], "a name that 2 of its hooks have"),
        # On the way back nothing was restarted, perhaps; and neither stage nor install is part of it.
        ([CLOSE, {**OPEN, "step": "restart"}], "it stands before restart, and 'close' before drain"),
        ([CLOSE, {**OPEN, "step": "install"}], "it stands before install, and 'close' before drain"),
        ([{**CLOSE, "step": "stage"}, OPEN], "it stands before return, and 'close' before stage"),
        ([{**CLOSE, "step": "stage", "when": "after"}, OPEN], "and 'close' after stage"),
        ([{**CLOSE, "step": "verify"}, OPEN], "and 'close' before verify"),
        ([{**OPEN, "name": "close"}], "it stands before return, and 'close' before return"),
    ],
)
def test_a_counterpart_of_nothing_or_in_a_wrong_place_refuses_its_host(tmp_path, given, seen):
    found = planned(fleet(tmp_path, *given)).plan["not_planned"][HOST]
    assert found["outcome"] == "refused"
    assert seen in found["reason"]


def test_what_was_begun_last_is_undone_first():
    entry = {"hooks": [*hooks.read([CLOSE, {**CLOSE, "name": "b"}, OPEN, {**OPEN, "undoes": "b"}])]}
    assert [one["undoes"] for one in hooks.counterparts(entry)["drain"]] == ["b", "close"]
    assert hooks.counterparts(entry)["stage"] == hooks.counterparts({})["drain"] == []
    assert hooks.undone_by(entry, entry["hooks"][3]) == entry["hooks"][1]
    assert hooks.undone_by(entry, entry["hooks"][0]) is None


def test_a_counterpart_is_owed_from_its_hooks_begin_until_it_is_done():
    close, back = hooks.read([CLOSE, OPEN])

    def owed(*records, hook=close):
        return hook_records.is_owed(records, HOST, hook, back)

    refused = hooked("failed", close)  # its file had changed: it never began
    assert not owed()
    assert not owed(refused)
    for told in (hooked("begin", close), hooked("begin", close, way_back=True)):
        assert owed(told)
        assert owed(told, hooked("done", close))
        assert owed(told, hooked("failed", close))
        assert owed(told, hooked("begin", back, way_back=True))
        assert owed(told, hooked("failed", back, way_back=True))
        assert not owed(told, hooked("done", back, way_back=True))
        assert owed(told, hooked("done", back), told)
        assert not owed(told, RELEASED)
        assert not owed(told, record("record", "outcome", outcome="refused"))
        assert not owed({**told, "host": "db2"})
    staged = one(step="stage", name="close")
    assert owed(hooked("begin", staged), record("record", "outcome", outcome="refused"), hook=staged)


def test_a_counterpart_that_fails_is_never_told_only():
    assert not hook_records.is_told_only(one(step="verify"), True, undo=True)


# --- the run -----------------------------------------------------------------


def record(step, event, **detail):
    return {"host": HOST, "step": step, "event": event, "detail": detail}


def hooked(event, hook, way_back=False, **more):
    return record("hook", event, **hook_records.detail_of(HOST, hook, way_back), **more)


RELEASED = record("return", "done", module="hospital.patching.host_journal")


def test_a_hook_is_done_once_in_a_journey_forward_and_once_on_the_way_back():
    hook = of_kind("run", ["a"])
    begun = [hooked("begin", hook)]
    assert not hook_records.is_done(begun, HOST, hook, False)
    done = [*begun, hooked("done", hook)]
    assert hook_records.is_done(done, HOST, hook, False)
    assert not hook_records.is_done(done, HOST, hook, True)
    assert not hook_records.is_done(done, HOST, of_kind("run", ["b"]), False)
    assert not hook_records.is_done([*done, RELEASED], HOST, hook, False)
    assert not hook_records.is_done([*done, record("record", "outcome", outcome="stuck")], HOST, hook, False)


def test_the_hooks_of_a_stage_are_done_at_each_stage():
    hook = one(step="stage")
    assert not hook_records.is_done([hooked("done", hook)], HOST, hook, False)


@pytest.mark.parametrize(
    ("step", "when", "goes_back"),
    [
        ("drain", "before", False),
        ("drain", "after", True),
        ("snapshot", "before", True),
        ("verify", "after", True),
        ("return", "before", False),
        ("return", "after", False),
    ],
)
def test_a_host_whose_hook_failed_stays_on_its_way_back_when_the_run_is_started_again(step, when, goes_back):
    hook = one(step=step, when=when)
    records = [record("health_before", "done", verdict="ok", probes=[]), hooked("failed", hook, msg="theatre is busy")]
    taken = resumption.taken(records, HOST)
    assert taken is not None
    assert taken.failed == ("theatre is busy" if goes_back else None)


def test_on_the_way_back_a_failed_hook_of_restart_or_verify_is_told_only():
    assert hook_records.is_told_only(one(step="restart"), True)
    assert not hook_records.is_told_only(one(step="restart"), False)
    assert not hook_records.is_told_only(one(step="return"), True)


@pytest.mark.parametrize(
    ("result", "took_ms", "seen"),
    [
        ({"rc": 3, "stderr": "patient list\nlag 40 MB\n"}, 70_000, "exit 3: lag 40 MB; "),
        ({"rc": 1, "stdout": "see https://bob:geheim@lb1/x"}, 900, "exit 1: see https://***@lb1/x; "),
        ({"rc": 124, "stderr": "Terminated"}, 60_000, "no end after 60 s; "),
        ({"rc": 137}, 70_100, "no end after 60 s; "),
        # Something else killed it, or it says so itself.
        ({"rc": 137, "stderr": "Killed"}, 59_999, "exit 137: Killed; "),
        ({"rc": 124}, 800, "exit 124; "),
        ({"msg": "time is up", "timedout": {"period": 60}}, 10, "no end after 60 s; "),
        ({}, 70_000, "it failed; "),
    ],
)
def test_a_failed_hook_tells_how_it_ended_and_its_last_line_only(result, took_ms, seen):
    text = str(hook_records.error_of(HOST, one(means="the list runs late.", on="lb1"), result, took_ms))
    assert f"of host db1 on lb1: {seen}" in text
    assert "the list runs late; correct what it names" in text
    assert "patient" not in text


def test_a_command_is_ended_on_the_host_and_a_module_by_ansible():
    assert hooks.call(one(timeout_s=5)) == {
        "module": "ansible.builtin.command",
        "arguments": {"argv": ["timeout", "--kill-after=10", "5", *RUN["run"]]},
        "limit_s": 45,
    }
    script = hooks.call(of_kind("script", "/a b.sh"))
    assert script["arguments"] == {"cmd": "'/a b.sh'", "executable": "timeout --kill-after=10 60"}
    assert hooks.call(of_kind("module", "a.b.c", timeout_s=9))["limit_s"] == 9
    assert hooks.call(of_kind("tasks", "/a.yml"))["module"] == ""
