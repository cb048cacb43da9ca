# SPDX-License-Identifier: GPL-3.0-or-later
"""One run as the action plugins see it: its plan, stage results and ledger.

A run executes one plan, once, in one window, so it carries the plan's id; the
same plan started again continues the same run.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import (
    evidence,
    halt_files,
    heartbeat,
    ledger,
    outcomes,
    resumption,
)
from ansible_collections.hospital.patching.plugins.plugin_utils.times import read_stamp

#: Keys of step results that may enter the ledger; answers' bodies and secrets never do.
STEP_KEYS = frozenset(
    (
        "already",
        "alternatives_equal",
        "boot",
        "changed",
        "conffile_merge",
        "conffile_proposals",
        "cves",
        "download_bytes",
        "drained",
        "findings",
        "holder",
        "holds_equal",
        "installed",
        "journalled",
        "lost_connection",
        "marks_equal",
        "msg",
        "not_preserved",
        "nothing_to_do",
        "observed",
        "owed",
        "probes",
        "problems",
        "record",
        "reboot_required",
        "rebooted",
        "repaired",
        "restarted",
        "retention",
        "reverted",
        "snapshot",
        "space",
        "suspended",
        "verdict",
    )
)

#: Outcomes after which starting the run again leaves a host alone: it is done, or a person has to look at it first.
FINISHED = frozenset({"patched", "nothing_to_do", "stuck", "unverified", "rolled_back"})
#: What may only be said of a host that serves; "" is no outcome at all.
LEFT_IN_SERVICE = frozenset({"", "not_started", "refused", "rolled_back"})


def _is_of_people(record: Mapping[str, Any]) -> bool:
    return record["event"] == "note" and not {"stop", "answer"}.isdisjoint(record["detail"])


class Run:
    """A run in the evidence directory."""

    def __init__(self, evidence_dir: str, run_id: str) -> None:
        self.evidence = evidence.Evidence(Path(evidence_dir))
        self.run_id = run_id
        self.ledger = ledger.Ledger(self.evidence.ledger_path(run_id), clock=Clock())

    @classmethod
    def start(cls, evidence_dir: str, reference: str, check: bool = False) -> Run:
        """Find the plan by path, id or digest, and, unless only checking, give its run a copy."""
        loaded = evidence.Evidence(Path(evidence_dir)).load_plan(reference)
        run = cls(evidence_dir, str(loaded.plan["plan_id"]))
        if not check:
            run.evidence.start_run(run.run_id, loaded)
        return run

    def loaded(self) -> evidence.Loaded:
        """Return the run's own copy of its plan; in check mode, where none is made, the plan itself."""
        copy = self.evidence.run_dir(self.run_id) / "plan.json"
        return self.evidence.load_plan(str(copy) if copy.exists() else self.run_id)

    def plan(self) -> dict[str, Any]:
        """Return the run's plan, checked against its schema and digest."""
        return dict(self.loaded().plan)

    def host(self, name: str) -> dict[str, Any]:
        """Return the plan's entry of one host.

        Raises:
            PatchingError: the plan does not name the host.
        """
        plan = self.plan()
        if name not in plan["hosts"]:
            raise PatchingError(
                f"host {name}",
                f"plan {plan['plan_id']} does not name it",
                f"one of {', '.join(plan['hosts']) or 'no hosts at all'}",
                "make a new plan that includes it",
            )
        return dict(plan["hosts"][name])

    def manifest(self, name: str) -> dict[str, Any]:
        """Return the manifest that binds one host."""
        return dict(self.loaded().manifests[self.host(name)["manifest"]])

    def record(self, host: str | None, step: str, event: str, **detail: Any) -> ledger.Record:
        """Append one ledger record and return it."""
        return self.ledger.append(self.run_id, step, event, host=host, detail=detail)

    def states(self) -> dict[str, outcomes.HostState]:
        """Return what the ledger knows of each host."""
        return outcomes.host_states(self.ledger.read())

    def finished(self, host: str) -> bool:
        """Say whether this run has finished with a host, so that starting it again leaves the host alone."""
        state = self.states().get(host)
        return state is not None and state.outcome in FINISHED

    def out(self, host: str) -> bool:
        """Say whether the ledger's last word on a host is that it is out of service."""
        state = self.states().get(host)
        return state is not None and state.out

    def outcome(self, host: str) -> str:
        """Return the outcome that the ledger has of a host."""
        state = self.states().get(host)
        return (state and state.outcome) or "not_started"

    def health_before(self, host: str, names: Collection[str] | None = None) -> list[dict[str, Any]]:
        """Return the probes' readings just before this run touched the host last; empty when it has not.

        Args:
            names: of these probes only.
        """
        for record in reversed(self.ledger.read()):
            if record["host"] == host and record["step"] == "health_before" and record["event"] == "done":
                probes = record["detail"].get("probes")
                if probes is not None and "verdict" in record["detail"]:
                    return [probe for probe in probes if names is None or probe["name"] in names]
        return []

    def keeps(self, host: str, outcome: str) -> bool:
        """Say whether an earlier failure of the host is kept: not being touched again does not mend it."""
        state = self.states().get(host)
        return state is not None and state.outcome in outcomes.FAILURES and outcome in ("not_started", "refused")

    def close(self) -> dict[str, str]:
        """Give every host an outcome that is true of it, record the end, and return the outcomes.

        A host that is out of service needs a person, whatever else was said of it.
        """
        records = self.ledger.read()
        states = outcomes.host_states(records)
        for host, outcome in self.outcomes().items():
            state = states.get(host)
            # One that was ill before is out too, but not by us.
            out = state is not None and state.out and not state.unhealthy
            if out and outcome in LEFT_IN_SERVICE:
                told = f"; {state.reason}" if state and state.reason else ""
                reason = f"the run ended while the host was held out of service{told}"
                self.record(host, "record", "outcome", outcome="stuck", reason=reason)
            elif not outcome:
                said = resumption.unsaid(records, host) or {
                    "outcome": "not_started",
                    "reason": "the run ended before its turn came",
                }
                self.record(host, "record", "outcome", **said)
        found = self.outcomes()
        self.record(None, "record", "done", outcomes=found)
        return found

    def outcomes(self) -> dict[str, str]:
        """Return the outcome of every host of the plan, planned or not."""
        plan, states = self.plan(), self.states()
        found = {name: entry["outcome"] for name, entry in plan["not_planned"].items()}
        found.update({name: (states[name].outcome if name in states else None) or "" for name in plan["hosts"]})
        return found

    def save_stage(self, host: str, stage: dict[str, Any]) -> None:
        """Keep what stage learned of a host."""
        evidence.write_json(self.evidence.stage_path(self.run_id, host), stage)

    def stage(self, host: str) -> dict[str, Any]:
        """Return what stage learned of a host.

        Raises:
            PatchingError: the host was not staged for this run.
        """
        path = self.evidence.stage_path(self.run_id, host)
        try:
            return dict(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            raise PatchingError(
                f"host {host}",
                f"no stage of run {self.run_id} ({error.__class__.__name__})",
                "a transaction staged before the window",
                "run stage.yml with the same plan, then this again",
            ) from error

    def stages(self) -> dict[str, dict[str, Any]]:
        """Return the stage results of every host that has one."""
        names = [name for name in self.plan()["hosts"] if self.evidence.stage_path(self.run_id, name).exists()]
        return {name: self.stage(name) for name in names}

    @property
    def stop_path(self) -> Path:
        """The file that asks the run to stop."""
        return self.evidence.run_dir(self.run_id) / "stop"

    def stop_requested(self) -> str | None:
        """Return what the run's stop file tells, or None when nobody has asked the run to stop."""
        return halt_files.told_by(self.stop_path)

    def frozen(self, freeze_file: str | None) -> str | None:
        """Return what the freeze file tells, or None; without a name of its own it lies in the evidence directory."""
        return halt_files.told_by(self.freeze_path(freeze_file))

    def freeze_path(self, freeze_file: str | None) -> Path:
        """Return where the freeze file of this name lies."""
        return Path(freeze_file) if freeze_file else self.evidence.root / halt_files.FREEZE

    def heartbeat(self, check: bool = False) -> AbstractContextManager[object]:
        """Return what shows a sign of life while a block runs; in check mode, which writes nothing, nothing does."""
        return nullcontext() if check else heartbeat.Heartbeat(self.evidence.run_dir(self.run_id))

    def last_sign(self, records: Sequence[Mapping[str, Any]] | None = None) -> datetime:
        """Return when the run last showed that it lives, by a record or beside its ledger.

        A note that it is to stop, or of an answer, is no sign: people write it about runs that are dead.

        Args:
            records: the run's ledger, when the caller has read it already.

        Raises:
            PatchingError: there never was one, or the ledger is damaged or cannot be read.
            OSError: the run's directory cannot be read.
        """
        known = self.ledger.read() if records is None else records
        written = [r["time"] for r in known if not _is_of_people(r)]
        beat = heartbeat.last_beat(self.evidence.run_dir(self.run_id))
        if not written and beat is None:
            raise PatchingError(
                f"run {self.run_id}", "no sign of life, ever", "a run that was begun", "begin it, or name another"
            )
        return max([read_stamp(time) for time in written[-1:]] + ([beat] if beat else []))

    def findings(self) -> list[str]:
        """Return what is wrong with the ledger's chain; empty when nothing is."""
        found = ledger.verify(self.evidence.ledger_path(self.run_id))
        return [f"line {finding.line}: {finding.problem}" for finding in found]

    def traffic(self) -> dict[str, Any] | None:
        """Return what was measured beside the run (requests, connections), where somebody measured it."""
        path = self.evidence.run_dir(self.run_id) / "traffic.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None

    def write_report(self, report: dict[str, Any], html: str) -> dict[str, str]:
        """Write the report in both forms and return their absolute paths."""
        paths = {form: self.evidence.report_path(self.run_id, form) for form in ("json", "html")}
        evidence.write_json(paths["json"], report)
        paths["html"].write_text(html, encoding="utf-8")
        return {form: str(path.resolve()) for form, path in paths.items()}
