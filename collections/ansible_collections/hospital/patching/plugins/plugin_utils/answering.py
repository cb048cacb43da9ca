# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks people, and takes their answers: what is verified before an answer stands in the ledger, and who is told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import (
    allowed_signers,
    answers,
    approvals,
    controllers,
    paging,
    setting_types,
    watching,
)
from ansible_collections.hospital.patching.plugins.plugin_utils.answers import Asking, Record, Standing
from ansible_collections.hospital.patching.plugins.plugin_utils.gate_live import KEPT_S, Kept, Live, variable
from ansible_collections.hospital.patching.plugins.plugin_utils.runs import Run
from ansible_collections.hospital.patching.plugins.plugin_utils.times import stamp

SETTING = "patching_ask_contact"
LONGEST_REASON = 500
_LOCK = "answers.lock"

Page = Callable[[Sequence[str], str, str], paging.Sent]


@dataclass(frozen=True)
class Given:
    """An answer as it is given: ``yes`` or ``no``, by a typed name or a signature."""

    answer: str
    reason: str = ""
    name: str = ""
    signature: str = ""
    #: Who typed it, as ``user@machine``; a claim.
    entered_by: str = ""


def choose(plan: Mapping[str, Any], service: str = "", probe: str = "") -> list[Asking]:
    """Return the questions of a plan that a service and a probe's name mean; an empty one means any.

    Raises:
        PatchingError: the plan asks nobody that.
    """
    known = answers.askings(plan)
    found = [one for one in known if service in ("", one.service) and probe in ("", one.probe)]
    if not found:
        named = " ".join(filter(None, (service, probe))) or "anybody"
        there = ", ".join(f"{one.service} {one.probe}" for one in known)
        raise PatchingError(
            f"run {plan['plan_id']}",
            f"it does not ask {named}" if not (service or probe) else f"it has no question {named}",
            f"one of {there}" if there else "a plan with hosts of the broad ring and a probe of type person",
            "correct answer_service and answer_probe" if there else "nothing: no host waits for a person",
        )
    return found


def give(
    run: Run,
    asking: Asking,
    given: Given,
    signers: Path | None,
    clock: Clock,
    strict: bool = False,
    check: bool = False,
) -> Record | None:
    """Verify an answer and record it; return its record, None while only checking.

    Args:
        signers: who may sign; None allows nobody.
        strict: the inventory's tier asks for a signature by now.

    Raises:
        PatchingError: whoever answers may not, nobody is asked now, or it was answered already.
    """
    if check:
        _checked(run, asking, given, signers, clock, strict)
        return None
    with controllers.opening(run, _LOCK):
        detail = _checked(run, asking, given, signers, clock, strict)
        if given.signature and "signature" in detail:
            approvals.keep(run.evidence.run_dir(run.run_id), given.signature)
        return run.record(None, "gate", "note", **detail)


def _checked(
    run: Run, asking: Asking, given: Given, signers: Path | None, clock: Clock, strict: bool
) -> dict[str, Any]:
    records = run.ledger.read()
    known = answers.answers_to(asking, records)
    one = answers.standing(asking, records)
    before = next((r for r in known if r["detail"]["answer"] == "no"), known[0] if known else None)
    if _is_over(records):
        raise _refused(asking, f"run {asking.run_id} has ended", "an answer while it runs", "plan these hosts again")
    if before is not None and (given.answer == "yes" or before["detail"]["answer"] == "no"):
        seen = f"it is answered: {answers.said(before)} ({before['time']})"
        raise _refused(asking, seen, "the first answer, or a no after a yes", "plan these hosts again to be asked anew")
    if not one.is_open:
        seen = f"{', '.join(asking.earlier)} is not patched yet"
        raise _refused(asking, seen, "an answer about the updated application", "answer once it is")
    if given.answer == "yes" and one.until is not None and clock.now() > one.until:
        seen = f"its time was over at {stamp(one.until)}, so it is inconclusive"
        raise _refused(asking, seen, "an answer in time", "plan these hosts again, and answer in time")
    name, claimed = _who(asking, given, signers, strict)
    detail: dict[str, Any] = {
        "answer": given.answer,
        "service": asking.service,
        "probe": asking.probe,
        "ask": asking.ask,
        "by": name,
        "claimed": claimed,
        "reason": given.reason,
        "entered_by": given.entered_by,
        **({} if claimed else {"signature": approvals.digest_of(given.signature)}),
    }
    text = f"{asking.service}: {asking.probe} ({asking.ask}): {answers.said({'detail': detail})}"
    return {**detail, "text": text}


def _who(asking: Asking, given: Given, signers: Path | None, strict: bool) -> tuple[str, bool]:
    """Return who answers, and whether that is only claimed.

    A no needs no signature: it only keeps hosts as they are.
    """
    if given.signature:
        return _signer(asking, given.answer, given.reason, given.signature, signers), False
    if given.answer == "yes" and (asking.signed or strict):
        next_step = f"answer with answer_key, or sign elsewhere: {sign_command(asking, given.answer, given.reason)}"
        raise _refused(asking, "a yes by a typed name", "a signature by somebody who may answer", next_step)
    typed = _plain(given.name)
    name = next((one for one in asking.who if _plain(one) == typed), None)
    if name is None:
        seen = f"{given.name} is not asked" if given.name else "nobody is named"
        raise _refused(asking, seen, answers.people(asking), "give your name as answer_name, or have them answer")
    return name, True


def _signer(asking: Asking, answer: str, reason: str, signature: str, signers: Path | None) -> str:
    """Return which of the people who are asked has signed.

    Raises:
        PatchingError: none of them has, or may sign by now.
    """
    try:
        signed = approvals.verify(
            signature, asking.statement(answer, reason), signers, namespace=approvals.ANSWER_NAMESPACE
        )
        people = allowed_signers.People(signers) if signers else None
    except PatchingError as error:
        raise _refused(
            asking,
            error.seen,
            "a signature over this question, answer and reason by somebody whom patching_allowed_signers lists",
            f"sign {sign_command(asking, answer, reason)}",
        ) from error
    name = next((one for one in asking.who if people and people.person_named(one) == signed.person), None)
    if name is None:
        raise _refused(asking, f"{signed.name} is not asked", answers.people(asking), "have them answer")
    return name


def sign_command(asking: Asking, answer: str, reason: str) -> str:
    """Return the command that signs an answer on any machine."""
    return approvals.command(asking.statement(answer, reason), approvals.ANSWER_NAMESPACE, "answer.sig")


def objection(run: Run, asking: Asking, record: Record, signers: Path | None, strict: bool) -> str:
    """Return why a recorded yes does not count now, or empty text: a line may have been taken out of the list."""
    detail = record["detail"]
    if detail["claimed"]:
        return "a typed name is not enough for its tier" if asking.signed or strict else ""
    path = approvals.file_of(run.evidence.run_dir(run.run_id), str(detail["signature"]))
    try:
        signature = path.read_text(encoding="ascii")[: approvals.LARGEST]
        _signer(asking, str(detail["answer"]), str(detail["reason"]), signature, signers)
    except (PatchingError, OSError, ValueError) as error:
        return error.seen if isinstance(error, PatchingError) else f"its signature cannot be read: {error}"
    return ""


class Waiting:
    """How the questions stand for which one host waits; who has signed and may sign is looked at once a minute."""

    def __init__(self, live: Live) -> None:
        self.live = live
        self._objections: dict[str, Kept[str]] = {}

    def standings(self, records: Sequence[Record]) -> dict[str, Standing]:
        """Return each by the probe's name."""
        plan, service = self.live.loaded.plan, self.live.entry.get("service")
        return answers.standings(plan, service, records, self._objection)

    def _objection(self, asking: Asking, record: Record) -> str:
        def look() -> str:
            strict = is_strict(asking, [self.live.tier])
            return objection(self.live.run, asking, record, self.live.signers(), strict)

        kept = self._objections.setdefault(str(record["hash"]), Kept(self.live.clock, KEPT_S, look))
        return kept.get()


def ask(
    run: Run, stand: Standing, hostvars: Mapping[str, Mapping[str, Any]], page: Page = paging.page_all
) -> list[str] | None:
    """Tell people that they are asked now, once; return what went wrong, None when it was not for them to be told.

    The gates of several hosts come here at the same time.
    """
    if not stand.is_open or stand.answer is not None or stand.discounted:
        return None
    asking = stand.asking
    if answers.is_told(asking, run.ledger.read()):
        return None
    with controllers.opening(run, _LOCK):
        if answers.is_told(asking, run.ledger.read()):
            return None
        text = answers.told(stand)
        problems = tell(asking, f"Run {run.run_id}, {text}", hostvars, page)
        run.record(
            None,
            "gate",
            "note",
            asked=asking.ask,
            service=asking.service,
            probe=asking.probe,
            who=list(asking.who),
            until=stamp(stand.until) if stand.until else None,
            text=text,
            problems=problems,
        )
    return problems


def ask_now(run: Run, plan: Mapping[str, Any], hostvars: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Tell whom the plan asks about an earlier night, now that its run is staged or begins; return how all stands.

    What is asked about hosts of this plan, the gate asks.
    """
    told = []
    for asking in answers.askings(plan):
        stand = answers.standing(asking, run.ledger.read())
        problems = None if asking.earlier else ask(run, stand, hostvars)
        told.append("; ".join([answers.told(stand), *(problems or [])]))
    return told


def tell(
    asking: Asking, message: str, hostvars: Mapping[str, Mapping[str, Any]], page: Page = paging.page_all
) -> list[str]:
    """Page whom the hosts that wait name in ``patching_ask_contact``; return what went wrong, one text a way."""
    urls: list[str] = []
    for host in asking.hosts:
        given, problem = variable(hostvars.get(host) or {}, SETTING)
        try:
            urls += setting_types.secrets(given) if given else ()
        except ValueError as error:
            problem = f"{SETTING} of {host} is not {error}"
        if problem:
            return [problem]
    if not urls:
        return [f"nobody is told: {SETTING} is not set"]
    return page(list(dict.fromkeys(urls)), message, SETTING).problems


def is_strict(asking: Asking, tiers: Iterable[int]) -> bool:
    """Say whether the inventory's tiers ask for a signature, whatever the plan says."""
    return asking.signed or any(tier in answers.SIGNED_TIERS for tier in tiers)


def _is_over(records: Sequence[Record]) -> bool:
    """Say whether the run was closed and not begun again since."""
    over = False
    for record in records:
        if watching.is_closing(record):
            over = True
        elif record["host"] is None and (record["step"], record["event"]) == ("gate", "begin"):
            over = False
    return over


def _plain(name: str) -> str:
    return " ".join(name.split()).casefold()


def _refused(asking: Asking, seen: str, expected: str, next_step: str) -> PatchingError:
    return PatchingError(f"{asking.service} {asking.probe} of run {asking.run_id}", seen, expected, next_step)
