# SPDX-License-Identifier: GPL-3.0-or-later
"""After an installation: does the host equal its transaction? The same questions under every package manager."""

from typing import Any, Dict, List

from ansible_collections.hospital.patching.plugins.module_utils import transaction
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import (
    transaction_record,
    transaction_work,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.transaction_record import Marks
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.transaction_work import (
    Find,
    reversed_entry,
    version_problems,
)
from ansible_collections.hospital.patching.plugins.module_utils.systemd_units import failed_units


def verify(
    host: Host,
    wanted: Dict[str, Any],
    expect: str,
    names: List[str],
    find: Find,
    marks: Marks,
    health: List[Dict[str, str]],
) -> Dict[str, Any]:
    """Return the shape of ``update_verify``; ``expect`` is ``to`` or ``from``, of ``names`` or with none of all.

    Args:
        find, marks: what the package manager says of now.
        health: the problems that its own checks find, as :func:`problem` makes them.
    """
    part = transaction.part(wanted, names)
    at_target = not version_problems(part, find)
    entries = part if expect == "to" else [reversed_entry(entry) for entry in part]
    problems = version_problems(entries, find)
    marks_equal = holds_equal = alternatives_equal = None
    before, way_back = transaction_record.reference(
        transaction_work.stage_dir(host, wanted), transaction_work.preserved_dir(host, wanted), expect
    )
    if before is None and entries and expect == "to":
        problems.append(
            problem(
                "marks and holds",
                "no record from before the installation",
                "the record that update_install writes",
            )
        )
    elif before is not None:
        # A way back recorded what the rest of the transaction had become; an installation did not know it yet.
        rest = [] if way_back else [entry for entry in wanted["entries"] if entry not in part]
        expected = transaction_record.expected_automatic(before, entries + rest, marks)
        differing = sorted(expected ^ transaction_record.automatic_now(marks))
        lost = transaction_record.holds_lost(before, marks)
        others = transaction_record.alternatives_lost(before, entries, host.root)
        marks_equal, holds_equal, alternatives_equal = not differing, not lost, not others
        problems.extend(problem(name, "its auto or manual mark changed", "the mark from before") for name in differing)
        problems.extend(problem(name, "its hold changed", "the hold from before") for name in lost)
        problems.extend(
            problem("alternative {}".format(name), "it gives another program", "that from before") for name in others
        )
        for unit in sorted(set(failed_units(host.runner, host.root)) - set(before["failed_units"])):
            problems.append(
                problem(unit, "failed, and was not before the installation", "a unit that runs or is stopped")
            )
    problems.extend(health)
    return {
        "verdict": "failed" if problems else "ok",
        "problems": problems,
        "at_target": at_target,
        "versions_checked": len(entries),
        "marks_equal": marks_equal,
        "holds_equal": holds_equal,
        "alternatives_equal": alternatives_equal,
    }


def problem(subject: str, seen: str, expected: str) -> Dict[str, str]:
    """Return one item of the result's ``problems``."""
    return {"subject": subject, "seen": seen, "expected": expected}
