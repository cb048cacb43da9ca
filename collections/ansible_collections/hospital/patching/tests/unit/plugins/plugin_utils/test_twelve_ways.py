# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways in which a patch breaks an application while its unit stays active, as the comparison sees them.

Each is a pair of readings of one host; the unit is active in all of them. Those
that :func:`becomes` changes are found by the comparison alone, while the probe
itself says ok. Of those that :func:`fails` changes only the comparison is shown
here; that the probe says so of a real server needs one: pages, processes, logs,
clock and commands have it in the probes' own tests, a service that flaps or that
systemd starts again and again needs the lab.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.hospital.patching.plugins.plugin_utils.figures import TIERS, Numbers
from ansible_collections.hospital.patching.plugins.plugin_utils.health import compare, fit_to_start

Readings = dict[str, dict[str, Any]]
UNIT = "ris.service"


def host() -> Readings:
    """Return a healthy host's readings by the probe's name."""
    listening = ["tcp 0.0.0.0:22", "tcp 0.0.0.0:443", "tcp 0.0.0.0:104"]
    mount = {"source": "/dev/vdb", "type": "xfs", "read_only": False}
    values: dict[str, tuple[str, Any]] = {
        "builtin-units": ("units", {"failed": [], "named": [], "units": {}, "enabled": {UNIT: "active (running)"}}),
        "builtin-ports": ("ports", {"listening": listening, "named": []}),
        "builtin-mounts": ("mounts", {"mounts": {"/srv/images": mount}, "named": []}),
        "url-1": ("http", {"status": 200, "latency_ms": 40, "bytes": 800}),
        "ris": ("systemd", {"failed": [], "failed_units": 0, "restarts": {UNIT: 0}}),
        "workers": ("process", {"count": 4, "owners": {"ris": 4}}),
        "errors": ("log", {"inode": 2, "offset": 900, "mark": 7}),
        "disks": ("disk", {"disks": {"/srv/images": {"free_percent": 40, "inodes_free_percent": 60}}}),
        "memory": ("memory", {"available_percent": 50, "swap_used_percent": 0}),
        "load": ("load", {"load_percent": 20}),
        "clock": ("time", {"synchronised": True, "offset_ms": 1, "by": "chronyc"}),
        "replica": ("command", {"exit_code": 0}),
        "database": ("postgresql", {"latency_ms": 3, "lag_ms": 0}),
    }
    return {
        name: {"name": name, "type": kind, "target": name, "verdict": "ok", "detail": "fine", "value": value}
        for name, (kind, value) in values.items()
    }


def fails(probe: str, detail: str, **value: Any) -> Callable[[Readings], None]:
    """Return what makes a probe itself say that it failed."""

    def change(readings: Readings) -> None:
        readings[probe].update(verdict="failed", detail=detail)
        readings[probe]["value"].update(value)

    return change


def becomes(probe: str, *path: str, value: Any) -> Callable[[Readings], None]:
    """Return what changes a part of a probe's value, while the probe itself says ok."""

    def change(readings: Readings) -> None:
        part = readings[probe]["value"]
        for key in path[:-1]:
            part = part[key]
        part[path[-1]] = value

    return change


#: Name, what it does to the readings, and of which probe the finding is.
WAYS = [
    ("an error page with status 200", fails("url-1", "the text does not match"), "url-1"),
    ("it answers with an error", fails("url-1", "status 503, expected 200", status=503), "url-1"),
    ("it answers, far too slowly", becomes("url-1", "latency_ms", value=30000), "url-1"),
    ("it dies and is started again and again", becomes("ris", "restarts", UNIT, value=3), "ris"),
    ("it does not last", fails("url-1", "flapping: not ok in 1 of 7 readings: status 503"), "url-1"),
    (
        "one of its ports is not listened on",
        becomes("builtin-ports", "listening", value=["tcp 0.0.0.0:22"]),
        "builtin-ports",
    ),
    (
        "it listens on the loopback address only",
        becomes("builtin-ports", "listening", value=["tcp 0.0.0.0:22", "tcp 127.0.0.1:443", "tcp 0.0.0.0:104"]),
        "builtin-ports",
    ),
    ("its data is not mounted", becomes("builtin-mounts", "mounts", value={}), "builtin-mounts"),
    (
        "its data is read-only",
        becomes("builtin-mounts", "mounts", "/srv/images", "read_only", value=True),
        "builtin-mounts",
    ),
    ("its workers are gone", fails("workers", "1 running, expected at least 4", count=1), "workers"),
    ("it runs as another user", fails("workers", "running as root, expected ris", owners={"root": 4}), "workers"),
    ("it logs errors", fails("errors", "9 new lines match 'ERROR'", matches=9, lines=[1, 2, 3]), "errors"),
    ("it fills the disk", becomes("disks", "disks", "/srv/images", "free_percent", value=1), "disks"),
    ("it uses up the inodes", becomes("disks", "disks", "/srv/images", "inodes_free_percent", value=0), "disks"),
    ("it eats the memory", becomes("memory", "available_percent", value=1), "memory"),
    ("it spins", becomes("load", "load_percent", value=1900), "load"),
    ("the clock is not kept any more", fails("clock", "the clock is not synchronised", offset_ms=None), "clock"),
    ("its replica falls behind", becomes("database", "lag_ms", value=4000000), "database"),
    ("the site's own check fails", fails("replica", "exit code 2, expected 0", exit_code=2), "replica"),
]


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize(("way", "change", "probe"), WAYS, ids=[way[0] for way in WAYS])
def test_what_a_patch_breaks_is_caught(way: str, change: Callable[[Readings], None], probe: str, tier: int) -> None:
    before, after = host(), copy.deepcopy(host())
    change(after)
    compared = compare([*before.values()], [*after.values()], Numbers.of(tier))
    assert compared.verdict == "failed", way
    assert {finding["probe"] for finding in compared.findings if finding["verdict"] == "failed"} == {probe}
    # Nothing of it is blamed on the patch when it was so before.
    assert compare([*after.values()], [*after.values()], Numbers.of(tier)).verdict == "ok"


def test_a_reading_that_is_missing_does_not_pass() -> None:
    for name in host():
        after = host()
        del after[name]
        assert compare([*host().values()], [*after.values()]).verdict == "inconclusive"


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("seed", range(12))
def test_no_healthy_host_is_called_failed_in_twenty_runs(seed: int, tier: int) -> None:
    chance = random.Random(seed)
    for _run in range(20):
        before, after = (_living(host(), chance) for _reading in range(2))
        assert fit_to_start([*before.values()], numbers=Numbers.of(tier)) is None
        assert compare([*before.values()], [*after.values()], Numbers.of(tier)).verdict == "ok"


def _living(readings: Readings, chance: random.Random) -> Readings:
    """Return a healthy host's readings as they vary from one minute to the next."""
    readings["url-1"]["value"]["latency_ms"] = chance.randint(2, 450)
    readings["database"]["value"].update(latency_ms=chance.randint(1, 50), lag_ms=chance.randint(0, 2000))
    readings["load"]["value"]["load_percent"] = chance.randint(0, 90)
    readings["memory"]["value"].update(available_percent=chance.randint(30, 60), swap_used_percent=chance.randint(0, 9))
    readings["clock"]["value"]["offset_ms"] = chance.randint(0, 20)
    readings["disks"]["value"]["disks"]["/srv/images"]["free_percent"] = chance.randint(38, 41)
    return readings
