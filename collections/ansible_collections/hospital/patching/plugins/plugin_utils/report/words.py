# SPDX-License-Identifier: GPL-3.0-or-later
"""How page and text name things and write numbers; no markup."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from ansible_collections.hospital.patching.plugins.plugin_utils import disk_revert
from ansible_collections.hospital.patching.plugins.plugin_utils.times import read_stamp

UNMEASURED = "not measured"
#: What a table shows where there is nothing to show.
NONE = "\N{EN DASH}"
NBSP = "\N{NO-BREAK SPACE}"

#: Worst first, as they are counted in the headline.
OUTCOMES = {
    "stuck": "stuck",
    "unreachable": "unreachable",
    "unverified": "unverified",
    "no outcome": "without an outcome",
    "rolled_back": "rolled back",
    "refused": "refused",
    "not_started": "not started",
    "patched": "patched",
    "nothing_to_do": "nothing to do",
    "excluded": "excluded",
}
#: Outcomes by how they are felt: the page colours them, the text counts them.
MOODS = {
    "patched": "good",
    "nothing_to_do": "good",
    "rolled_back": "warn",
    "refused": "warn",
    "not_started": "warn",
    "unverified": "bad",
    "stuck": "bad",
    "unreachable": "bad",
    "excluded": "quiet",
}
STEPS = {
    "health_before": "health before",
    "rollback": "roll back",
    "hook": "a hook of the site",
    "silence": "alert silence",
}
VERDICTS = {"ok": "ok", "failed": "failed", "inconclusive": "inconclusive", None: UNMEASURED}
MOMENTS = {"before": "before", "after": "after", "after_rollback": "after rolling back"}
#: Worst first, as hosts are listed.
MOOD_ORDER = ("bad", "warn", "good", "quiet")
TROUBLES = {
    "marks": "marks differ",
    "reboot_owed": "reboot owed",
    "taken_back": "taken back",
    "conffile": "files proposed",
    "evidence": "evidence broken",
    "break_glass": "break-glass used",
    "device_contacted": "device contacted",
    "felt": "users felt it",
    "unfinished": "no outcome yet",
    "more": "further down",
}
FOOTER = (
    "A report of hospital.patching. It states what was recorded; whether that satisfies a rule is for an auditor to "
    "judge. A ledger that is not anchored could have been rewritten as a whole by whoever may write its folder."
)
#: So many names stand in a sentence.
_NAMES = 10
_LATER = {"taken back": "Taken back", "return": "Returned or held out by hand", "continued": "Continued"}
STATES = {"installed": "installed", "put_back": "put back", "not_installed": "not installed"}


def outcome(word: str | None) -> str:
    """Return the outcome as people read it."""
    return OUTCOMES.get(word or "", "no outcome yet")


def mood(word: str | None) -> str:
    """Return ``good``, ``warn``, ``bad`` or ``quiet``; a host without an outcome is ``bad``."""
    return MOODS.get(word or "", "bad")


def some(names: Sequence[str], most: int = 4) -> str:
    """Return the names, of many only the first."""
    if len(names) <= most:
        return ", ".join(names)
    return f"{', '.join(names[: most - 1])} and {len(names) - most + 1} more"


def step(word: str) -> str:
    """Return a step's name as people read it."""
    return STEPS.get(word, word)


def duration(milliseconds: int | None) -> str:
    """Return ``0.4 s``, ``42 s``, ``6 min 05 s`` or ``1 h 12 min``; it is never broken over two lines."""
    return _duration(milliseconds).replace(" ", NBSP) if milliseconds is not None else UNMEASURED


def _duration(milliseconds: int) -> str:
    if 0 < milliseconds < 100:
        return "<0.1 s"
    seconds = round(milliseconds / 1000)
    if milliseconds < 10_000:
        return f"{milliseconds / 1000:.1f} s"
    if seconds < 100:
        return f"{seconds} s"
    if seconds < 5400:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"


def count(number: int | None, one: str, many: str | None = None) -> str:
    """Return ``1 update`` or ``25 updates``; an unknown number is ``not measured``."""
    if number is None:
        return UNMEASURED
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def zone(report: Mapping[str, Any]) -> tzinfo:
    """Return the time zone of the hosts' windows; UTC when they name none."""
    name = (report["window"] or {}).get("time_zone") or "UTC"
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return UTC


def moment(stamp: str | None, where: tzinfo, form: str = "%H:%M:%S") -> str:
    """Return a stamp as local time."""
    return UNMEASURED if stamp is None else read_stamp(stamp).astimezone(where).strftime(form)


def day(stamp: str | None, where: tzinfo) -> str:
    """Return ``Sunday 22 November 2026``."""
    if stamp is None:
        return "a night that has not begun"
    local: datetime = read_stamp(stamp).astimezone(where)
    return f"{local:%A} {local.day} {local:%B %Y}"


def headline(report: Mapping[str, Any]) -> str:
    """Return the night in one sentence."""
    coverage = report["coverage"]
    counted = coverage["by_outcome"]
    others = {word: counted[word] for word in OUTCOMES if word in counted and word not in ("patched", "nothing_to_do")}
    text = f"{coverage['up_to_date']} of {count(coverage['hosts'], 'host')} up to date"
    if others:
        text += "; " + ", ".join(f"{number} {OUTCOMES[word]}" for word, number in others.items())
    return text + "."


def listed_and_installed(host: Mapping[str, Any]) -> str:
    """Return both numbers, as a reader compares them."""
    listed = UNMEASURED if host["listed"] is None else str(host["listed"])
    installed = UNMEASURED if host["installed"] is None else str(host["installed"])
    text = f"listed {listed}, installed {installed}"
    return f"{text}, put back {host['put_back']}" if host["put_back"] else text


def marks(host: Mapping[str, Any]) -> str:
    """Return whether package marks and holds are as before."""
    words = {True: "as before", False: "CHANGED", None: UNMEASURED}
    return f"marks {words[host['marks_equal']]}, holds {words[host['holds_equal']]}"


def restart(host: Mapping[str, Any]) -> str:
    """Return what was restarted or rebooted, and why."""
    reboot = host["reboot"]
    texts = []
    if reboot["rebooted"]:
        texts.append("rebooted" + _because(reboot["reasons"]))
    elif reboot["required"]:
        texts.append("REBOOT OWED" + _because(reboot["reasons"]))
    if host["restarted"]:
        units = ", ".join(
            one["unit"].removesuffix(".service") + (" (reload)" if one["how"] == "reload" else "")
            for one in host["restarted"]
        )
        texts.append(f"restarted {count(len(host['restarted']), 'unit')}: {units}")
    if host["restart_failed"]:
        texts.append("did not come back: " + ", ".join(one["unit"] for one in host["restart_failed"]))
    if host["owed"]:
        texts.append("owed: " + ", ".join(owed(one) for one in host["owed"]))
    if texts:
        return "; ".join(texts)
    return "nothing needed a restart" if reboot["required"] is False else UNMEASURED


def owed(one: Mapping[str, Any]) -> str:
    """Return what still runs old code: a unit, a process, or the whole host."""
    if one["unit"] or one["pid"]:
        return str(one["unit"] or f"process {one['pid']}")
    return str(one["reason"])


def _because(reasons: Iterable[str]) -> str:
    text = ", ".join(reasons)
    return f" ({text})" if text else ""


def health(host: Mapping[str, Any]) -> str:
    """Return ``ok → ok``, with a third verdict after a rollback."""
    verdicts = host["health"]["verdicts"]
    text = f"{VERDICTS[verdicts['before']]} → {VERDICTS[verdicts['after']]}"
    if verdicts["after_rollback"] is not None:
        text += f" → {VERDICTS[verdicts['after_rollback']]} after rolling back"
    return text


def figure(one: Mapping[str, Any]) -> str:
    """Return a number's name, of what it is and in which unit."""
    of = f" of {one['of']}" if one["of"] else ""
    return f"{one['figure']}{of} ({one['unit']})"


def way_back(host: Mapping[str, Any]) -> str:
    """Return what the host could have gone back to."""
    snapshot = host["snapshot"]
    if snapshot is None:
        return UNMEASURED
    name = {
        "aws_ebs": "EBS snapshots",
        "container": "container snapshot",
        "libvirt": "libvirt snapshot",
        "none": "none",
        "preserved": "preserved packages",
        "proxmox": "Proxmox VE snapshot",
        "vsphere": "vSphere snapshot",
    }
    parts = [name.get(snapshot["provider"], snapshot["provider"]), snapshot["id"], snapshot["reason"]]
    return " · ".join(part for part in parts if part)


def put_back(host: Mapping[str, Any]) -> str:
    """Return what the host's disk was put back to, and what that has lost; nothing where it was not."""
    revert = host.get("disk_revert")
    if revert is None:
        return ""
    text = f"to {revert['snapshot']}" if revert["done"] else f"begun to {revert['snapshot']}, and not ended"
    return f"{text}; {disk_revert.loss_text(revert['loss'])}" if revert["loss"] else text


def drained(host: Mapping[str, Any]) -> str:
    """Return where the host was drained, and for how long."""
    drain = host["drain"]
    if drain is None:
        return UNMEASURED
    if drain["type"] == "none":
        return "not drained" + (f": {drain['reason']}" if drain["reason"] else "")
    text = f"drained at {drain['at']}" if drain["at"] else f"drained ({drain['type']})"
    if drain["certain"] is False:
        text = f"perhaps {text}, which failed,"
    if host["out_ms"] is None:
        return "never drained" if host["steps"] else text
    return f"{text} for {duration(host['out_ms'])}" + ("" if host["returned"] else ", NOT RETURNED")


def window_left(report: Mapping[str, Any]) -> str:
    """Return how far before the window's end the run was over."""
    window = report["window"]
    if window is None or window["left_s"] is None:
        return UNMEASURED
    left = duration(abs(window["left_s"]) * 1000)
    return f"{left} before the window ended" if window["left_s"] >= 0 else f"{left} AFTER the window ended"


def seal(report: Mapping[str, Any]) -> str:
    """Return whether the ledger's head is sealed and anchored."""
    evidence = report["evidence"]
    sealed = {True: "sealed", False: "not sealed", None: "seal not checked"}[evidence["sealed"]]
    by = f" by {evidence['signed_by']}" if evidence["signed_by"] else ""
    return f"{sealed}{by}, {evidence['anchored']}"


def span(report: Mapping[str, Any], where: tzinfo) -> str:
    """Return when the night was, in the time zone of its window."""
    if report["started"] is None:
        return "Nothing has been recorded."
    times = f"{moment(report['started'], where)} to {moment(report['ended'], where)}"
    name = (report["window"] or {}).get("time_zone") or "UTC"
    window = report["window"]
    if window is None:
        return f"{times} {name}; no window was planned"
    same_day = moment(window["start"], where, "%j") == moment(window["end"], where, "%j")
    form = "%H:%M" if same_day else "%a %H:%M"
    opens, closes = moment(window["start"], where, form), moment(window["end"], where, form)
    return f"{times}, window {opens} to {closes} ({name}); over {window_left(report)}"


def later(report: Mapping[str, Any], where: tzinfo) -> list[str]:
    """Return what was done after the night, one sentence a piece of work."""
    return [
        f"{_LATER[work['kind']]} on {day(work['start'], where)}, {moment(work['start'], where)} to"
        f" {moment(work['end'], where)}"
        + (f", for {work['by']}" if work["by"] else "")
        + (f" ({work['reason']})" if work["reason"] else "")
        + (f": {'; '.join(_became(host) for host in work['hosts'])}" if work["hosts"] else "")
        + (f"; not asked: {_some(work['not_asked'])}" if work["not_asked"] else "")
        + "."
        for work in report["later"]
    ]


def _some(names: Sequence[str]) -> str:
    """Return names as far as a sentence can hold them; the report's hosts have all."""
    more = len(names) - _NAMES
    return ", ".join(names) if more <= 1 else f"{', '.join(names[:_NAMES])} and {more} more"


def _became(host: Mapping[str, Any]) -> str:
    if host["reason"] and host["outcome"] is None:
        return f"{host['host']} was left as it was ({host['reason']})"
    return f"{host['host']} {outcome(host['outcome'])}"


def started_by(opened: Mapping[str, Any]) -> str:
    """Return who started the run, and where; the name is what the environment claims."""
    if not opened["started_by"] and not opened["controller"]:
        return UNMEASURED
    return f"{opened['started_by'] or 'unknown'} (as claimed) on {opened['controller'] or 'an unknown controller'}"


def identity(host: Mapping[str, Any]) -> str:
    """Return what kind of host it is."""
    parts = [
        host["kind"],
        f"of {host['service']}" if host["service"] else None,
        f"tier {host['tier']}" if host["tier"] is not None else None,
        host["policy"],
        f"ring {host['ring']}" if host["ring"] else None,
        f"wave {host['wave']}" if host["wave"] is not None else None,
    ]
    return ", ".join(part for part in parts if part)


def gist(host: Mapping[str, Any]) -> str:
    """Return the host's night in one line."""
    cause = next((f"{failure['what']}; " for failure in host["failures"] if failure["what"]), "")
    if host["outcome"] == "stuck" and cause:
        return f"{cause}health {health(host)}"
    if not host["steps"] or host["outcome"] in ("refused", "not_started", "unreachable", "excluded", "stuck", None):
        return str(host["reason"] or "nothing was recorded")
    if host["outcome"] == "rolled_back":
        of = f" of {host['put_back'] + host['installed']}" if host["installed"] else ""
        told = f"{host['put_back']}{of} updates" if of else count(host["put_back"], "update")
        return f"{cause}{told} put back; health {health(host)}"
    security = sum(update["security"] for update in host["updates"] if update["state"] == "installed")
    parts = [f"{count(host['installed'], 'update')} ({security} security, {count(len(host['cves']), 'CVE')})"]
    if host["reboot"]["rebooted"]:
        parts.append("rebooted")
    elif host["restarted"]:
        parts.append(f"{count(len(host['restarted']), 'unit')} restarted")
    parts.append(f"health {health(host)}")
    return "; ".join(parts)


def merge(change: Mapping[str, Any]) -> str:
    """Return one change of a configuration file: its key, or that it has none, and where it stands."""
    here, there = change["line"], change["proposed_line"]
    where = {
        "changed": f"line {here}, proposed {there}",
        "added": f"proposed line {there}",
        "removed": f"line {here}, not proposed",
    }
    return f"{change['key'] or 'lines'} {change['change']} ({where.get(change['change'], '')})"


def merge_rest(file: Mapping[str, Any]) -> str:
    """Return what is to be said of a file beside its changes; empty when nothing is."""
    return file["note"] or (f"and {file['more']} more" if file["more"] else "")
