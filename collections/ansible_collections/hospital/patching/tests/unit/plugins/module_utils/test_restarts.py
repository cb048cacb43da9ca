# SPDX-License-Identifier: GPL-3.0-or-later
"""Restarts after an installation: once, never the excluded, and what is left is owed."""

import json
import os

import pytest

from ansible_collections.hospital.patching.plugins.module_utils import transaction, transient_scope
from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.journal import Journal
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.apt import Apt
from ansible_collections.hospital.patching.plugins.module_utils.policy_rc_d import MARKER
from ansible_collections.hospital.patching.plugins.module_utils.replaced_files import Process
from ansible_collections.hospital.patching.plugins.module_utils.restarts import Restarts, shipped_units, template_of
from ansible_collections.hospital.patching.plugins.module_utils.runner import Result

LIBSSL = ["/usr/lib/x86_64-linux-gnu/libssl.so.3"]
ENDED = 1000


def process(pid, unit, command="x", files=None):
    return Process(pid, command, unit, 10, files or LIBSSL)


class Processes:
    """The process table of a host; a restarted unit's processes are no longer stale."""

    def __init__(self):
        self.found = []
        self.starts = {}
        self.ours = {4242}
        self.our_unit = "ssh.service"
        self.sticky = set()

    def stale(self):
        return sorted(self.found)

    def started_s(self, pid):
        return self.starts.get(pid, 10)

    def ancestors(self):
        return self.ours

    def unit_of(self, _pid):
        return self.our_unit

    def restarted(self, unit):
        self.found = [one for one in self.found if one.unit != unit or unit in self.sticky or one.pid in self.ours]


@pytest.fixture(autouse=True)
def entered(monkeypatch):
    """The scope that outlives the session has tests of its own; here only that it is entered first, or not at all."""
    calls = []
    monkeypatch.setattr(transient_scope, "enter", lambda *args: calls.append(args))
    return calls


class Systemctl:
    def __init__(self, processes):
        self.processes = processes
        self.main = {}
        self.kill_mode = "control-group"
        self.broken = set()
        self.falls_over = set()
        self.calls = []

    def run(self, args, check=True, **_others):
        assert args[0] == "systemctl"
        verb = args[1]
        if verb == "list-units":
            return Result(args, 0, "".join(name + " loaded active running x\n" for name in self.main), "")
        names = args[args.index("--") + 1 :] if "--" in args else []
        if verb == "show":
            return Result(args, 0, "\n".join(self._block(name) for name in names), "")
        self.calls.append(" ".join([verb] + names))
        if verb == "daemon-reexec":
            self.processes.restarted("init.scope")
        for name in names:
            if name in self.broken:
                return Result(args, 1, "", "Job for {} failed.".format(name))
            if verb == "restart":
                self.processes.restarted(name)
        return Result(args, 0, "", "")

    def _block(self, name):
        state = "failed" if name in self.falls_over else "active"
        return "Id={}\nMainPID={}\nKillMode={}\nActiveState={}\nSubState=x\n".format(
            name, self.main.get(name, 0), self.kill_mode, state
        )


@pytest.fixture
def processes():
    return Processes()


@pytest.fixture
def systemctl(processes):
    return Systemctl(processes)


@pytest.fixture
def root(tmp_path):
    for name in ("run/systemd/system", "var/lib/dpkg/info", "usr/sbin", "proc/1", "state"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "run/.containerenv").write_text("")
    return tmp_path


def wanted(*names, to="2"):
    entries = [
        {
            "name": n,
            "arch": "amd64",
            "from": "1",
            "to": to,
            "sha256": None,
            "size_bytes": 0,
            "origin": None,
            "automatic": False,
        }
        for n in names or ("libssl3",)
    ]
    return transaction.build("h", "apt", None, entries)


@pytest.fixture
def run(root, processes, systemctl):
    def call(what=None, names=(), reload=(), check=False, ended=ENDED, before=None):
        what = what or wanted()
        directory = root / "state/stage" / transaction.short_name(what)
        directory.mkdir(parents=True, exist_ok=True)
        if ended:
            (directory / "after.json").write_text(json.dumps({"ended": ended}))
        if before:
            (directory / "before.json").write_text(json.dumps(before))
        files = Apt(Host(systemctl, Clock(), str(root), str(root / "state"))).files
        restarts = Restarts(systemctl, Clock(), str(root), str(root / "state"), processes, files)
        return restarts.run("R1", what, list(names), list(reload), check)

    return call


def units(items):
    return [item["unit"] for item in items]


def test_units_that_run_replaced_files_are_restarted_once(run, processes, systemctl, root):
    processes.found = [
        process(20, "nginx.service", "nginx"),
        process(21, "nginx.service", "nginx"),
        process(30, "cron.service"),
    ]
    result = run()
    assert systemctl.calls == ["daemon-reload", "restart cron.service", "restart nginx.service"]
    assert result["changed"] is True
    assert result["restarted"][1]["reason"] == "nginx (20) runs the replaced /usr/lib/x86_64-linux-gnu/libssl.so.3"
    assert (result["owed"], result["failed_units"]) == ([], [])
    assert [record["event"] for record in Journal(str(root / "state")).read()] == ["begin", "done"]


def test_a_second_call_does_nothing(run, processes, systemctl, root):
    processes.found = [process(20, "nginx.service")]
    run()
    del systemctl.calls[:]
    result = run()
    assert (result["changed"], systemctl.calls) == (False, [])
    assert len(Journal(str(root / "state")).read()) == 2


def test_pid_1_is_executed_anew_before_the_others(run, processes, systemctl):
    processes.found = [process(1, "init.scope", "systemd"), process(20, "cron.service")]
    result = run()
    assert systemctl.calls == ["daemon-reexec", "restart cron.service"]
    assert [item["how"] for item in result["restarted"]] == ["reexec", "restart"]


def test_running_units_of_changed_packages_are_restarted(run, processes, systemctl, root):
    (root / "var/lib/dpkg/info/nginx-common.list").write_text(
        "/lib/systemd/system/nginx.service\n/usr/share/x.service\n"
    )
    systemctl.main = {"nginx.service": 20, "cron.service": 30}
    result = run(wanted("nginx-common"))
    assert [(item["unit"], item["reason"]) for item in result["restarted"]] == [
        ("nginx.service", "its package nginx-common was changed")
    ]


def test_a_part_that_went_back_is_restarted_and_only_that(run, systemctl, root):
    """What was recorded lies under the digest of the whole transaction."""
    what = wanted("nginx-common", "cron", "libc6")
    for name in ("nginx", "cron"):
        package = "cron" if name == "cron" else "nginx-common"
        (root / "var/lib/dpkg/info" / (package + ".list")).write_text("/lib/systemd/system/{}.service\n".format(name))
    systemctl.main = {"nginx.service": 20, "cron.service": 30}
    preserved = root / "state/preserved" / transaction.short_name(what)
    preserved.mkdir(parents=True)
    (preserved / "after.json").write_text(json.dumps({"ended": ENDED}))
    result = run(what, names=["nginx-common"], ended=None)
    assert units(result["restarted"]) == ["nginx.service"]
    # libc stays as it was installed, which was told then.
    assert result["reboot_required"]["required"] is False


def test_a_part_that_is_not_in_the_transaction_is_refused(run, systemctl):
    with pytest.raises(PatchingError, match="bash: not in this transaction"):
        run(names=["bash"])
    assert systemctl.calls == []


def test_instances_of_a_changed_template_too(run, systemctl, root):
    (root / "var/lib/dpkg/info/postgresql-common.list").write_text("/usr/lib/systemd/system/postgresql@.service\n")
    systemctl.main = {"postgresql@15-main.service": 20}
    assert units(run(wanted("postgresql-common"))["restarted"]) == ["postgresql@15-main.service"]


def test_what_was_started_after_the_installation_is_left_alone(run, processes, systemctl, root):
    (root / "var/lib/dpkg/info/nginx-common.list").write_text("/lib/systemd/system/nginx.service\n")
    systemctl.main = {"nginx.service": 20}
    processes.starts = {20: ENDED + 1}
    assert run(wanted("nginx-common"))["restarted"] == []


@pytest.mark.parametrize(("pid", "ended"), [(0, ENDED), (20, None)])
def test_units_without_a_process_or_an_installation_are_left_alone(run, systemctl, root, pid, ended):
    (root / "var/lib/dpkg/info/nginx-common.list").write_text("/lib/systemd/system/nginx.service\n")
    systemctl.main = {"nginx.service": pid}
    assert run(wanted("nginx-common"), ended=ended)["restarted"] == []


def test_excluded_units_are_owed_with_their_reason(run, processes, systemctl):
    processes.found = [process(33, "dbus.service"), process(40, "session-3.scope"), process(50, None, "agent")]
    result = run()
    assert (result["changed"], systemctl.calls) == (False, [])
    assert units(result["owed"]) == ["dbus.service", "session-3.scope", None]
    assert "every service talks through it" in result["owed"][0]["reason"]
    assert "it is a user's session" in result["owed"][1]["reason"]
    assert "it belongs to no unit" in result["owed"][2]["reason"]


def test_a_unit_may_be_reloaded_instead(run, processes, systemctl):
    processes.found = [process(20, "haproxy.service")]
    result = run(reload=["haproxy.service"])
    assert systemctl.calls == ["daemon-reload", "reload haproxy.service"]
    assert result["restarted"][0]["how"] == "reload"
    assert "it still does after its reload" in result["owed"][0]["reason"]


def test_a_unit_that_stays_stale_is_owed(run, processes):
    processes.found = [process(20, "nginx.service")]
    processes.sticky = {"nginx.service"}
    assert "it still does after its restart" in run()["owed"][0]["reason"]


def test_our_own_session_survives(run, processes, systemctl):
    processes.found = [
        process(37, "ssh.service", "sshd"),
        process(4242, "ssh.service", "python3"),
        process(99, "ssh.service"),
    ]
    processes.sticky = set()
    systemctl.main = {"ssh.service": 37}
    systemctl.kill_mode = "process"
    result = run()
    assert units(result["restarted"]) == ["ssh.service"]
    assert 4242 not in [item["pid"] for item in result["owed"]]


def test_sessions_of_a_daemon_are_no_reason_to_restart_it(run, processes, systemctl):
    processes.found = [process(99, "ssh.service", "sshd")]
    systemctl.main = {"ssh.service": 37}
    result = run()
    assert result["restarted"] == []
    assert "a session that began before; it ends by itself" in result["owed"][0]["reason"]


def test_a_restart_that_would_end_this_very_run_is_owed(run, processes, systemctl):
    processes.our_unit = "agent.service"
    processes.found = [process(20, "agent.service")]
    result = run()
    assert systemctl.calls == []
    assert "its restart would end this run's own session" in result["owed"][0]["reason"]


def test_a_unit_that_does_not_come_back_does_not_stop_the_others(run, processes, systemctl, root):
    processes.found = [process(20, "a.service"), process(30, "b.service"), process(40, "c.service")]
    systemctl.broken = {"a.service"}
    systemctl.falls_over = {"b.service"}
    result = run()
    assert result["failed_units"] == [
        {"unit": "a.service", "reason": "restart failed: Job for a.service failed."},
        {"unit": "b.service", "reason": "it is failed (x)"},
    ]
    assert units(result["restarted"]) == ["b.service", "c.service"]
    assert [record["event"] for record in Journal(str(root / "state")).read()] == ["begin", "failed"]


def test_the_work_outlives_the_session(run, entered):
    run()
    assert len(entered) == 1


def test_check_mode_restarts_nothing(run, processes, systemctl, root, entered):
    processes.found = [process(20, "nginx.service")]
    result = run(check=True)
    assert entered == []
    assert (result["changed"], systemctl.calls) == (False, [])
    assert "not predictable" in result["note"]
    assert not os.path.exists(str(root / "state/journal.jsonl"))


def test_before_a_reboot_nothing_is_restarted(run, processes, systemctl):
    processes.found = [process(20, "nginx.service")]
    result = run(wanted("libc6"))
    assert result["reboot_required"] == {"required": True, "reasons": ["libc changed (libc6 2)"]}
    assert (systemctl.calls, result["restarted"]) == ([], [])
    assert "the reboot restarts everything" in result["note"]


def test_after_the_reboot_it_is_settled(run, processes):
    processes.starts = {1: ENDED + 50}
    assert run(wanted("libc6"))["reboot_required"]["required"] is False


def test_a_reboot_that_was_owed_before_says_so(run, root):
    (root / "run/reboot-required").write_text("")
    before = {"reboot_required": ["/run/reboot-required is set"]}
    assert run(before=before)["reboot_required"]["reasons"] == ["/run/reboot-required is set (owed before this run)"]


def test_without_systemd_everything_is_owed(run, processes, systemctl, root):
    (root / "run/systemd/system").rmdir()
    processes.found = [process(20, None, "daemon"), process(4242, None, "python3")]
    result = run()
    assert [item["pid"] for item in result["owed"]] == [20]
    assert "systemd does not run here" in result["owed"][0]["reason"]


def test_a_policy_file_that_a_crash_left_is_removed(run, root):
    path = root / "usr/sbin/policy-rc.d"
    path.write_text(MARKER)
    run()
    assert not path.exists()


def test_another_runs_host_is_left_alone(run, processes, systemctl, root):
    processes.found = [process(20, "nginx.service")]
    Journal(str(root / "state")).append("R0", "lock", "held")
    with pytest.raises(PatchingError, match="held by run R0"):
        run()
    assert systemctl.calls == []


def test_templates():
    assert template_of("postgresql@15-main.service") == "postgresql@.service"
    assert template_of("nginx.service") == "nginx.service"


def test_removed_packages_ship_nothing():
    def files(entries):
        return {entry["name"]: ["/lib/systemd/system/{name}.service".format(**entry)] for entry in entries}

    gone, here = ({"name": name, "arch": "all", "from": "1", "to": to} for name, to in (("a", None), ("b", "2")))
    assert shipped_units(files, [gone, here]) == {"b.service": "b"}
