# SPDX-License-Identifier: GPL-3.0-or-later
"""Other programs that update this host by themselves: found always, held off while a run holds the host.

What can be stopped for a while and started again is suspended; jobs of cron are
only observed. Fleet and configuration managers are among ``constraints`` of the
assessment: nobody here stops what a central server steers.
"""

import os
import re
from typing import Any, Dict, Iterator, List

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
    "dnf5-automatic.timer": ["dnf5-automatic.service"],
    "yum-cron.service": [],
    # SUSE: openSUSE's MicroOS and SLE Micro, os-update, PackageKit's own.
    "transactional-update.timer": ["transactional-update.service"],
    "os-update.timer": ["os-update.service"],
    "packagekit-background.timer": ["packagekit-background.service"],
    "packagekit.service": [],
}
#: These work while they are active, so they are stopped only once they are idle.
ASKED_WHILE_ACTIVE = "packagekit.service"
#: Asks PackageKit for what it is doing: ``ao 0`` when that is nothing.
TRANSACTIONS = [
    "busctl",
    "--system",
    "call",
    "org.freedesktop.PackageKit",
    "/org/freedesktop/PackageKit",
    "org.freedesktop.PackageKit",
    "GetTransactionList",
]
#: snapd refreshes by itself; that is held for a while, by its own means, which end by themselves.
SNAPD, SNAPD_UNIT, SNAP_HOLD = "snapd", "snapd.service", "24h"
#: What a site does about those that may start by themselves.
POLICIES = ("suspend", "refuse", "observe")

PROPERTIES = ("Id", "Names", "LoadState", "ActiveState", "SubState", "UnitFileState")
POLL_S = 2
#: Exists exactly where systemd is the init (sd_booted(3)); elsewhere none of these units can fire.
SYSTEMD_MARKER = "/run/systemd/system"
ROOT = "/"
#: Where cron(8), Debian's and cronie, looks for jobs.
CRON_PLACES = (
    "etc/crontab",
    "etc/cron.d",
    "etc/cron.hourly",
    "etc/cron.daily",
    "etc/cron.weekly",
    "etc/cron.monthly",
    "var/spool/cron",
    "var/spool/cron/crontabs",
)
_CRON_LIMIT_BYTES = 65536
_CHANGES = re.compile(
    r"\b(?:unattended-upgrades?|cron-apt|yum-cron|dnf5?-automatic|dnf5? automatic|transactional-update|snap refresh"
    r"|(?:apt|apt-get|aptitude|dnf5?|yum|microdnf|zypper|pkcon)\b[^#;|&\n]*?"
    r"\s(?:upgrade|full-upgrade|dist-upgrade|safe-upgrade|install|update|up|patch|dup|dist-sync|distro-sync))\b"
)
#: These only refresh lists.
_REFRESHES = re.compile(r"\b(?:apt|apt-get|aptitude)\b[^#;|&\n]*?\supdate\b")


def find(runner: Runner) -> List[Dict[str, Any]]:
    """Return ``{"name", "kind", "active", "enabled", "running"}`` for each competing updater on this host.

    ``active``: it may start by itself. ``running``: it is updating right now.
    ``kind`` is ``unit``, ``snapd``, or ``cron`` for a job that is only observed.
    """
    return _units(runner) + [_updater(name, "cron", True, True, False) for name in cron_jobs(ROOT)]


def _updater(name: str, kind: str, active: bool, enabled: bool, running: bool) -> Dict[str, Any]:
    return {"name": name, "kind": kind, "active": active, "enabled": enabled, "running": running}


def _units(runner: Runner) -> List[Dict[str, Any]]:
    if not os.path.isdir(SYSTEMD_MARKER):
        return []
    workers = [worker for several in UPDATERS.values() for worker in several]
    units = systemd_units.by_name(runner, list(UPDATERS) + workers + [SNAPD_UNIT], PROPERTIES)
    found = []
    for name, works in UPDATERS.items():
        unit = units.get(name, {})
        if unit.get("LoadState") != "loaded":
            continue
        active = unit.get("ActiveState") in ("active", "activating")
        enabled = unit.get("UnitFileState") in ("enabled", "enabled-runtime", "static")
        running = any(_busy(units.get(worker, {})) for worker in works)
        if name == ASKED_WHILE_ACTIVE:
            running = active and _has_transactions(runner)
        found.append(_updater(name, "unit", active, enabled, running))
    snapd = units.get(SNAPD_UNIT, {})
    if snapd.get("LoadState") == "loaded" and snapd.get("ActiveState") == "active":
        found.append(_updater(SNAPD, "snapd", not _snaps_held(runner), True, _snaps_change(runner)))
    return found


def active(runner: Runner) -> List[str]:
    """Return the names of those that may start by themselves and can be suspended."""
    return suspendable(find(runner))


def suspendable(found: List[Dict[str, Any]]) -> List[str]:
    """Return the names of those that may start by themselves and can be suspended."""
    return [updater["name"] for updater in found if updater["active"] and updater["kind"] != "cron"]


def refuse_active(found: List[Dict[str, Any]]) -> None:
    """Refuse a host on which others may change packages, for a site whose policy says so.

    Raises:
        PatchingError: naming them.
    """
    names = [updater["name"] for updater in found if updater["active"]]
    if names:
        raise PatchingError(
            ", ".join(names),
            "it may update this host by itself",
            "no competing updater, by patching_competing_updaters: refuse",
            "disable it on this host, or set patching_competing_updaters to suspend or observe",
        )


def suspend(runner: Runner, names: List[str], clock: Clock, wait_s: int) -> None:
    """Stop ``names`` and wait for an update that already runs; it is never killed in the middle.

    Raises:
        PatchingError: one does not stop, or an update still runs after ``wait_s``.
    """
    at_once = [name for name in names if name not in (ASKED_WHILE_ACTIVE, SNAPD)]
    if at_once:
        runner.run(["systemctl", "stop", "--"] + at_once)
    if SNAPD in names:
        runner.run(["snap", "refresh", "--hold=" + SNAP_HOLD])
    deadline = clock.monotonic() + wait_s
    while True:
        running = [updater["name"] for updater in find(runner) if updater["running"]]
        if not running:
            break
        if clock.monotonic() >= deadline:
            raise PatchingError(
                ", ".join(running),
                "another updater is changing packages and did not end within {} s".format(wait_s),
                "a host that nobody else updates",
                "wait until it has ended (systemctl list-jobs; journalctl -f), then run again",
            )
        clock.sleep(POLL_S)
    if ASKED_WHILE_ACTIVE in names:
        runner.run(["systemctl", "stop", "--", ASKED_WHILE_ACTIVE])


def resume(runner: Runner, names: List[str]) -> List[str]:
    """Start ``names`` again, each on its own, and return those that did not start."""
    failed = []
    for name in names:
        try:
            runner.run(["snap", "refresh", "--unhold"] if name == SNAPD else ["systemctl", "start", "--", name])
        except PatchingError:
            failed.append(name)
    return failed


def _busy(unit: Dict[str, str]) -> bool:
    """A oneshot service is ``activating`` for as long as it works."""
    return unit.get("ActiveState") in ("active", "activating", "deactivating", "reloading")


def _has_transactions(runner: Runner) -> bool:
    """One that does not answer counts as at work: it is never stopped in the middle."""
    try:
        answer = runner.run(TRANSACTIONS, timeout_s=30, check=False)
    except PatchingError:
        return True
    return answer.rc != 0 or answer.stdout.split()[:2] != ["ao", "0"]


def _snaps_held(runner: Runner) -> bool:
    """Return whether a refresh is held already: by the site, which is left as it is, or by this run."""
    told = _snap(runner, ["snap", "refresh", "--time"])
    return any(line.startswith("next:") and line.endswith("(but held)") for line in told)


def _snaps_change(runner: Runner) -> bool:
    """Return whether a change is at work; without any, ``snap changes`` says so as an error."""
    rows = [line.split() for line in _snap(runner, ["snap", "changes"])]
    return any(len(row) > 1 and row[0].isdigit() and row[1] in ("Do", "Doing", "Undo", "Undoing") for row in rows)


def _snap(runner: Runner, command: List[str]) -> List[str]:
    try:
        return runner.run(command, timeout_s=30, check=False).stdout.splitlines()
    except PatchingError:
        return []


def cron_jobs(root: str) -> List[str]:
    """Return the files of cron that change packages, by name; commands may hold secrets and are not kept."""
    found = []
    for place in CRON_PLACES:
        for path in _files(os.path.join(root, place)):
            if any(_updates(line) for line in _lines(path)):
                found.append("/" + os.path.relpath(path, root))
    return sorted(set(found))


def _updates(line: str) -> bool:
    told = _REFRESHES.sub("", line)
    return not line.lstrip().startswith("#") and bool(_CHANGES.search(told))


def _files(path: str) -> Iterator[str]:
    if os.path.isfile(path):
        yield path
        return
    try:
        names = sorted(os.listdir(path))
    except OSError:
        return
    for name in names:
        inside = os.path.join(path, name)
        # cron itself leaves alone what editors and package managers put aside.
        if os.path.isfile(inside) and not name.startswith(".") and "dpkg-" not in name and not name.endswith("~"):
            yield inside


def _lines(path: str) -> List[str]:
    try:
        with open(path, "rb") as handle:
            return handle.read(_CRON_LIMIT_BYTES).decode("utf-8", "replace").splitlines()
    except OSError:
        return []
