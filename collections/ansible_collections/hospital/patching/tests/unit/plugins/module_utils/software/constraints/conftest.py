# SPDX-License-Identifier: GPL-3.0-or-later
"""A host under a temporary root: files are written by name, systemctl and apt-config are played."""

import os
from datetime import datetime, timezone

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.runner import Result
from ansible_collections.hospital.patching.plugins.module_utils.software.constraints import registry
from ansible_collections.hospital.patching.plugins.module_utils.software.constraints.look import Look

RECORDED = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(__file__))), "recorded")


class PinnedClock(Clock):
    """Stands still."""

    def now(self):
        return datetime(2026, 11, 25, 12, 0, tzinfo=timezone.utc)


class World:
    """What a test's host has; ``units`` is name → (ActiveState, UnitFileState)."""

    def __init__(self, root):
        self.root = root
        self.units = {}
        self.apt_config = ""
        self.answers = {}
        self.broken = set()
        self.calls = []
        self.host = Host(self, PinnedClock(), str(root), "")

    def run(self, args, timeout_s=300, **_others):
        assert timeout_s <= 30
        self.calls.append(args[0])
        if args[0] in self.broken:
            raise PatchingError(args[0], "exit 1", "exit 0", "correct it")
        if args[0] == "systemctl":
            blocks = [self._unit(name) for name in args[args.index("--") + 1 :]]
            return Result(args, 0, "\n".join(blocks), "")
        if args[0] == "apt-config":
            return Result(args, 0, self.apt_config, "")
        return Result(args, 0, self.answers[args[0]], "")

    def _unit(self, name):
        active, state = self.units.get(name, ("inactive", ""))
        loaded = "loaded" if name in self.units else "not-found"
        return "Id={0}\nNames={0}\nLoadState={1}\nActiveState={2}\nUnitFileState={3}\n".format(
            name, loaded, active, state
        )

    def write(self, name, text=""):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))

    def boot_systemd(self, **units):
        (self.root / "run/systemd/system").mkdir(parents=True, exist_ok=True)
        self.units = units

    def with_apt(self, *lines):
        self.write("usr/bin/apt-config")
        self.apt_config = "\n".join(lines) + "\n"

    def look(self):
        return Look(self.host, registry.unit_names())


@pytest.fixture
def world(tmp_path, monkeypatch):
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    return World(tmp_path)


@pytest.fixture
def recorded():
    def read(name):
        with open(os.path.join(RECORDED, name), encoding="utf-8") as handle:
            return handle.read()

    return read


@pytest.fixture
def effects():
    """Return the pairs of name and effect, which most tests are about."""

    def short(entries):
        return [(entry["name"], entry["effect"]) for entry in entries]

    return short
