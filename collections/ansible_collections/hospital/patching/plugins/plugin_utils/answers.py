# SPDX-License-Identifier: GPL-3.0-or-later
"""What people are asked before the broad ring of a service, and what the ledger has of their answers.

A probe of type ``person`` is a question of a run and a service. It can be answered
once the hosts of earlier rings in the same plan are finished. Where those went on
an earlier night (``patching_promotion``), it can be as soon as the run is staged, and
the one that leads this night waits with the others. From then, at the earliest from
the run's begin, people have ``within_s``. The first answer counts, and another may
only turn a yes into a no. No answer is inconclusive.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from ansible_collections.hospital.patching.plugins.module_utils.canonical import digest
from ansible_collections.hospital.patching.plugins.module_utils.probes import registry
from ansible_collections.hospital.patching.plugins.module_utils.probes.person import PersonProbe
from ansible_collections.hospital.patching.plugins.plugin_utils.outcomes import host_states
from ansible_collections.hospital.patching.plugins.plugin_utils.settings import RINGS, Settings
from ansible_collections.hospital.patching.plugins.plugin_utils.times import read_stamp, stamp

#: The ring that waits for people.
RING = RINGS[-1]
#: Of these tiers a typed name is never enough, as it is not for approvals.
SIGNED_TIERS = (1, 2)

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Asking:
    """One question of a run; ``hosts`` wait for its answer, ``earlier`` are those of earlier rings in the same plan."""

    run_id: str
    plan_digest: str
    service: str
    probe: str
    ask: str
    who: tuple[str, ...]
    within_s: int
    signed: bool
    hosts: tuple[str, ...]
    earlier: tuple[str, ...]

    def statement(self, answer: str, reason: str) -> str:
        """Return the digest of question, answer and reason, over which a signature is made."""
        stated = {key: getattr(self, key) for key in ("run_id", "plan_digest", "service", "probe", "ask")}
        return digest({**stated, "answer": answer, "reason": reason})

    def command(self, answer: str = "yes") -> str:
        """Return how it is answered."""
        given = {
            "patching_run_id": self.run_id,
            "answer_service": self.service,
            "answer_probe": self.probe,
            "answer_is": answer,
            **({"answer_key": "KEY"} if self.signed and answer == "yes" else {"answer_name": self.who[0]}),
        }
        return "answer.yml " + " ".join(_extra(name, value) for name, value in given.items())


def _extra(name: str, value: str) -> str:
    """Return an option of ansible-playbook that a shell takes as it is, also copied out of Ansible's output.

    That is YAML, which doubles single quotes: none may be in it that is not part of a name.
    """
    if re.fullmatch(r"[\w@%+:,./-]+", value):
        return f"-e {name}={value}"
    text = json.dumps({name: value}, ensure_ascii=False)
    return '-e "' + re.sub(r'([\\"$`])', r"\\\1", text) + '"'


@dataclass(frozen=True)
class Standing:
    """How a question stands; ``until`` is None as long as its time has not begun to run.

    ``answer`` is the record that counts, a yes or a no; ``discounted`` says why a yes does not.
    """

    asking: Asking
    is_open: bool = False
    until: datetime | None = None
    answer: Record | None = None
    discounted: str = ""

    @property
    def says(self) -> str:
        """``yes``, ``no``, or empty text while no answer counts."""
        return str(self.answer["detail"]["answer"]) if self.answer else ""


def stated(settings: Settings) -> list[dict[str, Any]]:
    """Return what a host's settings ask people."""
    found = []
    for definition in settings.probes:
        if definition["type"] == PersonProbe.NAME:
            options = registry.options(definition)
            one = {key: options[key] for key in ("name", "ask", "who", "within_s", "signed")}
            found.append({**one, "signed": options["signed"] or settings.tier in SIGNED_TIERS})
    return found


def planned_asks(settings: Settings) -> list[dict[str, Any]]:
    """Return the same as the host's entry in the plan has it.

    ``promoted`` says that the host gets only what ran well on an earlier night, so
    that it needs no host before it in its own.
    """
    promoted = settings.ring == RING and settings.promotion is not None
    return [{**one, "promoted": promoted} for one in stated(settings)]


def waits(plan: Mapping[str, Any], host: str) -> bool:
    """Say whether a host begins only after a yes."""
    entry = plan["hosts"][host]
    return bool(entry.get("asks")) and (entry["ring"] == RING or (_is_promoted(entry) and not _earlier(plan, host)))


def askings(plan: Mapping[str, Any]) -> list[Asking]:
    """Return every question of a plan, in its order: those for which hosts of the broad ring wait."""
    found: dict[tuple[str, str], tuple[Mapping[str, Any], list[str]]] = {}
    for host, entry in plan["hosts"].items():
        for one in entry["asks"] if waits(plan, host) else ():
            found.setdefault((entry["service"], one["name"]), (one, []))[1].append(host)
    return [
        Asking(
            run_id=str(plan["plan_id"]),
            plan_digest=str(plan["digest"]),
            service=service,
            probe=name,
            ask=one["ask"],
            who=tuple(one["who"]),
            within_s=one["within_s"],
            signed=one["signed"],
            hosts=tuple(hosts),
            earlier=_earlier(plan, hosts[0]),
        )
        for (service, name), (one, hosts) in found.items()
    ]


def _earlier(plan: Mapping[str, Any], host: str) -> tuple[str, ...]:
    """Return the hosts that show in this night what people are asked about.

    They are those for which ``gate_peers.ring_before`` has a host of the broad ring
    wait, but for one that leads the night and was promoted to it itself.
    """
    hosts, mine = plan["hosts"], plan["hosts"][host]
    alike = [one for one in plan["services"][mine["service"]]["hosts"] if one in hosts]
    alike = [one for one in alike if hosts[one]["kind"] == mine["kind"]]
    return tuple(one for one in alike if hosts[one]["ring"] != RING and not _is_promoted(hosts[one]))


def _is_promoted(entry: Mapping[str, Any]) -> bool:
    return any(one["promoted"] for one in entry.get("asks", ()))


def standing(asking: Asking, records: Sequence[Record], objection: Callable[[Record], str] = lambda _: "") -> Standing:
    """Return how a question stands by the run's ledger.

    Args:
        objection: says why a recorded yes does not count now, or empty text.
    """
    is_open, since = _opened(asking, records)
    until = since + timedelta(seconds=asking.within_s) if since else None
    given = answers_to(asking, records)
    no = next((one for one in given if one["detail"]["answer"] == "no"), None)
    if no is not None or not given:
        return Standing(asking, is_open, until, no)
    yes = given[0]
    if not is_open:
        why = "it was given before the earlier ring was finished"
    elif until is not None and read_stamp(yes["time"]) > until:
        why = f"it came after {stamp(until)}"
    elif asking.earlier and since is not None and read_stamp(yes["time"]) < since:
        why = "it was given before the earlier ring was finished"
    else:
        why = objection(yes)
    return Standing(asking, is_open, until, None if why else yes, why)


def standings(
    plan: Mapping[str, Any],
    service: str | None,
    records: Sequence[Record],
    objection: Callable[[Asking, Record], str] = lambda _asking, _record: "",
) -> dict[str, Standing]:
    """Return how each question of one service stands, by the probe's name."""
    return {
        one.probe: standing(one, records, partial(objection, one)) for one in askings(plan) if one.service == service
    }


def answers_to(asking: Asking, records: Iterable[Record]) -> list[Record]:
    """Return the records of the answers to a question, oldest first."""
    return [one for one in records if "answer" in one["detail"] and _is_of(asking, one)]


def is_told(asking: Asking, records: Iterable[Record]) -> bool:
    """Say whether people were told already that they are asked."""
    return any("asked" in one["detail"] and _is_of(asking, one) for one in records)


def is_answering(record: Record) -> bool:
    """Say whether a record is of a question to people, which may be older than the night, or of a dead run."""
    is_note = record["host"] is None and (record["step"], record["event"]) == ("gate", "note")
    return is_note and not {"asked", "answer"}.isdisjoint(record["detail"])


def _is_of(asking: Asking, record: Record) -> bool:
    of = record["detail"].get("service"), record["detail"].get("probe")
    return is_answering(record) and of == (asking.service, asking.probe)


def _opened(asking: Asking, records: Sequence[Record]) -> tuple[bool, datetime | None]:
    """Return whether a question can be answered, and since when its time runs."""
    began = next(
        (
            read_stamp(one["time"])
            for one in records
            if one["host"] is None and (one["step"], one["event"]) == ("gate", "begin")
        ),
        None,
    )
    states = host_states(records)
    earlier = [states[host] for host in asking.earlier if host in states]
    if len(earlier) < len(asking.earlier) or any(one.outcome not in ("patched", "nothing_to_do") for one in earlier):
        return False, None
    patched = [one.time for one in earlier if one.outcome == "patched"]
    return True, max(patched) if patched else began


def people(asking: Asking) -> str:
    """Return who may answer, for a sentence."""
    return " or ".join(asking.who)


def told(one: Standing) -> str:
    """Return how a question stands, for people: what is waited for, until when, and how it is answered."""
    asking = one.asking
    subject = f"{asking.service}: {asking.probe} ({asking.ask})"
    if one.answer is not None:
        return f"{subject}: {said(one.answer)}"
    if not one.is_open:
        return (
            f"{subject} is asked of {people(asking)} once {', '.join(asking.earlier)} is patched, before "
            f"{', '.join(asking.hosts)}"
        )
    until = f"until {stamp(one.until)}" if one.until else f"within {asking.within_s} s of the run's begin"
    doubt = f"; a yes does not count: {one.discounted}" if one.discounted else ""
    return (
        f"{subject} is asked of {people(asking)}, {until}; {', '.join(asking.hosts)} waits for it{doubt}. "
        f"Answer: {asking.command()}, or answer_is=no"
    )


def planned(asking: Asking) -> str:
    """Return what is asked of whom and when, as a plan says it."""
    when = f"{', '.join(asking.earlier)} is patched" if asking.earlier else "the run begins"
    signed = ", signed" if asking.signed else ""
    minutes = -(-asking.within_s // 60)
    return (
        f"{asking.service} {asking.probe}: {asking.ask} ({people(asking)}{signed}, within {minutes} min after {when})"
    )


def said(record: Record) -> str:
    """Return who has answered what."""
    detail = record["detail"]
    claim = " (claimed, not signed)" if detail["claimed"] else ""
    reason = f": {detail['reason']}" if detail["reason"] else ""
    return f"{detail['by']} says {detail['answer']}{claim}{reason}"
