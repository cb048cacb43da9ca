# SPDX-License-Identifier: GPL-3.0-or-later
"""The gate's question to people: do those who work with the application say that the earlier ring serves them?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.hospital.patching.plugins.plugin_utils import answers
from ansible_collections.hospital.patching.plugins.plugin_utils.gate_question import Gate, Question, wait
from ansible_collections.hospital.patching.plugins.plugin_utils.times import stamp


def asked_people(question: Question) -> Gate | None:
    """A host of the broad ring begins only after a yes to each question. One that is out already is finished."""
    if question.taken or not answers.waits(question.plan, question.host):
        return None
    given = list(_answers(question))
    return next((one for word in ("stop", "wait") for one in given if one.decision == word), None)


def _answers(question: Question) -> Iterator[Gate]:
    for ask in question.entry.get("asks", ()):
        answer = _answer(question, ask)
        if answer is not None:
            yield answer


def _answer(question: Question, ask: Mapping[str, Any]) -> Gate | None:
    one = question.people.get(ask["name"])
    if one is None:
        return Gate("stop", f"nobody has looked whether {', '.join(ask['who'])} answered {ask['name']}")
    if one.answer is not None and one.says == "yes":
        return None
    if one.answer is not None:
        return Gate("stop", f"{answers.told(one)}; find out what is wrong with the earlier ring, and plan again")
    if not one.is_open:
        return wait(question, answers.told(one))
    why = ""
    if one.discounted:
        why = f"a yes does not count: {one.discounted}"
    elif one.until is not None and question.now > one.until:
        why = f"no answer until {stamp(one.until)}"
    if why:
        return Gate(
            "stop",
            f"{one.asking.service}: {one.asking.probe} ({one.asking.ask}) is inconclusive, {why}; plan these hosts "
            f"again, and have {answers.people(one.asking)} answer in time",
        )
    reason = answers.told(one)
    if question.end is None:
        return Gate("wait", reason, one.until)
    # Their time may be longer than the window: it is waited for as long as the work still fits.
    return wait(question, reason, min(one.until, question.cut_off) if one.until else None)
