# SPDX-License-Identifier: GPL-3.0-or-later
"""What the inventory and people say while a host stands at the gate: it may only add to what the plan asks for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import approvals, inhibits
from ansible_collections.hospital.patching.plugins.plugin_utils.inhibits import Inhibits
from ansible_collections.hospital.patching.plugins.plugin_utils.refusals import APPROVALS
from ansible_collections.hospital.patching.plugins.plugin_utils.runs import Run
from ansible_collections.hospital.patching.plugins.plugin_utils.setting_types import whole

#: A host that waits asks every few seconds; who has signed and who may sign is looked at once a minute.
KEPT_S = 60
#: What whoever starts a run must not decide by himself on the command line.
INVENTORYS_OWN = ("patching_tier", "patching_allowed_signers")

T = TypeVar("T")


class Kept(Generic[T]):
    """An answer that is asked for again after some seconds."""

    def __init__(self, clock: Clock, seconds: float, ask: Callable[[], T]) -> None:
        self.clock, self.seconds, self.ask = clock, seconds, ask
        self._known: tuple[float, T] | None = None

    def get(self) -> T:
        """Return the answer."""
        if self._known is None or self.clock.monotonic() - self._known[0] >= self.seconds:
            answer = self.ask()
            # Counted from when it was there: whoever takes a minute to answer is not asked again at once.
            self._known = self.clock.monotonic(), answer
        return self._known[1]


class Live:
    """One host's: ``variables`` are what the inventory has of it by now."""

    def __init__(self, run: Run, host: str, variables: Mapping[str, Any], clock: Clock) -> None:
        self.run, self.variables = run, variables
        loaded = run.loaded()
        planned = loaded.plan["hosts"].get(host, {})
        self.needed = max(planned.get("approvals", 0), self._asked_for())
        self._approvals = Kept(clock, KEPT_S, lambda: approvals.of_plan(run.evidence, loaded, self._list()))
        problem, reasons = self._inhibits(planned.get("inhibits", []))
        asked = Inhibits(reasons, loaded.plan["site"]["segments"], clock=clock)
        self._no_go = Kept(clock, inhibits.KEPT_S, lambda: problem or asked.no_go())

    @property
    def freezes(self) -> tuple[str, ...]:
        """Those of the inventory; what is no list of texts is one that cannot be read, and so closes."""
        given = self.variables.get("patching_freezes") or ()
        return tuple(str(one) for one in given) if isinstance(given, (list, tuple)) else (str(given),)

    def no_go(self) -> str | None:
        """Return the first of the inhibits, the plan's and the inventory's, that does not say go."""
        return self._no_go.get()

    def approvers(self) -> tuple[str, ...]:
        """Return who has approved the plan, as far as the host needs anybody to."""
        return self._approvals.get().approvers if self.needed else ()

    def evidence(self) -> dict[str, Any]:
        """Keep the signatures that counted in the run's folder, and return what the ledger has of them."""
        if not self.needed:
            return {}
        found, allowed = self._approvals.get(), self._list()
        approvals.copy(found.signatures, self.run.evidence.run_dir(self.run.run_id))
        content = allowed.read_bytes() if allowed is not None and allowed.is_file() else b""
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        return {"approved": {"by": list(found.approvers), "list": str(allowed), "list_digest": digest}}

    def _asked_for(self) -> int:
        """What cannot be read counts as the most critical tier."""
        try:
            return APPROVALS[whole(1, 4)(self.variables.get("patching_tier") or 3)]
        except ValueError:
            return APPROVALS[1]

    def _list(self) -> Path | None:
        return approvals.list_of(self.variables.get("patching_allowed_signers"))

    def _inhibits(self, planned: list[dict[str, Any]]) -> tuple[str | None, list[dict[str, Any]]]:
        try:
            more = inhibits.read(self.variables.get("patching_inhibits") or [])
        except (PatchingError, ValueError) as error:
            return f"patching_inhibits cannot be read: {error}", planned
        return None, [*planned, *(one for one in more if one not in planned)]
