# SPDX-License-Identifier: GPL-3.0-or-later
"""The stop file: who asks a run to stop finds it obeyed before the next host is begun.

Hosts in flight are finished or secured, none is started. The file is what
counts; the ledger's note says for ever that it was there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils.evidence import write_text
from ansible_collections.hospital.patching.plugins.plugin_utils.ledger import sync_directory
from ansible_collections.hospital.patching.plugins.plugin_utils.runs import Run
from ansible_collections.hospital.patching.plugins.plugin_utils.times import stamp


@dataclass(frozen=True)
class Asked:
    """What became of a request: whether it changed anything, and the file's first line (that of a removed one too)."""

    changed: bool
    line: str


def request(run: Run, by: str, reason: str, now: datetime, check: bool = False) -> Asked:
    """Ask the run to stop; a request that is there already is kept as it is.

    Args:
        by: who asks, as ``user@machine``; a claim.
        reason: why; its line breaks become blanks.
        check: only say what would be done.

    Raises:
        PatchingError: there is no such run, or its directory cannot be written.
    """
    require_known(run)
    line = f"{stamp(now)} {by}: {_one_line(reason) or 'no reason given'}"
    found = _first_line(run.stop_path)
    if not check:
        if found is None:
            write_text(run.stop_path, line + "\n")
        _note(run, by, line if found is None else found)
    return Asked(found is None, line if found is None else found)


def withdraw(run: Run, by: str, reason: str, check: bool = False) -> Asked:
    """Take the request back, so that the run may be continued.

    Raises:
        PatchingError: there is no such run, or its directory cannot be written.
    """
    require_known(run)
    found = _first_line(run.stop_path)
    if found is not None and not check:
        # First the note: without evidence nothing goes on.
        run.record(None, "gate", "note", stop="withdrawn", by=by, reason=_one_line(reason), file=found)
        _remove(run.stop_path)
    return Asked(found is not None, found or "")


def explain(run: Run, state: str, asked: Asked) -> str:
    """Return what holds now, for a person."""
    if state == "requested":
        stands = "is asked to stop" if asked.changed else "was asked to stop already"
        next_step = f"to continue it later: stop.yml -e patching_run_id={run.run_id} -e stop_withdraw=true"
        return (
            f"run {run.run_id} {stands} ({asked.line}): hosts in flight are finished, none is started; {next_step}, "
            "then patch.yml with the same plan"
        )
    if asked.changed:
        return f"run {run.run_id} may go on ({asked.line} is withdrawn): start patch.yml with the same plan"
    return f"nobody has asked run {run.run_id} to stop"


def require_known(run: Run) -> None:
    """Refuse a run that the evidence directory does not have.

    Raises:
        PatchingError: there is none of this id.
    """
    if not run.evidence.run_dir(run.run_id).is_dir():
        raise PatchingError(
            f"run {run.run_id}",
            f"no such run in {run.evidence.root}",
            "a run that was staged or begun",
            "copy its id from the plan or from the output of patch.yml, or name its patching_evidence_dir",
        )


def _note(run: Run, by: str, line: str) -> None:
    """Record the request once, also that of a file that was dropped by hand or by a call that was killed since."""
    try:
        if not _is_noted(run.ledger.read()):
            run.record(None, "gate", "note", stop="requested", by=by, file=line)
    except PatchingError as error:
        raise PatchingError(
            f"the note in the ledger that run {run.run_id} is to stop",
            f"{error.subject}: {error.seen}; the stop file itself is there and is obeyed",
            error.expected,
            error.next_step,
        ) from error


def _is_noted(records: Sequence[Mapping[str, Any]]) -> bool:
    """Say whether the ledger's last word on stopping is that it was requested."""
    words = [str(r["detail"]["stop"]) for r in records if r["event"] == "note" and "stop" in r["detail"]]
    return words[-1:] == ["requested"]


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _first_line(path: Path) -> str | None:
    """Return the first line of the stop file, empty when it cannot be read; None when there is no file."""
    try:
        return (path.read_text(encoding="utf-8", errors="replace").splitlines() or [""])[0]
    except FileNotFoundError:
        return None
    except OSError:
        return ""


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
        sync_directory(path.parent)
    except OSError as error:
        raise PatchingError(
            str(path), str(error), "a stop file that can be removed", "correct the permissions, then withdraw it again"
        ) from error
