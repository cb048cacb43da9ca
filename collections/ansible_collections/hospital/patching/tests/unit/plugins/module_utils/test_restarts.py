# SPDX-License-Identifier: GPL-3.0-or-later
"""Restarts after an installation: once, never the excluded, and what is left is owed."""

import calendar
import json
import os
import time

import pytest

from ansible_collections.hospital.patching.plugins.module_utils import transaction, transient_scope
from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.hidden_processes import Hidden
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


def hidden(pid, unit, *words, started_s=10):
    return Hidden(pid, "x", unit, started_s, list(words))


class Processes:
    """The process table of a host; a restarted unit's processes are no longer stale."""

    def __init__(self):
        self.found = []
        self.unseen = []
        self.left, self.links = (), ()
        self.logins = set()
        self.is_veiled = False
        self.survivors = set()
        self.starts = {}
        self.ours = {4242}
        self.our_unit = "ssh.service"
        self.sticky = set()

    def stale(self):
        return sorted(self.found)

    def hidden(self):
        return self.unseen

    def own_logins(self):
        return self.logins

    def veiled(self):
        return self.is_veiled

    def started_s(self, pid):
        return self.starts.get(pid, 10)

    def ancestors(self):
        return self.ours

    def unit_of(self, _pid):
        return self.our_unit

    def restarted(self, unit):
        self.found = [one for one in self.found if one.unit != unit or unit in self.sticky or one.pid in self.ours]
        self.unseen = [
            one._replace(pid=one.pid + 1000, started_s=ENDED + 1)
            if one.unit == unit and one.pid not in self.survivors
            else one
            for one in self.unseen
        ]


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
        self.after = {}
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
        return "Id={}\nMainPID={}\nKillMode={}\nActiveState={}\nSubState=x\nAfter={}\n".format(
            name, self.main.get(name, 0), self.kill_mode, state, self.after.get(name, "")
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
    def call(what=None, names=(), reload=(), check=False, ended=ENDED, before=None, order=(), boots_unattended=False):
        what = what or wanted()
        directory = root / "state/stage" / transaction.short_name(what)
        directory.mkdir(parents=True, exist_ok=True)
        if ended:
            (directory / "after.json").write_text(json.dumps({"ended": ended}))
        if before:
            (directory / "before.json").write_text(json.dumps(before))
        files = Apt(Host(systemctl, Clock(), str(root), str(root / "state"))).files
        restarts = Restarts(systemctl, Clock(), str(root), str(root / "state"), processes, files)
        return restarts.run("R1", what, list(names), list(reload), check, order, boots_unattended)

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


def test_units_among_the_paths_of_packages():
    paths = {"a": ["/lib/systemd/system/a.service", "/etc/systemd/system/own.service"], "b": ["/usr/bin/b"]}
    assert shipped_units(paths) == {"a.service": "a"}


def test_removed_packages_ship_nothing(run, systemctl, root):
    (root / "var/lib/dpkg/info/nginx-common.list").write_text("/lib/systemd/system/nginx.service\n")
    systemctl.main = {"nginx.service": 20}
    assert run(wanted("nginx-common", to=None))["restarted"] == []


POSTGRES = "/usr/lib/postgresql/15/bin/postgres"


@pytest.mark.parametrize("shipped", [POSTGRES, POSTGRES[len("/usr") :]])
def test_a_hidden_process_whose_program_was_replaced_is_restarted(run, processes, systemctl, root, shipped):
    """As PostgreSQL in a container, whose root may not see what its processes run."""
    (root / "var/lib/dpkg/info/postgresql-15.list").write_text(shipped + "\n")
    processes.unseen = [
        hidden(20, "postgresql@15-main.service", POSTGRES, "-D", "/var/lib/postgresql"),
        hidden(21, "postgresql@15-main.service", "postgres:", "checkpointer"),
    ]
    result = run(wanted("postgresql-15"))
    assert systemctl.calls == ["daemon-reload", "restart postgresql@15-main.service"]
    assert result["restarted"][0]["reason"] == (
        "x (20) has {} on its command line, which package postgresql-15 has replaced".format(POSTGRES)
    )
    assert result["owed"] == []
    again = run(wanted("postgresql-15"))
    assert (again["changed"], again["owed"]) == (False, [])


def test_a_folder_or_a_setting_on_a_command_line_is_no_code(run, processes, root):
    """Packages list the folders of their files too, /etc among them."""
    setting, script = root / "proc/mime.types", root / "proc/main.py"
    setting.write_text("")
    script.write_text("")
    (root / "var/lib/dpkg/info/tzdata.list").write_text("/etc\n{}\n".format(setting))
    (root / "var/lib/dpkg/info/app.list").write_text("{}\n".format(script))
    processes.unseen = [
        hidden(20, "backup.service", "/usr/bin/restic", "backup", "/etc"),
        hidden(30, "agent.service", "/opt/agent", "-m", str(setting)),
        hidden(40, "app.service", "/usr/bin/python3", str(script)),
    ]
    result = run(wanted("tzdata", "app"))
    assert units(result["restarted"]) == ["app.service"]
    assert units(result["owed"]) == ["backup.service", "agent.service"]


def test_what_outlived_the_restart_of_its_unit_is_owed(run, processes, root):
    (root / "var/lib/dpkg/info/cron.list").write_text("/usr/sbin/cron\n")
    processes.unseen = [hidden(20, "cron.service", "/usr/sbin/cron"), hidden(21, "cron.service", "job")]
    processes.survivors = {21}
    result = run(wanted("cron"))
    assert units(result["restarted"]) == ["cron.service"]
    assert [(one["unit"], one["pid"]) for one in result["owed"]] == [("cron.service", 21)]


def test_the_manager_of_our_own_login_is_not_owed(run, processes):
    processes.unseen = [hidden(20, "user@1000.service", "/lib/systemd/systemd"), hidden(30, "user@33.service", "x")]
    processes.logins = {"user@1000.service"}
    assert units(run()["owed"]) == ["user@33.service"]


def test_that_processes_are_not_even_listed_is_owed(run, processes):
    processes.is_veiled = True
    assert run(ended=None)["owed"] == []
    assert "hidepid" in run()["owed"][0]["reason"]


def test_any_other_hidden_process_that_began_before_is_owed(run, processes, systemctl):
    processes.unseen = [
        hidden(20, "app.service", "/opt/app/run"),
        hidden(21, "app.service", "/opt/app/work"),
        hidden(30, None, "agent"),
        hidden(40, "young.service", "/usr/bin/young", started_s=ENDED + 1),
        hidden(4242, "ssh.service", "python3"),
    ]
    result = run()
    assert systemctl.calls == []
    assert [(one["unit"], one["pid"]) for one in result["owed"]] == [("app.service", 20), (None, 30)]
    assert result["owed"][0]["reason"] == (
        "x (20) and 1 more runs since 1970-01-01T00:00:10Z, and root may not see what it runs: "
        "it lacks CAP_SYS_PTRACE, or a security module forbids it"
    )


def test_nothing_was_installed_so_that_hidden_processes_owe_nothing(run, processes):
    processes.unseen = [hidden(20, "app.service", "/opt/app/run")]
    assert run(ended=None)["owed"] == []


@pytest.fixture
def changed(root):
    """Declared software was changed by this run, at a moment that its journal knows."""
    record = Journal(str(root / "state")).append("R1", "install", "done", installed=[])
    return calendar.timegm(time.strptime(record["time"], "%Y-%m-%dT%H:%M:%SZ"))


def test_hidden_processes_of_a_version_no_longer_in_use_are_restarted_once(run, processes, systemctl, root, changed):
    link = root / "current"
    link.symlink_to("2")
    processes.left, processes.links = ("/opt/viewer/1/",), (str(link),)
    processes.unseen = [
        hidden(20, "viewer.service", "/opt/viewer/1/serve", started_s=changed),
        hidden(30, "linked.service", str(link / "serve"), started_s=changed - 10),
        hidden(40, "young.service", str(link / "serve"), started_s=changed + 60),
        hidden(50, "other.service", "/opt/other", started_s=changed - 10),
        hidden(60, "postgresql@15-main.service", POSTGRES, started_s=ENDED + 1),
    ]
    (root / "var/lib/dpkg/info/postgresql-15.list").write_text(POSTGRES + "\n")
    result = run(wanted("postgresql-15"))
    assert units(result["restarted"]) == ["linked.service", "viewer.service"]
    assert "serve on its command line, which leads to another version now" in result["restarted"][0]["reason"]
    assert "/opt/viewer/1/serve on its command line, which is of a version" in result["restarted"][1]["reason"]
    # The database began after its package was installed, and may still have read what was declared before that changed.
    assert units(result["owed"]) == ["other.service", "postgresql@15-main.service"]


def test_a_restarted_process_that_is_younger_than_the_change_is_settled(run, processes, systemctl, changed):
    processes.left = ("/opt/viewer/1/",)
    processes.unseen = [hidden(20, "viewer.service", "/opt/viewer/2/serve", started_s=changed + 1)]
    assert (run()["changed"], run()["owed"]) == (False, [])


def test_a_hidden_session_is_no_reason_to_restart_its_daemon(run, processes, systemctl, root):
    (root / "var/lib/dpkg/info/openssh-server.list").write_text("/usr/sbin/sshd\n")
    systemctl.main = {"ssh.service": 37}
    processes.starts = {37: ENDED + 1}
    processes.unseen = [hidden(99, "ssh.service", "sshd:", "patient@pts/0", "/usr/sbin/sshd")]
    result = run(wanted("openssh-server"))
    assert result["restarted"] == []
    assert units(result["owed"]) == ["ssh.service"]


def test_a_hidden_process_of_an_excluded_unit_is_owed_once(run, processes, systemctl, root):
    (root / "var/lib/dpkg/info/dbus-daemon.list").write_text("/usr/bin/dbus-daemon\n")
    processes.unseen = [hidden(33, "dbus.service", "/usr/bin/dbus-daemon", "--system")]
    (owed,) = run(wanted("dbus-daemon"))["owed"]
    assert "has replaced; every service talks through it" in owed["reason"]


def test_without_systemd_hidden_processes_are_owed_too(run, processes, root):
    (root / "run/systemd/system").rmdir()
    processes.unseen = [hidden(20, None, "daemon")]
    assert [one["pid"] for one in run()["owed"]] == [20]


def test_units_are_restarted_in_the_sites_order_then_after_what_they_need(run, processes, systemctl):
    processes.found = [
        process(number, unit + ".service") for number, unit in enumerate(("app", "cache", "db", "queue", "web"), 20)
    ]
    systemctl.after = {"app.service": "basic.target db.service", "cache.service": "app.service"}
    run(order=["queue.service", "absent.service"])
    assert systemctl.calls == ["daemon-reload"] + [
        "restart {}.service".format(unit) for unit in ("queue", "db", "app", "cache", "web")
    ]


def test_units_that_wait_for_each_other_are_restarted_all_the_same(run, processes, systemctl):
    processes.found = [process(20, "a.service"), process(21, "b.service")]
    systemctl.after = {"a.service": "b.service", "b.service": "a.service"}
    assert units(run()["restarted"]) == ["a.service", "b.service"]


@pytest.mark.parametrize("unattended", [False, True])
def test_a_host_that_waits_for_a_passphrase_is_not_rebooted_but_restarted(run, processes, systemctl, root, unattended):
    (root / "run/.containerenv").unlink()
    (root / "etc").mkdir()
    (root / "etc/crypttab").write_text("root UUID=1 none luks\n")
    processes.found = [process(20, "nginx.service"), process(50, None, "agent")]
    result = run(wanted("libc6"), boots_unattended=unattended)
    assert result["reboot_required"] == {"required": unattended, "reasons": ["libc changed (libc6 2)"]}
    assert units(result["restarted"]) == ([] if unattended else ["nginx.service"])
    told = [one["reason"] for one in result["owed"]]
    assert told == (
        []
        if unattended
        else [
            "a reboot is owed (libc changed (libc6 2)), and is never automatic here: "
            "it will wait for the passphrase of root",
            "agent (50) runs the replaced /usr/lib/x86_64-linux-gnu/libssl.so.3; it belongs to no unit",
        ]
    )
