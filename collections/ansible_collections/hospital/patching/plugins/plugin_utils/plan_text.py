# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan as plain text for a terminal, at most 120 columns wide."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.hospital.patching.plugins.plugin_utils import answers, emergency, hooks
from ansible_collections.hospital.patching.plugins.plugin_utils.names import natural_key
from ansible_collections.hospital.patching.plugins.plugin_utils.outcomes import GOOD
from ansible_collections.hospital.patching.plugins.plugin_utils.silences import registry as silences
from ansible_collections.hospital.patching.plugins.plugin_utils.timeline import Span, timeline

WIDTH = 120
#: The widest a column of names becomes before it is cut.
NAME_WIDTH = 28
#: How an estimate is marked that was learned from past nights: the host's own, or those of hosts like it.
LEARNED = {"setting": "", "host": " *", "alike": " ~"}


def plan_table(plan: Mapping[str, Any]) -> str:
    """Return waves, hosts, updates and refusals of a plan as readable text."""
    lines = _head(plan)
    for wave, span in zip(plan["waves"], timeline(plan), strict=True):
        lines += ["", *_wave(plan, wave, span)]
    lines += _learned(plan["hosts"].values())
    if not plan["waves"]:
        lines += ["", "No host is planned: nothing will be disrupted."]
    if plan["not_planned"]:
        lines += ["", "Not planned", *_not_planned(plan["not_planned"])]
    owed = reboots_owed(plan["hosts"])
    if owed:
        lines += ["", "Reboot owed already, whatever is installed", *(_shared_lines(owed, len(plan["hosts"])))]
    health = health_terms(plan["hosts"])
    if health:
        lines += ["", "Health is judged otherwise than by default", *(_shared_lines(health, len(plan["hosts"])))]
    asked = asked_of(plan)
    if asked:
        lines += ["", "Asked of people before the broad ring", *_shared_lines(asked, len(plan["hosts"]))]
    silenced = silences_of(plan["hosts"])
    if silenced:
        lines += ["", "Alerts that are silenced meanwhile", *_shared_lines(silenced, len(plan["hosts"]))]
    found = ways_back_found(plan["hosts"])
    if found:
        lines += ["", "Ways back that were found out", *_shared_lines(found, len(plan["hosts"]))]
    told = hooks_of(plan["hosts"])
    if told:
        lines += ["", "Hooks", *_shared_lines(told, len(plan["hosts"]))]
    if plan["hosts"]:
        lines += ["", "Updates", *_updates(plan["hosts"])]
    if software_removals(plan["hosts"]):
        lines += ["", "Software that is removed, by the approval of this plan", *_removals(plan["hosts"])]
    return "\n".join(lines) + "\n"


def _head(plan: Mapping[str, Any]) -> list[str]:
    """Return what is said of the plan before its waves."""
    lines = _wrapped(f"Plan {plan['plan_id']}, made {plan['created']}")
    lines += _wrapped(f"Digest {plan['digest']}")
    lines += [line for one in emergency.told(plan) for line in _wrapped(one)]
    if plan.get("derived_from"):
        lines += _wrapped(f"Derived from plan {plan['derived_from']}, from which something was dropped")
    if plan.get("given"):
        lines += _wrapped(f"Given on the command line, not by the inventory: {', '.join(plan['given'])}")
    for one in plan.get("left_out", ()):
        lines += _wrapped(one)
    if plan["shard"]["of"] > 1:
        lines.append(f"Shard {plan['shard']['number']} of {plan['shard']['of']}")
    lines += _segments(plan["site"]["segments"])
    if plan["hosts"]:
        lines += _budget(plan["failure_budget"])
        limits = plan["limits"]
        canaries = "a canary alone" if limits["canaries"] == 1 else f"of them {limits['canaries']} canaries"
        lines.append(f"At once: at most {limits['parallel']} hosts, {canaries}")
    return lines


def _segments(segments: Sequence[str] | None) -> list[str]:
    if segments is None:
        return ["Device segments: not declared, so no host is contacted"]
    return _wrapped(f"Device segments: {', '.join(segments) or 'declared as none'}")


def _budget(budget: Mapping[str, Any]) -> list[str]:
    """Say how many hosts may fail before others are left alone; a level that is not named allows none."""
    levels = [("run", budget["run"])]
    levels += [(f"ring {ring}", number) for ring, number in budget["rings"].items()]
    levels += [(f"service {name}", number) for name, number in budget["services"].items()]
    allowed = [f"{what} {number}" for what, number in levels if number]
    if not budget["run"]:
        return ["Failed hosts allowed: none, the first one stops the run"]
    return _wrapped(f"Failed hosts allowed: {', '.join(allowed)}; elsewhere none")


def _learned(entries: Iterable[Mapping[str, Any]]) -> list[str]:
    by = {entry["estimated_by"]["forward"] for entry in entries}
    said = [("host", "* learned from the host's own past nights"), ("alike", "~ learned from hosts like it")]
    told = "; ".join(text for key, text in said if key in by)
    return ["", f"  {told}"] if told else []


def _wave(plan: Mapping[str, Any], wave: Mapping[str, Any], span: Span) -> list[str]:
    hosts = {host: plan["hosts"][host] for host in wave["hosts"]}
    soak = f", then {_minutes(wave['soak_s'])} soak" if wave["soak_s"] else ""
    when = f"{span.start:%Y-%m-%d %H:%M} to {span.end:%H:%M} UTC by estimate"
    title = f"Wave {wave['number']} ({wave['kind']}, {when}{soak})"
    rows = [("host", "service", "tier", "ring", "window (UTC)", "takes", "drain", "way back", "updates")]
    for host, entry in hosts.items():
        rows.append(
            (
                host,
                entry["service"] or "-",
                str(entry["tier"]),
                entry["ring"],
                _window(entry["window"]),
                f"{-(-entry['estimate_s'] // 60)} min{LEARNED[entry['estimated_by']['forward']]}",
                entry["drain"].get("host", entry["drain"]["type"]),
                entry["snapshot"]["provider"],
                str(len(entry["updates"])),
            )
        )
    return [title, *_table(rows)]


def _window(window: Mapping[str, str] | None) -> str:
    if window is None:
        return "when seen"
    start, end = window["start"][:16].replace("T", " "), window["end"][:16].replace("T", " ")
    return f"{start} - {end[11:] if end[:10] == start[:10] else end}"


def _minutes(seconds: int) -> str:
    return f"{seconds // 60} min" if seconds % 60 == 0 else f"{seconds} s"


def _not_planned(entries: Mapping[str, Mapping[str, str]]) -> list[str]:
    lines: list[str] = []
    width = _name_width(entries)
    for host in sorted(entries, key=lambda name: urgency(entries, name)):
        entry = entries[host]
        label = f"  {_cut(host, width):<{width}}  {entry['outcome']:<13}  "
        lines += _wrapped(entry["reason"], label, " " * len(label))
    return lines


def urgency(entries: Mapping[str, Mapping[str, str]], host: str) -> tuple[object, ...]:
    """Return a sort key of hosts that are not planned: first those that somebody has to look at."""
    return (entries[host]["outcome"] in GOOD, entries[host]["outcome"], natural_key(host))


def _updates(hosts: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """List each change once, with the hosts that get it."""
    lines: list[str] = []
    for (name, arch, before, after), names, _cves in changes_of(hosts):
        lines += _shared(f"{name} ({arch}) {before} -> {after}", names, len(hosts))
    return lines


def software_removals(hosts: Mapping[str, Mapping[str, Any]]) -> dict[tuple[str, str], list[str]]:
    """Return name and version of each declared software that the plan removes, with the hosts that lose it."""
    found: dict[tuple[str, str], list[str]] = {}
    for host in sorted(hosts, key=natural_key):
        for update in hosts[host]["updates"]:
            if update.get("installer") and update["to"] is None:
                found.setdefault((update["name"], update["from"]), []).append(host)
    return dict(sorted(found.items()))


def _removals(hosts: Mapping[str, Mapping[str, Any]]) -> list[str]:
    lines: list[str] = []
    for (name, version), names in software_removals(hosts).items():
        lines += _wrapped(f"{name} {version}: {', '.join(names)}", "  ", "      ")
    return lines


def _shared_lines(found: Iterable[tuple[str, list[str]]], size: int) -> list[str]:
    return [line for text, names in found for line in _shared(text, names, size)]


def reboots_owed(hosts: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, list[str]]]:
    """Return each reason for a reboot that was there when hosts were assessed, with those hosts."""
    found: dict[str, list[str]] = {}
    for host in sorted(hosts, key=natural_key):
        for reason in hosts[host].get("reboot_owed") or []:
            found.setdefault(reason, []).append(host)
    return sorted(found.items())


def health_terms(hosts: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, list[str]]]:
    """Return what a site allows or changes of the judgement of health, each with its hosts."""
    found: dict[str, list[str]] = {}
    for host in sorted(hosts, key=natural_key):
        entry = hosts[host]
        told = [f"may fail before the patch: {name}" for name in entry.get("broken_before") or []]
        for figure, changed in sorted((entry.get("thresholds") or {}).items()):
            numbers = ", ".join(f"{key} {'never' if one is None else one}" for key, one in sorted(changed.items()))
            told.append(f"{figure}: {numbers}")
        for one in told:
            found.setdefault(one, []).append(host)
    return sorted(found.items())


def asked_of(plan: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    """Return what people are asked, with the hosts that wait for their answer."""
    return [(answers.planned(one), list(one.hosts)) for one in answers.askings(plan)]


def _shared(text: str, names: Sequence[str], size: int) -> list[str]:
    told = f"all {size} hosts" if len(names) == size > 3 else ", ".join(names)
    return _wrapped(f"{text}: {told}", "  ", "      ")


def silences_of(hosts: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, list[str]]]:
    """Return each monitor that is to be silent about hosts, with these hosts."""
    found: dict[str, list[str]] = {}
    for host in sorted(hosts, key=natural_key):
        if hosts[host].get("silence"):
            found.setdefault(silences.told(hosts[host]["silence"]), []).append(host)
    return sorted(found.items())


def ways_back_found(hosts: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, list[str]]]:
    """Return each provider that assess found out, and why it is that one, with its hosts."""
    found: dict[str, list[str]] = {}
    for host in sorted(hosts, key=natural_key):
        why = hosts[host].get("snapshot_found")
        if why:
            found.setdefault(f"{hosts[host]['snapshot']['provider']}, because {why}", []).append(host)
    return sorted(found.items())


def hooks_of(hosts: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, list[str]]]:
    """Return each hook of a plan once, in the journey's order, with the hosts that have it."""
    found: dict[tuple[int, int, str], list[str]] = {}
    for host in sorted(hosts, key=natural_key):
        for hook in hosts[host].get("hooks") or []:
            place = (hooks.STEPS.index(hook["step"]), hooks.TIMES.index(hook["when"]), hooks.told(hook))
            found.setdefault(place, []).append(host)
    return [(text, names) for (_step, _when, text), names in sorted(found.items())]


#: Name, architecture, from, to.
Change = tuple[str, str, str, str]


def changes_of(hosts: Mapping[str, Mapping[str, Any]]) -> list[tuple[Change, list[str], list[str]]]:
    """Return each change of a plan once, with the hosts that get it and the CVEs that it is known to fix."""
    wanted: dict[Change, list[str]] = {}
    cves: dict[Change, set[str]] = {}
    for host in sorted(hosts, key=natural_key):
        for update in hosts[host]["updates"]:
            change = (update["name"], update["arch"], update["from"] or "(new)", update["to"] or "(removed)")
            wanted.setdefault(change, []).append(host)
            cves.setdefault(change, set()).update(update["cves"] or ())
    return [(change, names, sorted(cves[change])) for change, names in sorted(wanted.items())]


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    # A name may be cut, a time may not.
    most = [WIDTH if title.startswith("window") else NAME_WIDTH for title in rows[0]]
    widths = [min(most[column], max(len(row[column]) for row in rows)) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [f"{_cut(cell, width):<{width}}" for cell, width in zip(row, widths, strict=True)]
        lines.append(("  " + "  ".join(cells))[:WIDTH].rstrip())
    return lines


def _name_width(names: Iterable[str]) -> int:
    return min(NAME_WIDTH, max(len(name) for name in names))


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _wrapped(text: str, first: str = "", following: str = "  ") -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=following, break_on_hyphens=False)
