# SPDX-License-Identifier: GPL-3.0-or-later
"""Work that outlives its controller."""

import os

import pytest

from ansible_collections.hospital.patching.plugins.module_utils import transient_scope
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.runner import Result


class Manager:
    """busctl and systemctl of a host on which an earlier call may hold the scope."""

    def __init__(self, answers):
        self.answers = answers
        self.calls = []

    def run(self, args, **_others):
        self.calls.append(args[0:2] + args[-1:])
        return Result(args, self.answers.pop(0) if args[0] == "busctl" else 0, "", "")


@pytest.fixture
def root(tmp_path, monkeypatch):
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    monkeypatch.setattr(transient_scope.signal, "signal", lambda *_args: None)
    monkeypatch.setattr(transient_scope, "_ENTERED", [])
    return str(tmp_path)


def test_without_systemd_the_work_stays_in_the_session(tmp_path, root, sleepless_clock):
    manager = Manager([])
    assert transient_scope.enter(manager, sleepless_clock, 5, str(tmp_path / "elsewhere")) is False
    assert manager.calls == []


def test_the_process_moves(root, sleepless_clock):
    assert transient_scope.enter(Manager([0]), sleepless_clock, 5, root) is True


def test_an_empty_scope_of_an_earlier_call_is_cleared(root, sleepless_clock, monkeypatch):
    monkeypatch.setattr(transient_scope, "workers", lambda proc: [])
    manager = Manager([1, 0])
    assert transient_scope.enter(manager, sleepless_clock, 5, root) is True
    assert manager.calls[1] == ["systemctl", "stop", transient_scope.NAME]
    assert sleepless_clock.elapsed == 0


def test_without_a_bus_the_work_is_done_all_the_same(root, sleepless_clock, monkeypatch):
    monkeypatch.setattr(transient_scope, "workers", lambda proc: [])
    assert transient_scope.enter(Manager([1, 1]), sleepless_clock, 5, root) is False


def test_an_earlier_call_is_awaited(root, sleepless_clock, monkeypatch):
    monkeypatch.setattr(transient_scope, "workers", lambda proc: [42] if sleepless_clock.elapsed < 3 else [])
    manager = Manager([1, 1, 1, 1, 0])
    assert transient_scope.enter(manager, sleepless_clock, 60, root) is True
    assert sleepless_clock.elapsed == 3


def test_an_earlier_call_that_does_not_end_is_named_and_never_killed(root, sleepless_clock, monkeypatch):
    monkeypatch.setattr(transient_scope, "workers", lambda proc: [42])
    manager = Manager([1] * 10)
    with pytest.raises(PatchingError, match=r"an earlier call \(process 42\) is still at work after 3 s"):
        transient_scope.enter(manager, sleepless_clock, 3, root)
    assert all(call[0] == "busctl" for call in manager.calls)


def test_a_process_that_has_entered_never_clears_its_own_scope_away(root, sleepless_clock):
    manager = Manager([0])
    assert transient_scope.enter(manager, sleepless_clock, 5, root) is True
    assert transient_scope.enter(manager, sleepless_clock, 5, root) is True
    assert len(manager.calls) == 1


def test_the_work_of_containers_on_this_host_is_none_of_ours(tmp_path):
    """Their scopes have the same name, and their processes are seen here too."""
    for pid, namespace in (("self", "pid:[1]"), ("41", "pid:[1]"), ("42", "pid:[2]")):
        (tmp_path / pid / "ns").mkdir(parents=True)
        os.symlink(namespace, str(tmp_path / pid / "ns/pid"))
        (tmp_path / pid / "cgroup").write_text("0::/system.slice/{}\n".format(transient_scope.NAME))
    (tmp_path / "43").mkdir()
    (tmp_path / "43/cgroup").write_text("0::/system.slice/{}\n".format(transient_scope.NAME))
    assert sorted(transient_scope.workers(str(tmp_path))) == [41, 43], "one that cannot be told counts"
