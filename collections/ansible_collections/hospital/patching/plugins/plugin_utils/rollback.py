# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person asks to have taken back of a run: which hosts, in which order, and how it went."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils.times import read_stamp

Records = Sequence[Mapping[str, Any]]
Transactions = Mapping[str, Mapping[str, Any]]

#: Whoever means the whole run has to say so.
ALL = "all"
#: A host was left as it was; its outcome stays.
REFUSED = ("gate", "refused")


def choose(
    order: Sequence[str], records: Records, transactions: Transactions, hosts: Sequence[str], updates: Sequence[str]
) -> list[str]:
    """Return the hosts to take back, in the reverse of the plan's order.

    Args:
        order: the hosts of the plan in its order.
        records: the run's ledger.
        transactions: what each staged host was to do.
        hosts: names of hosts, or ``all`` for every host on which the run installed something.
        updates: names of packages; empty means all of each host's transaction.

    Raises:
        PatchingError: a host or package that the run does not know, or nothing to take back.
    """
    touched = _touched(records)
    if list(hosts) == [ALL]:
        wanted = [host for host in order if host in touched]
    else:
        for host in hosts:
            _require_known(host, order, touched)
        wanted = [host for host in order if host in hosts]
    if updates:
        wanted = _with_updates(wanted, transactions, updates)
    if not wanted:
        raise PatchingError(
            f"rollback of {', '.join(hosts) or 'no hosts'}",
            "nothing that this run has installed",
            "hosts on which it installed something" + (f": {', '.join(sorted(touched))}" if touched else ""),
            f"name hosts of this run, or {ALL}",
        )
    return wanted[::-1]


def _touched(records: Records) -> set[str]:
    """Return the hosts on which the run began to install."""
    return {
        record["host"]
        for record in records
        if record["host"] and record["step"] == "install" and record["event"] in ("begin", "done", "failed")
    }


def _require_known(host: str, order: Sequence[str], touched: Collection[str]) -> None:
    if host not in order:
        raise PatchingError(
            f"host {host}", "the run's plan does not name it", f"one of {', '.join(order)}", "correct rollback_hosts"
        )
    if host not in touched:
        raise PatchingError(
            f"host {host}",
            "this run has installed nothing on it",
            f"one of {', '.join(sorted(touched))}",
            "leave it out",
        )


def _with_updates(wanted: Sequence[str], transactions: Transactions, updates: Sequence[str]) -> list[str]:
    names = {host: {entry["name"] for entry in transactions[host]["entries"]} for host in wanted}
    for update in updates:
        if not any(update in names[host] for host in wanted):
            raise PatchingError(
                f"update {update}",
                f"the run did not install it on {', '.join(wanted)}",
                "names of packages as the report lists them",
                "correct rollback_updates",
            )
    return [host for host in wanted if names[host] & set(updates)]


def own(transaction: Mapping[str, Any], updates: Sequence[str] | None = None) -> list[str]:
    """Return those of the asked-for packages that a host has; hosts of one run need not have the same.

    Without ``updates`` all of them.
    """
    names = dict.fromkeys(entry["name"] for entry in transaction["entries"])
    return [name for name in (names if updates is None else updates) if name in names]


def last_asked(records: Records) -> tuple[dict[str, Any], Records]:
    """Return what was asked for last, with ``hosts``, ``updates``, ``reason`` and ``by``, and the records since.

    Raises:
        PatchingError: nobody has asked for anything.
    """
    for number in range(len(records) - 1, -1, -1):
        asked = records[number]["detail"].get("rollback")
        if records[number]["host"] is None and asked:
            return dict(asked), records[number + 1 :]
    raise PatchingError("rollback", "nobody has asked for one in this run", "rollback.yml", "start rollback.yml")


def not_taken_back(records: Records) -> dict[str, str]:
    """Return why each host of the last rollback is not taken back, in its order; empty when all are."""
    asked, since = last_asked(records)
    missing = {**dict.fromkeys(asked["hosts"], "its turn did not come"), **asked.get("left", {})}
    for record in since:
        host, detail = record["host"], record["detail"]
        if host not in asked["hosts"]:
            continue
        if record["event"] == "outcome" and detail["outcome"] == "rolled_back":
            missing.pop(host, None)
        elif record["event"] == "outcome":
            missing[host] = detail["reason"]
        elif (record["step"], record["event"]) == REFUSED:
            missing[host] = str(detail.get("reason"))
    return missing


def stopped_by(records: Records, host: str) -> str | None:
    """Return why ``host`` is not touched: an earlier host of this rollback could not be proven; else None."""
    asked, _since = last_asked(records)
    missing = not_taken_back(records)
    earlier = asked["hosts"][: asked["hosts"].index(host)] if host in asked["hosts"] else []
    return _stopped(earlier, missing)


def stopped_by_runs(records: Records, ledger_of: Callable[[str], Records]) -> str | None:
    """Return why this run is not taken back: a newer one that the same request names was not; else None.

    Args:
        ledger_of: returns the records of a run.
    """
    asked, _since = last_asked(records)
    for run_id in asked.get("after_runs", []):
        newer = ledger_of(run_id)
        reason = _stopped(last_asked(newer)[0]["hosts"], not_taken_back(newer))
        if reason is not None:
            return reason
    return None


def _stopped(earlier: Sequence[str], missing: Mapping[str, str]) -> str | None:
    for other in earlier:
        if other in missing:
            return f"{other} was not taken back ({missing[other]}); the rollback goes no further"
    return None


def asked_since(records: Records, stop_file: Path) -> bool:
    """Say whether the stop file was dropped since the rollback was opened: an older one was meant for the run."""
    opened = [record["time"] for record in records if record["host"] is None and record["detail"].get("rollback")]
    try:
        return bool(opened) and stop_file.stat().st_mtime >= read_stamp(opened[-1]).timestamp()
    except FileNotFoundError:
        return False
    except OSError:
        return True
