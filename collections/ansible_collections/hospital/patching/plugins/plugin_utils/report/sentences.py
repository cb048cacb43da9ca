# SPDX-License-Identifier: GPL-3.0-or-later
"""What the first lines say of hosts: why, how it is now, and what users feel. Never more than was recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.hospital.patching.plugins.module_utils.hidden_processes import VEILED, WHY
from ansible_collections.hospital.patching.plugins.plugin_utils.report import words
from ansible_collections.hospital.patching.plugins.plugin_utils.report.failures import without_next

Hosts = Sequence[Mapping[str, Any]]
#: Fewer updates than this are named, for then one of them is likely the cause.
_FEW = 3


def why(kind: str, hosts: Hosts, stopped: bool) -> str:
    """Return the cause; ``stopped`` says that the run has left hosts untouched."""
    if kind == "marks":
        return "the marks or holds of its packages differ from before"
    if kind == "conffile":
        return "configuration files proposed by packages: " + words.some(
            [path for host in hosts for path in host["conffile_proposals"]]
        )
    if kind == "reboot_owed":
        sure: list[str] = []
        unsure: list[str] = []
        for one in (one for host in hosts for one in host["owed"]):
            told = str(one["unit"] or one["pid"] or one["reason"])
            (unsure if _unseen(one) else sure).append(told)
        reasons = [reason for host in hosts for reason in host["reboot"]["reasons"]]
        parts = [
            f"{what}: {words.some(list(dict.fromkeys(found)))}"
            for what, found in (
                ("still running old code", sure or reasons or ([] if unsure else ["unknown"])),
                ("not known what it runs", [one for one in unsure if one not in sure]),
            )
            if found
        ]
        return "; ".join(parts)
    text = _cause(hosts[0])
    here = stopped and kind in ("rolled_back", "stuck") and not hosts[0]["asked"]
    return f"{text}; the run stopped there" if here else text


def _unseen(owed: Mapping[str, Any]) -> bool:
    """Whether it is owed because root could not see what it runs."""
    return any(why in str(owed["reason"]) for why in (WHY, VEILED))


def _cause(host: Mapping[str, Any]) -> str:
    told = [failure["what"] for failure in host["failures"] if failure["what"]]
    tried = any(step["step"] == "rollback" for step in host["steps"])
    if not told or not tried or host["asked"] or host["outcome"] not in ("rolled_back", "stuck"):
        return without_next(host["reason"], host["host"]) or "no reason was recorded"
    text = f"{_during(host)} {told[0]}"
    return f"{text}. Putting it back failed too: {told[-1]}" if len(told) > 1 else text


def _during(host: Mapping[str, Any]) -> str:
    """Return what was being done when it failed."""
    updates = host["updates"]
    few = ", ".join(f"{one['name']} {one['from'] or 'new'} → {one['to'] or 'removed'}" for one in updates)
    told = few if 0 < len(updates) < _FEW else words.count(len(updates), "update")
    failed = host["failures"][0]["step"]
    if failed == "install":
        return f"While installing {told}:"
    if any(step["step"] == "install" and step["status"] == "done" for step in host["steps"]):
        return f"After {told}"
    return f"Before any update was installed, at {words.step(failed)}:"


def word(kind: str, host: Mapping[str, Any]) -> str:
    """Return the word for the trouble, loud where a host waits for a person."""
    if kind == "stuck":
        if host["returned"] is not False:
            return "STUCK"
        return "STUCK, HELD OUT OF SERVICE" if host["drain"]["certain"] else "STUCK, PERHAPS STILL IN USE"
    return words.TROUBLES.get(kind) or words.outcome(host["outcome"])


def now(kind: str, hosts: Hosts) -> str:
    """Return the state that the hosts were left in; empty where their outcome says it."""
    host = hosts[0]
    if kind == "stuck":
        return _held(host)
    if kind == "unreachable":
        known = f"{_held(host)}; " if host["returned"] is False else ""
        return f"{known}whether it serves is not known"
    if kind == "unverified":
        return "in use, but not proven to work"
    if kind == "unfinished":
        out = [one for one in hosts if one["returned"] is False]
        sure = words.some([one["host"] for one in out if one["drain"]["certain"]])
        unsure = words.some([one["host"] for one in out if not one["drain"]["certain"]])
        told = (("still drained: ", sure), ("perhaps drained: ", unsure))
        return "; ".join(text + names for text, names in told if names)
    if kind in ("rolled_back", "taken_back"):
        return _put_back(host)
    if kind == "not_started":
        return "not touched, on the old versions"
    return "nothing was changed" if kind == "refused" else ""


def _held(host: Mapping[str, Any]) -> str:
    if host["returned"] is False:
        at = host["drain"]["at"]
        if not host["drain"]["certain"]:
            return f"its drain failed, so it is not known whether {at or 'anything'} still sends users to it"
        return f"drained{f' at {at}' if at else ''}; nothing returns it to its users but a person"
    if host["returned"]:
        return "held by this run, although its users are back on it"
    return "held by this run, but nothing keeps its users away from it"


def _put_back(host: Mapping[str, Any]) -> str:
    if host["asked"] and not any(step["step"] == "rollback" for step in host["steps"]):
        return "nothing was left to take back, so nothing was done"
    proven = host["health"]["verdicts"]["after_rollback"] == "ok"
    touched = host["put_back"] + (host["installed"] or 0)
    back = f"{host['put_back']} of {words.count(touched, 'update')} taken back" if host["installed"] else None
    parts = [
        back or "back on its old versions",
        "proven healthy by the same probes" if proven else "NOT proven healthy",
    ]
    if host["returned"] is not None:
        parts.append("serving again" if host["returned"] else "NOT returned to its users")
    return ", ".join(parts)


def feels(kind: str, hosts: Hosts, service: Mapping[str, Any] | None) -> str:
    """Return what users notice."""
    if kind == "stuck":
        drained = hosts[0]["returned"] is not False or hosts[0]["drain"]["certain"]
        return _capacity(service) if drained else f"unknown; without this host, {_capacity(service)}"
    if kind == "unreachable":
        return f"unknown; if it is down, {_capacity(service)}"
    if kind == "unverified":
        return "unknown: in use, but not proven to work"
    if kind == "unfinished":
        return "unknown: the run has not finished here"
    if kind in ("rolled_back", "taken_back", "refused", "not_started"):
        return f"nothing{_lacking(hosts)}"
    return "nothing"


def _lacking(hosts: Hosts) -> str:
    missing = [update for host in hosts for update in host["updates"] if update["state"] != "installed"]
    if not missing:
        return ""
    security = sum(update["security"] for update in missing)
    return f", but {words.count(len(missing), 'update')} missing ({security} security)"


def _capacity(service: Mapping[str, Any] | None) -> str:
    """Say how many hosts the service of an absent host has left."""
    if service is None:
        return "whoever uses this host is without it"
    out = sum(outcome in ("stuck", "unreachable") for outcome in service["outcomes"].values())
    size, least = len(service["hosts"]), service["min_healthy"]
    left = size - out
    if left <= 0:
        return f"{service['service']} counts as out of service"
    text = f"{service['service']} runs on {left} of {size} hosts"
    if least is not None and left < least:
        return f"{text}, fewer than the {least} it needs"
    return f"{text}; no spare" if least is None or left <= max(least, 1) else text
