# SPDX-License-Identifier: GPL-3.0-or-later
"""Doubles shared by the tests of host-side code."""

import pytest

from ansible_collections.hospital.patching.plugins.module_utils import competing_updaters
from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.runner import Result


class ScriptedSystemd:
    """A runner whose ``systemctl`` keeps units; the texts are as systemd 252 prints them."""

    def __init__(self, **states):
        self.states = {name.replace("__", "."): state for name, state in states.items()}
        self.broken = set()
        self.calls = []
        self.on_show = None
        #: What other commands answer, by their words: exit code and output; and what was asked of them.
        self.answers = {}
        self.others = []

    def run(self, args, **_others):
        if args[0] != "systemctl":
            self.others.append(list(args))
            return Result(args, *self.answers[" ".join(args)], "")
        self.calls.append(list(args[1:]))
        verb, names = args[1], args[args.index("--") + 1 :]
        if verb == "show":
            if self.on_show:
                self.on_show()
            return Result(args, 0, "\n".join(self._block(name) for name in names), "")
        for name in names:
            if name in self.broken:
                raise PatchingError("systemctl {}".format(verb), "exit 1", "exit 0", "correct it")
            self.states[name] = "active" if verb == "start" else "inactive"
        return Result(args, 0, "", "")

    def _block(self, name):
        state = self.states.get(name.replace("-", "_"), self.states.get(name))
        loaded = "not-found" if state is None else "loaded"
        lines = ["Id=" + name, "Names=" + name, "LoadState=" + loaded, "ActiveState=" + (state or "inactive")]
        return "\n".join(lines + ["SubState=x", "UnitFileState=" + ("enabled" if state else "")]) + "\n"

    def changes(self):
        return [call for call in self.calls if call[0] != "show"]


class SleeplessClock(Clock):
    """Time passes only by sleeping."""

    def __init__(self):
        self.elapsed = 0.0

    def monotonic(self):
        return self.elapsed

    def sleep(self, seconds):
        self.elapsed += seconds


@pytest.fixture
def systemd(monkeypatch, tmp_path):
    """Pretend that systemd is the init, with both timers of apt waiting."""
    monkeypatch.setattr(competing_updaters, "SYSTEMD_MARKER", str(tmp_path))
    monkeypatch.setattr(competing_updaters, "ROOT", str(tmp_path))
    double = ScriptedSystemd()
    double.states = {
        "apt-daily.timer": "active",
        "apt-daily-upgrade.timer": "active",
        "apt-daily.service": "inactive",
        "apt-daily-upgrade.service": "inactive",
    }
    return double


@pytest.fixture
def sleepless_clock():
    return SleeplessClock()
