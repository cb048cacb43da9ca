# SPDX-License-Identifier: GPL-3.0-or-later
"""Other programs that update this host by themselves: found always, held off while a run holds the host."""

import os
from typing import Any, Dict, List

from ansible_collections.hospital.patching.plugins.module_utils import systemd_units
from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner

#: What may be stopped for a while, and the units that do the work when it fires.
UPDATERS = {
    "apt-daily.timer": ["apt-daily.service"],
    "apt-daily-upgrade.timer": ["apt-daily-upgrade.service"],
    "unattended-upgrades.service": [],
    "dnf-automatic.timer": ["dnf-automatic.service"],
    "dnf-automatic-install.timer": ["dnf-automatic-install.service"],
    "dnf-automatic-download.timer": ["dnf-automatic-download.service"],
}
PROPERTIES = ("Id", "Names", "LoadState", "ActiveState", "SubState", "UnitFileState")
POLL_S = 2
#: Exists exactly where systemd is the init (sd_booted(3)); elsewhere none of these units can fire.
SYSTEMD_MARKER = "/run/systemd/system"


def find(runner: Runner) -> List[Dict[str, Any]]:
    """Return ``{"name", "active", "enabled", "running"}`` for each competing updater on this host.

    ``active``: it may start by itself. ``running``: it is updating right now.
    """
    if not os.path.isdir(SYSTEMD_MARKER):
        return []
    workers = [worker for several in UPDATERS.values() for worker in several]
    units = systemd_units.by_name(runner, list(UPDATERS) + workers, PROPERTIES)
    found = []
    for name, works in UPDATERS.items():
        unit = units.get(name, {})
        if unit.get("LoadState") != "loaded":
            continue
        found.append(
            {
                "name": name,
                "active": unit.get("ActiveState") in ("active", "activating"),
                "enabled": unit.get("UnitFileState") in ("enabled", "enabled-runtime", "static"),
                "running": any(_busy(units.get(worker, {})) for worker in works),
            }
        )
    return found


def active(runner: Runner) -> List[str]:
    """Return the names of those that may start by themselves."""
    return [updater["name"] for updater in find(runner) if updater["active"]]


def suspend(runner: Runner, names: List[str], clock: Clock, wait_s: int) -> None:
    """Stop ``names`` and wait for an update that already runs; it is never killed in the middle.

    Raises:
        PatchingError: one does not stop, or an update still runs after ``wait_s``.
    """
    if names:
        runner.run(["systemctl", "stop", "--"] + list(names))
    deadline = clock.monotonic() + wait_s
    while True:
        running = [updater["name"] for updater in find(runner) if updater["running"]]
        if not running:
            return
        if clock.monotonic() >= deadline:
            raise PatchingError(
                ", ".join(running),
                "another updater is changing packages and did not end within {} s".format(wait_s),
                "a host that nobody else updates",
                "wait until it has ended (systemctl list-jobs; journalctl -f), then run again",
            )
        clock.sleep(POLL_S)


def resume(runner: Runner, names: List[str]) -> List[str]:
    """Start ``names`` again, each on its own, and return those that did not start."""
    failed = []
    for name in names:
        try:
            runner.run(["systemctl", "start", "--", name])
        except PatchingError:
            failed.append(name)
    return failed


def _busy(unit: Dict[str, str]) -> bool:
    """A oneshot service is ``activating`` for as long as it works."""
    return unit.get("ActiveState") in ("active", "activating", "deactivating", "reloading")
