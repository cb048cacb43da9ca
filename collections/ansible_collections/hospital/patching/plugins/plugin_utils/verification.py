# SPDX-License-Identifier: GPL-3.0-or-later
"""The verdict over a host: its versions and its health, after compared with before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import figures, health


@dataclass(frozen=True)
class Judgement:
    """A verdict with its findings, and what the operator is told when it is not ``ok``."""

    verdict: str
    findings: list[dict[str, Any]]
    message: str
    marks_equal: bool | None = None
    holds_equal: bool | None = None

    def evidence(self) -> dict[str, Any]:
        """Return what the ledger keeps beside the probes themselves."""
        return {
            "verdict": self.verdict,
            "findings": self.findings,
            "msg": self.message,
            "marks_equal": self.marks_equal,
            "holds_equal": self.holds_equal,
        }


@dataclass(frozen=True)
class Terms:
    """By what a host is judged: how much worse its numbers may become, and which probes may find it broken before."""

    numbers: figures.Numbers = figures.DEFAULT
    broken_before: tuple[str, ...] = ()

    @classmethod
    def of(cls, entry: Mapping[str, Any], usual: Mapping[tuple[str, figures.Key], int] | None = None) -> Terms:
        """Return those of a host by its entry in the plan."""
        numbers = figures.Numbers.of(entry["tier"], entry.get("thresholds"), usual)
        return cls(numbers, tuple(entry.get("broken_before", ())))


DEFAULT = Terms()


def judge(
    host: str,
    before: list[dict[str, Any]],
    after: list[dict[str, Any]] | None,
    versions: dict[str, Any],
    terms: Terms = DEFAULT,
) -> Judgement:
    """Judge a host before (``after`` is None) or after it was patched.

    ``versions`` is the result of ``update_verify``; any problem there is a failure,
    whatever the probes say.
    """
    if after is None:
        return _fit_to_start(host, before, terms)
    compared = health.compare(before, after, terms.numbers)
    problems = list(versions.get("problems") or [])
    findings: list[dict[str, Any]] = [{**problem, "verdict": "failed"} for problem in problems]
    findings += [dict(finding) for finding in compared.findings]
    verdict = "failed" if problems else compared.verdict
    said = [f"{problem['subject']}: {problem['seen']}" for problem in problems]
    said += [f"{finding['probe']}: {finding['finding']}" for finding in compared.findings if finding["verdict"] != "ok"]
    message = "" if verdict == "ok" else _message(host, "; ".join(said) or verdict, "versions and health as before")
    return Judgement(verdict, findings, message, versions.get("marks_equal"), versions.get("holds_equal"))


def _fit_to_start(host: str, before: list[dict[str, Any]], terms: Terms) -> Judgement:
    reason = health.fit_to_start(before, terms.broken_before, terms.numbers)
    found = health.notes(before, terms.broken_before, terms.numbers)
    findings = [{"finding": note, "verdict": "ok"} for note in found]
    if reason is None:
        return Judgement("ok", findings, "")
    return Judgement("failed", findings, _message(host, reason, "a healthy host before it is patched"))


def _message(host: str, seen: str, expected: str) -> str:
    next_step = "look at the probe named here from where users are; nothing more is changed on this host until then"
    return str(PatchingError(f"host {host}", seen, expected, next_step))
