# SPDX-License-Identifier: GPL-3.0-or-later
"""What the inventory and people say while a host stands at the gate: it may only add to what the plan asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, TypeVar

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import (
    allowed_signers,
    approvals,
    awx_site,
    blocks,
    inhibits,
    watchers,
)
from ansible_collections.hospital.patching.plugins.plugin_utils.inhibits import Inhibits
from ansible_collections.hospital.patching.plugins.plugin_utils.plain import plain
from ansible_collections.hospital.patching.plugins.plugin_utils.refusals import APPROVALS
from ansible_collections.hospital.patching.plugins.plugin_utils.runs import Run
from ansible_collections.hospital.patching.plugins.plugin_utils.setting_types import whole

#: A host that waits asks every few seconds; who has signed and who may sign is looked at once a minute.
KEPT_S = 60
#: The setting that names the list for broken glass.
SECONDS = "patching_break_glass_signers"
#: All hosts of tier 1 that wait ask, and the marks may lie on a share.
WATCH_KEPT_S = 5
#: Of how many approvals that do not count the reason is told.
TOLD = 3
#: What whoever starts a run must not decide by himself on the command line, and what stands behind it.
INVENTORYS_OWN = (
    "ansible_inventory_sources",
    "inventory_dir",
    "inventory_file",
    "patching_allowed_signers",
    blocks.SETTING,
    "patching_break_glass_signers",
    *awx_site.SETTINGS,
    "patching_tier",
)
#: What the command line may say as long as it is what the plan has.
PLANNED = {"patching_freezes": "freezes", "patching_inhibits": "inhibits"}

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

    def last(self) -> T:
        """Return the answer that was given last."""
        return self._known[1] if self._known else self.get()


def variable(variables: Mapping[str, Any], name: str) -> tuple[Any, str]:
    """Return the inventory's value, or why there is none: a site's templates and lookups raise anything."""
    try:
        return variables.get(name), ""
    except Exception as error:  # noqa: BLE001 (see above)
        return None, f"{name} cannot be read: {type(error).__name__}"


def freezes_of(variables: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the freezes of a host's variables; what is no list of texts is one that cannot be read, and closes."""
    given, problem = variable(variables, "patching_freezes")
    if problem:
        return (problem,)
    return tuple(str(one) for one in given or ()) if isinstance(given or (), (list, tuple)) else (str(given),)


def tier_of(variables: Mapping[str, Any]) -> int:
    """Return the tier that a host's variables state; one that cannot be read is 1."""
    tier, problem = variable(variables, "patching_tier")
    try:
        found: int = 1 if problem else whole(1, 4)(tier or 3)
    except ValueError:
        return 1
    return found


def blocks_of(variables: Mapping[str, Any], root: Path) -> tuple[blocks.Block, ...]:
    """Return what is blocked by now, by the file that a host's variables name or the evidence directory's own.

    Raises:
        PatchingError: that cannot be known, which closes.
    """
    given, problem = variable(variables, blocks.SETTING)
    if problem:
        raise PatchingError("the blocks", problem, blocks.CLOSED, "correct it in the inventory")
    return blocks.read(blocks.place_of(given, root), named=bool(given))


class Live:
    """One host's. What cannot be read of its variables closes: a lookup may fail in the night."""

    def __init__(self, run: Run, host: str, variables: Mapping[str, Any], sources: Sequence[str], clock: Clock) -> None:
        self.run, self.variables, self.sources, self.clock = run, variables, sources, clock
        self.loaded, self.host = run.loaded(), host
        self.entry: Mapping[str, Any] = self.loaded.plan["hosts"].get(host, {})
        self._approvals = Kept(clock, KEPT_S, self._approved)
        self._no_go = Kept(clock, inhibits.KEPT_S, self._ask)
        self._blocks = Kept(clock, blocks.KEPT_S, self._read_blocks)
        self._watch = Kept(clock, WATCH_KEPT_S, self._watcher)

    def refusal(self, given: Mapping[str, Any]) -> str | None:
        """Return why the host must not be begun as things are set, or None.

        Args:
            given: the variables of the command line.
        """
        own = [name for name in INVENTORYS_OWN if name in given]
        if own:
            seen = f"{', '.join(own)} is given on the command line, where whoever starts the run decides it"
            return f"{seen}; set it in the inventory, and plan again"
        for name, key in PLANNED.items():
            if name in given and not self._is_planned(given[name], key):
                return f"{name} is given on the command line, and is not what the plan has; plan again with it"
        problem = self._inhibits[0]
        return f"{problem}; correct it in the inventory" if problem else None

    @property
    def freezes(self) -> tuple[str, ...]:
        """Those that the inventory has by now."""
        return freezes_of(self.variables)

    @property
    def freeze_file(self) -> str | None:
        """The one that the inventory has by now; whoever planned may have named another."""
        given, problem = self._variable("patching_freeze_file")
        return str(given) if given and not problem else None

    @cached_property
    def tier(self) -> int:
        """The plan's, or the inventory's if that is stricter; one that cannot be read is 1."""
        return min(int(self.entry.get("tier", 4)), tier_of(self.variables))

    @property
    def needed(self) -> int:
        """How many people have to approve: what the plan asks for, or the inventory's tier if that is stricter."""
        return max(int(self.entry.get("approvals", 0)), APPROVALS[self.tier])

    def watch(self) -> watchers.Watch | str | None:
        """Return the watcher that counts, or what was seen instead, as far as the host needs one."""
        return self._watch.get() if self.tier == 1 else None

    def blocked(self, entries: Sequence[Mapping[str, Any]] | None = None) -> str | None:
        """Return why an update must not be installed, or None; what cannot be read blocks.

        Args:
            entries: of the transaction that is about to be installed; otherwise what the host was staged with.
        """
        updates = self._staged() if entries is None else entries
        try:
            found = blocks.hits(self._blocks.get(), self.host, updates, blocks.advisories_of(self.loaded.plan))
        except PatchingError as error:
            return str(error)
        return blocks.refusal(found) if found else None

    @property
    def has_inhibits(self) -> bool:
        return bool(self._inhibits[1])

    def no_go(self) -> str | None:
        """Return the first of the inhibits, the plan's and the inventory's, that does not say go."""
        return self._no_go.get()

    def approvers(self) -> tuple[str, ...]:
        """Return who has approved the plan, as far as the host needs anybody to."""
        return self._approvals.get().approvers if self.needed else ()

    def not_counted(self) -> str:
        """Return why other approvals do not count, where there are too few, as the end of a sentence."""
        if not self.needed or len(self._approvals.last().approvers) >= self.needed:
            return ""
        return "".join(f"; an approval does not count: {why}" for why in self._approvals.last().rejected[:TOLD])

    def evidence(self) -> dict[str, Any]:
        """Keep the approvals that counted with the run, and return what the ledger has of them and of the watcher."""
        found: dict[str, Any] = {}
        if self.needed:
            kept = approvals.copy(self._approvals.last(), self.run.evidence, self.run.run_id)
            second = {"second_list": str(self._list(SECONDS))} if "second_list_digest" in kept else {}
            found["approved"] = {**kept, "list": str(self._list() or ""), **second}
        if self.tier == 1:
            watch = self._watch.last()
            found["watched"] = watch.told() if isinstance(watch, watchers.Watch) else None
        return found

    def _variable(self, name: str) -> tuple[Any, str]:
        return variable(self.variables, name)

    def _is_planned(self, given: object, key: str) -> bool:
        try:
            found = plain(inhibits.read(given)) if key == "inhibits" else plain(given)
        except (PatchingError, ValueError):
            return False
        return list(found) == list(self.entry.get(key, []))

    def _approved(self) -> approvals.Approvals:
        signers = self._list()
        awx = awx_site.of(self._variable, self.loaded.plan["site"]["segments"], signers)
        return approvals.of_plan(self.run.evidence, self.loaded, signers, awx=awx, seconds=self._list(SECONDS))

    def signers(self) -> Path | None:
        """Return the list of who may sign, by the inventory."""
        return self._list()

    def _list(self, setting: str = "patching_allowed_signers") -> Path | None:
        return allowed_signers.place(self._variable(setting)[0], self.sources)

    @cached_property
    def _inhibits(self) -> tuple[str, list[Mapping[str, Any]]]:
        planned = list(self.entry.get("inhibits", []))
        given, problem = self._variable("patching_inhibits")
        try:
            more = inhibits.read(given or [])
        except (PatchingError, ValueError) as error:
            return f"patching_inhibits cannot be read: {error}", planned
        return problem, [*planned, *(one for one in more if one not in planned)]

    def _read_blocks(self) -> tuple[blocks.Block, ...]:
        return blocks_of(self.variables, self.run.evidence.root)

    def _staged(self) -> list[Mapping[str, Any]]:
        """Return what the host would install; before it is staged, what the plan names."""
        if self.run.evidence.stage_path(self.run.run_id, self.host).exists():
            return list(self.run.stage(self.host)["transaction"]["entries"])
        return list(self.entry.get("updates", []))

    def _watcher(self) -> watchers.Watch | str:
        here = watchers.Machine.here()
        return watchers.proof(self.run.evidence.root, self.clock.now(), here, self.run.run_id)

    def _ask(self) -> str | None:
        return self._asked.no_go()

    @cached_property
    def _asked(self) -> Inhibits:
        return Inhibits(self._inhibits[1], self.loaded.plan["site"]["segments"], clock=self.clock)
