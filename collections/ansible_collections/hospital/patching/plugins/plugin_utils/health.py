# SPDX-License-Identifier: GPL-3.0-or-later
"""Health before compared with health after: what was healthy must be healthy again.

Works on probe results as the module ``app_health_info`` returns them. What was
broken before is said to have been so, and is never counted as the update's
doing. Nothing that is missing or inconclusive afterwards passes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypedDict

from ansible_collections.hospital.patching.plugins.plugin_utils import figures

Verdict = Literal["ok", "failed", "inconclusive"]
Result = Mapping[str, Any]

#: Ports above are handed out by the kernel (net.ipv4.ip_local_port_range) and differ after every restart.
LAST_LASTING_PORT = 32768
#: How the state of a unit begins that runs, and that of one that does or may soon (probes/units.py).
RUNS = ("active", "reloading", "refreshing")
MAY_RUN = (*RUNS, "activating", "starting", "oneshot")
ANY_IPV4 = "0.0.0.0"  # noqa: S104 - compared with, never bound to


class Finding(TypedDict):
    """One thing worth telling about one probe; ``verdict`` is its weight in the comparison."""

    probe: str
    before: Verdict | None
    after: Verdict | None
    finding: str
    verdict: Verdict


@dataclass(frozen=True)
class Comparison:
    """The verdict over all probes, and every finding, the worst first."""

    verdict: Verdict
    findings: list[Finding]

    def to_json(self) -> dict[str, Any]:
        return {"verdict": self.verdict, "findings": [dict(finding) for finding in self.findings]}


def compare(
    before: Sequence[Result], after: Sequence[Result], numbers: figures.Numbers = figures.DEFAULT
) -> Comparison:
    """Compare two readings of the same probes, matched by name.

    Args:
        before: probe results from just before the host was touched.
        after: probe results from afterwards.
        numbers: how much worse the host's numbers may become.
    """
    earlier, later = _by_name(before), _by_name(after)
    findings: list[Finding] = []
    for name in [*earlier, *(name for name in later if name not in earlier)]:
        findings += _compare_one(name, earlier.get(name), later.get(name))
        findings += _compare_numbers(name, earlier.get(name), later.get(name), numbers)
    for name in sorted(_repeated(before) | _repeated(after)):
        findings.append(
            _finding(name, None, None, "two probes have this name and cannot be told apart", "inconclusive")
        )
    if not later:
        findings.append(_finding("health", None, None, "nothing was measured afterwards", "inconclusive"))
    weight: dict[Verdict, int] = {"failed": 0, "inconclusive": 1, "ok": 2}
    findings.sort(key=lambda finding: weight[finding["verdict"]])
    return Comparison(findings[0]["verdict"] if findings else "ok", findings)


def fit_to_start(
    before: Sequence[Result], broken_before: Collection[str] = (), numbers: figures.Numbers = figures.DEFAULT
) -> str | None:
    """Return why an update must not start on this host, or None.

    A check that already fails leaves nothing to prove afterwards. Failed units
    that no probe names are only noted (see :func:`notes`): servers live with them for years.

    Args:
        broken_before: names of probes that may find something broken, by the site's policy. One that could
            not tell is no less a reason.
    """
    if not before:
        return "no health check was read, so nothing could be compared afterwards"
    for word, verdict in (("fails", "failed"), ("is inconclusive", "inconclusive")):
        for result in before:
            if result["verdict"] == verdict and not _only_noted(result, broken_before):
                return f"the health check {result['name']} of {result['target']} {word} already: {result['detail']}"
    for result in before:
        for ill in () if result["name"] in broken_before else numbers.ill(result["name"], figures.figures_of(result)):
            return f"the health check {result['name']} of {result['target']} finds already: {ill}"
    for name in sorted(_repeated(before)):
        return f"two health checks are named {name}, so they could not be told apart afterwards"
    return None


def notes(
    before: Sequence[Result], broken_before: Collection[str] = (), numbers: figures.Numbers = figures.DEFAULT
) -> list[str]:
    """Return what is broken already and is no reason to refuse, for the report."""
    told = []
    for result in before:
        if _only_noted(result, broken_before):
            told.append(f"{result['name']}: {result['detail']} (before the update)")
        elif result["name"] in broken_before:
            ill = numbers.ill(result["name"], figures.figures_of(result))
            told += [f"{result['name']}: {one} (before the update)" for one in ill]
    return told


def _only_noted(result: Result, broken_before: Collection[str] = ()) -> bool:
    if result["verdict"] != "failed":
        return False
    return result["name"] in broken_before or (result["type"] == "units" and not _value(result).get("named"))


def _compare_numbers(
    name: str, before: Result | None, after: Result | None, numbers: figures.Numbers
) -> Iterator[Finding]:
    """Yield what became worse of a probe that told both times; one that fails since the update says it already."""
    if before is None or after is None or before["type"] != after["type"]:
        return
    was, now = before["verdict"], after["verdict"]
    if "inconclusive" in (was, now) or (was == "ok" and now == "failed"):
        return
    seen = figures.figures_of(before)
    if (was, now) != ("ok", "ok"):
        # An error page comes quickly: how long it took is nothing to hold an answer against.
        seen.pop(("latency_ms", ""), None)
    for text, weight in numbers.changes(name, seen, figures.figures_of(after)):
        yield _finding(name, was, now, text, "failed" if weight == "failed" else "ok")


def _compare_one(name: str, before: Result | None, after: Result | None) -> list[Finding]:
    was: Verdict | None = before["verdict"] if before else None
    now: Verdict | None = after["verdict"] if after else None

    def finding(text: str, verdict: Verdict) -> list[Finding]:
        return [_finding(name, was, now, text, verdict)]

    if after is None:
        return finding("was not measured again", "inconclusive")
    if now == "inconclusive":
        return finding(f"could not be measured: {after['detail']}", "inconclusive")
    if before is None or was == "inconclusive":
        return finding(f"fails, and was not known before: {after['detail']}", "failed") if now == "failed" else []
    if before["type"] != after["type"]:
        return finding(f"was of type {before['type']} and is now {after['type']}", "inconclusive")
    if before["type"] in _COMPARERS:
        if not (_value(before) and _value(after)):
            return finding("cannot be compared: a reading holds no value", "inconclusive")
        changes = _COMPARERS[before["type"]](_value(before), _value(after))
        if changes:
            return finding("; ".join(changes), "failed")
    if now == "failed":
        # A unit that failed only now was found above, so what is left here failed before as well.
        if was == "failed" or _only_noted(after):
            return finding(f"was already failing before the update: {after['detail']}", "ok")
        return finding(f"fails since the update: {after['detail']}", "failed")
    if was == "failed":
        return finding("failed before the update and is healthy now", "ok")
    told = _units_told(_value(before), _value(after))
    return finding("; ".join(told), "ok") if told else []


def _compare_units(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    newly = sorted(set(after.get("failed", [])) - set(before.get("failed", [])))
    states: Mapping[str, str] = after.get("units", {})
    found = [f"{unit} was healthy and is {states.get(unit, 'failed')} now" for unit in newly]
    now: Mapping[str, str] = after.get("enabled", {})
    for unit, was in before.get("enabled", {}).items():
        if was.startswith(RUNS) and unit in now and unit not in newly and not now[unit].startswith(MAY_RUN):
            found.append(f"{unit} was {was} and is {now[unit]} now")
    return found


def _units_told(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Return which units are enabled now, or not any more: packages may do that, and whoever reads it judges."""
    if "enabled" not in before or "enabled" not in after:
        return []
    was, now = set(before["enabled"]), set(after["enabled"])
    gone = [f"{unit} was enabled and is not any more" for unit in sorted(was - now)]
    return gone + [f"{unit} was not enabled and is now" for unit in sorted(now - was)]


def _compare_ports(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    named = {*before.get("named", []), *after.get("named", [])}
    now = [_Socket.parse(entry) for entry in after.get("listening", [])]
    vanished = []
    for entry in before.get("listening", []):
        was = _Socket.parse(entry)
        if was.port > LAST_LASTING_PORT and f"{was.protocol}/{was.port}" not in named:
            continue
        if not any(candidate.covers(was) for candidate in now):
            vanished.append(f"nothing listens on {entry} any more")
    return vanished


@dataclass(frozen=True)
class _Socket:
    """One listening socket, written ``tcp 0.0.0.0:80`` or ``udp [::]:161``."""

    protocol: str
    address: str
    port: int

    @classmethod
    def parse(cls, entry: str) -> _Socket:
        protocol, where = entry.split(" ", 1)
        address, port = where.rsplit(":", 1)
        return cls(protocol, address, int(port))

    def covers(self, other: _Socket) -> bool:
        """Whether who reached ``other`` reaches this: [::] takes IPv4 as well, 0.0.0.0 no IPv6."""
        if (self.protocol, self.port) != (other.protocol, other.port):
            return False
        wildcards = {"[::]"} if other.address.startswith("[") else {"[::]", ANY_IPV4}
        return self.address == other.address or self.address in wildcards


def _compare_mounts(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    changes = []
    now: Mapping[str, Any] = after.get("mounts", {})
    for path, was in before.get("mounts", {}).items():
        if path not in now:
            changes.append(f"{path} is not mounted any more")
        elif now[path]["read_only"] and not was["read_only"]:
            changes.append(f"{path} became read-only")
        elif now[path]["type"] != was["type"]:
            changes.append(f"{path} was {was['type']} and is {now[path]['type']} now")
    return changes


_COMPARERS = {"units": _compare_units, "ports": _compare_ports, "mounts": _compare_mounts}


def _value(result: Result) -> Mapping[str, Any]:
    value = result.get("value")
    return value if isinstance(value, Mapping) else {}


def _by_name(results: Sequence[Result]) -> dict[str, Result]:
    return {str(result["name"]): result for result in results}


def _repeated(results: Sequence[Result]) -> set[str]:
    names = [str(result["name"]) for result in results]
    return {name for name in names if names.count(name) > 1}


def _finding(probe: str, before: Verdict | None, after: Verdict | None, text: str, verdict: Verdict) -> Finding:
    return {"probe": probe, "before": before, "after": after, "finding": text, "verdict": verdict}
