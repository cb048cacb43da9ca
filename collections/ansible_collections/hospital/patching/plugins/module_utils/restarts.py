# SPDX-License-Identifier: GPL-3.0-or-later
"""After an installation: restart once what runs replaced files, and say what is owed."""

import json
import os
from typing import Any, Callable, Dict, List, Optional, Sequence

from ansible_collections.hospital.patching.plugins.module_utils import (
    boot_passphrase,
    hidden_processes,
    reboot_required,
    restart_order,
    systemd_units,
    transaction,
    transient_scope,
)
from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock, seconds_of
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.hold_check import refuse_other_holder
from ansible_collections.hospital.patching.plugins.module_utils.journal import Journal
from ansible_collections.hospital.patching.plugins.module_utils.policy_rc_d import PolicyRcD
from ansible_collections.hospital.patching.plugins.module_utils.replaced_files import Process, ProcessTable
from ansible_collections.hospital.patching.plugins.module_utils.restart_exclusions import reason_not_to_restart
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner

#: Gives by name the paths of the packages of entries (PackageManager.files).
Files = Callable[[List[Dict[str, Any]]], Dict[str, List[str]]]
#: Where packages ship their units.
UNIT_DIRECTORIES = ("/lib/systemd/system/", "/usr/lib/systemd/system/")
#: PID 1 belongs to no service; it is executed anew in place.
INIT_SCOPE = "init.scope"
#: Users' sessions may outlive this daemon's restart inside its unit where no login manager moves them.
SESSION_HOLDERS = ("ssh.service", "sshd.service")
RESTART_TIMEOUT_S = 300
#: For how long an earlier call that is still at work is awaited.
WAIT_S = 3600


def template_of(unit: str) -> str:
    """Return ``name@.service`` for an instance ``name@instance.service``, else the unit itself."""
    stem, at, rest = unit.partition("@")
    return "{}@.{}".format(stem, rest.rsplit(".", 1)[-1]) if at else unit


def shipped_units(paths: Dict[str, List[str]]) -> Dict[str, str]:
    """Return the service units among the packages' paths, each with its package."""
    found = {}
    for name, shipped in paths.items():
        for path in shipped:
            if path.startswith(UNIT_DIRECTORIES) and path.endswith(".service"):
                found[os.path.basename(path)] = name
    return found


class Restarts:
    """One call of ``update_restart``."""

    def __init__(
        self, runner: Runner, clock: Clock, root: str, state_dir: str, processes: ProcessTable, files: Files
    ) -> None:
        self.runner = runner
        self.files = files
        self.clock = clock
        self.root = root
        self.state_dir = state_dir
        self.processes = processes
        self.journal = Journal(state_dir, clock)
        self.run_id = ""
        #: Processes at which root may not look, from before the restarts.
        self.suspects: List[hidden_processes.Hidden] = []
        self.restarted: List[Dict[str, Any]] = []
        self.failed: List[Dict[str, str]] = []
        self.owed: List[Dict[str, Any]] = []

    def run(
        self,
        run_id: str,
        wanted: Dict[str, Any],
        names: List[str],
        reload: List[str],
        check: bool,
        order: Sequence[str] = (),
        boots_unattended: bool = False,
    ) -> Dict[str, Any]:
        """Return the shape of ``update_restart``'s RETURN; a unit that did not come back is under ``failed``.

        Only ``names`` of the transaction were changed (empty: all of it); what was recorded is found by all of it.
        Units of ``order`` come first and in that order. A host that will wait for a disk passphrase owes its reboot,
        unless it ``boots_unattended``.
        """
        transaction.validate(wanted)
        self.run_id = run_id
        entries = transaction.part(wanted, names)
        if not check:
            # A call that lost its connection may still restart units: what is read meanwhile is stale.
            transient_scope.enter(self.runner, self.clock, WAIT_S, self.root)
        refuse_other_holder(self.journal, run_id)
        reboot = self.reboot(wanted, entries)
        if check:
            return self._result(reboot, note="not predictable in check mode")
        if reboot["required"] and not boots_unattended:
            reboot = self._owe_reboot(reboot)
        PolicyRcD(self.root).remove()
        if reboot["required"]:
            return self._result(reboot, note="nothing was restarted, because the reboot restarts everything")
        if not systemd_units.booted(self.root):
            self._owe_all(wanted, "systemd does not run here")
            return self._result(reboot)
        todo = self._find(wanted, entries)
        if todo:
            self.journal.append(run_id, "restart", "begin", transaction=wanted["digest"], units=sorted(todo))
            self._work(todo, reload, order)
            event = "failed" if self.failed else "done"
            self.journal.append(
                run_id, "restart", event, transaction=wanted["digest"], restarted=self.restarted, failed=self.failed
            )
        self._owe_rest(wanted)
        return self._result(reboot)

    def reboot(self, wanted: Dict[str, Any], entries: List[Dict[str, Any]]) -> Dict[str, Any]:
        """Return ``{required, reasons}`` for ``entries``; what was owed before this transaction says so."""
        before = self._record("stage", "before.json", wanted).get("reboot_required", [])
        # What the transaction changed is settled once the host was started after it.
        began = self._ended(wanted)
        settled = began is not None and self.processes.started_s(1) > began
        reasons = [] if settled else reboot_required.of_transaction(entries, self.root, wanted["manager"])
        for reason in reboot_required.flag_reasons(self.root) + reboot_required.kernel_reasons(self.root):
            reasons.append(reason + (reboot_required.OWED_BEFORE if reason in before else ""))
        return {"required": bool(reasons), "reasons": reasons}

    def _owe_reboot(self, reboot: Dict[str, Any]) -> Dict[str, Any]:
        """Leave a reboot to a person where one has to be there; what can be restarted is restarted instead."""
        waits = boot_passphrase.reason(self.root)
        if waits is None:
            return reboot
        told = "a reboot is owed ({}), and is never automatic here: {}".format("; ".join(reboot["reasons"]), waits)
        self.owed.append({"unit": None, "pid": None, "reason": told})
        return dict(reboot, required=False)

    def _record(self, kind: str, name: str, wanted: Dict[str, Any]) -> Dict[str, Any]:
        try:
            path = os.path.join(self.state_dir, kind, transaction.short_name(wanted), name)
            with open(path, encoding="utf-8") as handle:
                return dict(json.load(handle))
        except (OSError, ValueError):
            return {}

    def _ended(self, wanted: Dict[str, Any]) -> Optional[int]:
        """Return when the package manager last ended its work on this transaction, forward or back."""
        times = [self._record(kind, "after.json", wanted).get("ended") for kind in ("stage", "preserved")]
        return max([int(time) for time in times if time is not None], default=None)

    def _find(self, wanted: Dict[str, Any], entries: List[Dict[str, Any]]) -> Dict[str, str]:
        """Return the units to restart, each with the reason."""
        todo: Dict[str, str] = {}
        ended = self._ended(wanted)
        paths = self.files([entry for entry in entries if entry["to"] is not None]) if ended is not None else {}
        shipped = shipped_units(paths)
        for service in self._active_services() if shipped else []:
            package = shipped.get(service["Id"]) or shipped.get(template_of(service["Id"]))
            main = int(service["MainPID"] or 0)
            if package and main and self.processes.started_s(main) <= (ended or 0):
                todo[service["Id"]] = "its package {} was changed".format(package)
        reasons = [(process.pid, process.unit, _runs_replaced(process)) for process in self.processes.stale()]
        self.suspects = self._hidden(wanted)
        if self.suspects:
            changed = hidden_processes.Changed(paths, ended or 0, self.processes.left, self.processes.links)
            told = [(one.pid, one.unit, changed.reason(one)) for one in self.suspects]
            reasons += [(pid, unit, why) for pid, unit, why in told if why]
        ours = self.processes.ancestors()
        for pid, unit, reason in reasons:
            if pid == 1:
                todo[INIT_SCOPE] = reason
            elif unit in SESSION_HOLDERS:
                # All else in it are sessions, ours among them, which a restart of the daemon leaves alone.
                if self._daemon(unit).get("MainPID") == str(pid):
                    todo.setdefault(unit, reason)
            elif unit and pid not in ours:
                todo.setdefault(unit, reason)
        for name in sorted(todo):
            refusal = None if name == INIT_SCOPE else reason_not_to_restart(name) or self._would_end_us(name)
            if refusal:
                self.owed.append({"unit": name, "pid": None, "reason": "{}; {}".format(todo.pop(name), refusal)})
        return todo

    def _hidden(self, wanted: Dict[str, Any]) -> List[hidden_processes.Hidden]:
        """Return the processes that may run what was changed, and cannot be asked."""
        limit_s = self._changed_until(wanted)
        if limit_s is None:
            return []
        ours, logins = self.processes.ancestors(), self.processes.own_logins()
        return [
            one
            for one in self.processes.hidden()
            if one.started_s <= limit_s and one.pid not in ours and one.unit not in logins
        ]

    def _changed_until(self, wanted: Dict[str, Any]) -> Optional[int]:
        """Return when packages or declared software were last changed by this run; None when nothing was."""
        times = [self._ended(wanted)]
        if self.processes.left:
            records = [record for record in self.journal.read() if record["run_id"] == self.run_id]
            times += [
                seconds_of(record["time"])
                for record in records
                if record["step"] in ("install", "rollback") and record["event"] in ("done", "failed")
            ]
        return max([moment for moment in times if moment is not None], default=None)

    def _active_services(self) -> List[Dict[str, str]]:
        listed = self.runner.run(
            [
                "systemctl",
                "list-units",
                "--type=service",
                "--state=active",
                "--plain",
                "--no-legend",
                "--no-pager",
                "--full",
            ],
            timeout_s=60,
        )
        names = [line.split()[0] for line in listed.stdout.splitlines() if line.strip()]
        return systemd_units.show(self.runner, names, ["Id", "MainPID"])

    def _daemon(self, unit: str) -> Dict[str, str]:
        return systemd_units.show(self.runner, [unit], ["MainPID", "KillMode"])[0]

    def _would_end_us(self, unit: str) -> Optional[str]:
        """Return a reason when this very process runs in ``unit`` and a restart would kill all of it."""
        if unit != self.processes.unit_of(os.getpid()) or self._daemon(unit).get("KillMode") in ("process", "none"):
            return None
        return "its restart would end this run's own session"

    def _work(self, todo: Dict[str, str], reload: List[str], order: Sequence[str]) -> None:
        # Unit files may have changed; PID 1 must know them before anything is restarted.
        if INIT_SCOPE in todo:
            self._one(INIT_SCOPE, todo[INIT_SCOPE], "reexec", ["systemctl", "daemon-reexec"])
        else:
            self.runner.run(["systemctl", "daemon-reload"], timeout_s=60, check=False)
        for unit in restart_order.in_order(self.runner, set(todo) - {INIT_SCOPE}, order):
            how = "reload" if unit in reload else "restart"
            self._one(unit, todo[unit], how, ["systemctl", how, "--", unit])
        self._check_active()

    def _one(self, unit: str, reason: str, how: str, command: List[str]) -> None:
        start = self.clock.monotonic()
        try:
            result = self.runner.run(command, timeout_s=RESTART_TIMEOUT_S, check=False)
            problem = result.stderr.strip()[-300:] or "exit {}".format(result.rc) if result.rc else ""
        except PatchingError as error:
            problem = error.seen
        if problem:
            self.failed.append({"unit": unit, "reason": "{} failed: {}".format(how, problem)})
            return
        self.restarted.append(
            {"unit": unit, "reason": reason, "how": how, "seconds_ms": int((self.clock.monotonic() - start) * 1000)}
        )

    def _check_active(self) -> None:
        """Find units that started and fell over at once."""
        names = [item["unit"] for item in self.restarted if item["unit"] != INIT_SCOPE]
        for shown in systemd_units.show(self.runner, names, ["Id", "ActiveState", "SubState"]):
            if shown.get("ActiveState") not in ("active", "activating", "reloading"):
                self.failed.append(
                    {"unit": shown.get("Id", ""), "reason": "it is {ActiveState} ({SubState})".format(**shown)}
                )

    def _owe_rest(self, wanted: Dict[str, Any]) -> None:
        """Name what still runs replaced files after the restarts, or may do so and cannot be asked."""
        known = {item["unit"] for item in self.owed if item["unit"]} | {item["unit"] for item in self.failed}
        ours = self.processes.ancestors()
        for process in self.processes.stale():
            if process.pid in ours or process.unit in known:
                continue
            if process.unit in SESSION_HOLDERS:
                why = "a session that began before; it ends by itself"
            elif process.unit is None:
                why = "it belongs to no unit"
            else:
                why = "it still does after its {}".format(self._how(process.unit))
            self.owed.append({"unit": process.unit, "pid": process.pid, "reason": _runs_replaced(process) + "; " + why})
        self._owe_hidden(wanted)

    def _owe_hidden(self, wanted: Dict[str, Any]) -> None:
        """Name what may run replaced files and cannot be asked, also where it outlived its unit's restart."""
        known = {item["unit"] for item in self.owed + self.failed if item["unit"]}
        hidden = [one for one in self._hidden(wanted) if one.unit not in known]
        again = {item["unit"] for item in self.restarted if item["how"] == "restart"}
        # What a restart has started may be of the very second of the change.
        hidden = [one for one in hidden if one.unit not in again or one in self.suspects]
        for unit, first, reason in hidden_processes.told(hidden):
            ends = "; a session that began before; it ends by itself" if unit in SESSION_HOLDERS else ""
            self.owed.append({"unit": unit, "pid": first.pid, "reason": reason + ends})
        if self._changed_until(wanted) is not None and self.processes.veiled():
            self.owed.append({"unit": None, "pid": None, "reason": hidden_processes.VEILED})

    def _how(self, unit: str) -> str:
        return next((str(item["how"]) for item in self.restarted if item["unit"] == unit), "restart")

    def _owe_all(self, wanted: Dict[str, Any], why: str) -> None:
        for process in self.processes.stale():
            if process.pid not in self.processes.ancestors():
                self.owed.append(
                    {"unit": process.unit, "pid": process.pid, "reason": _runs_replaced(process) + "; " + why}
                )
        self._owe_hidden(wanted)

    def _result(self, reboot: Dict[str, Any], note: Optional[str] = None) -> Dict[str, Any]:
        return {
            "changed": bool(self.restarted or self.failed),
            "restarted": self.restarted,
            # "failed" is Ansible's own key, so the list has another name.
            "failed_units": self.failed,
            "owed": self.owed,
            "reboot_required": reboot,
            "note": note,
        }


def _runs_replaced(process: Process) -> str:
    more = len(process.files) - 1
    return "{} ({}) runs the replaced {}{}".format(
        process.command, process.pid, process.files[0], " and {} more".format(more) if more > 0 else ""
    )
