# SPDX-License-Identifier: GPL-3.0-or-later
"""After an installation: does the host equal its transaction? Reads only."""

import os
from typing import Any, Dict, List

from ansible_collections.hospital.patching.plugins.module_utils import transaction
from ansible_collections.hospital.patching.plugins.module_utils.dpkg_database import DpkgDatabase
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import apt_record
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.apt_install import version_problems
from ansible_collections.hospital.patching.plugins.module_utils.policy_rc_d import PolicyRcD
from ansible_collections.hospital.patching.plugins.module_utils.systemd_units import failed_units


def verify(host: Host, wanted: Dict[str, Any], expect: str, names: List[str]) -> Dict[str, Any]:
    """Return the shape of ``update_verify``; ``expect`` is ``to`` or ``from``, of ``names`` or with none of all."""
    transaction.validate(wanted)
    part = transaction.part(wanted, names)
    database = DpkgDatabase(host.root)
    installed = database.present()
    at_target = not version_problems(part, installed)
    entries = part if expect == "to" else [_reversed(entry) for entry in part]
    problems = version_problems(entries, installed)
    marks_equal = holds_equal = None
    short = transaction.short_name(wanted)
    before, way_back = apt_record.reference(
        os.path.join(host.state_dir, "stage", short), os.path.join(host.state_dir, "preserved", short), expect
    )
    if before is None and entries and expect == "to":
        problems.append(
            {
                "subject": "marks and holds",
                "seen": "no record from before the installation",
                "expected": "the record that update_install writes",
            }
        )
    elif before is not None:
        # A way back recorded what the rest of the transaction had become; an installation did not know it yet.
        rest = [] if way_back else [entry for entry in wanted["entries"] if entry not in part]
        expected = apt_record.expected_automatic(before, entries + rest, installed)
        differing = sorted(expected ^ apt_record.automatic_now(database, installed))
        lost = apt_record.holds_lost(before, installed)
        marks_equal, holds_equal = not differing, not lost
        problems.extend(_problem(name, "its auto or manual mark changed", "the mark from before") for name in differing)
        problems.extend(_problem(name, "its hold changed", "the hold from before") for name in lost)
        for unit in sorted(set(failed_units(host.runner, host.root)) - set(before["failed_units"])):
            problems.append(
                _problem(unit, "failed, and was not before the installation", "a unit that runs or is stopped")
            )
    audit = host.runner.run(["dpkg", "--audit"], timeout_s=60, check=False)
    if audit.rc != 0 or audit.stdout.strip():
        problems.append(_problem("dpkg --audit", " ".join(audit.stdout.split())[:300] or "a failure", "no finding"))
    if PolicyRcD(host.root).is_ours():
        problems.append(_problem("/usr/sbin/policy-rc.d", "left in place by an installation", "removed"))
    return {
        "verdict": "failed" if problems else "ok",
        "problems": problems,
        "at_target": at_target,
        "versions_checked": len(entries),
        "marks_equal": marks_equal,
        "holds_equal": holds_equal,
    }


def _reversed(entry: Dict[str, Any]) -> Dict[str, Any]:
    return dict(entry, **{"from": entry["to"], "to": entry["from"]})


def _problem(subject: str, seen: str, expected: str) -> Dict[str, str]:
    return {"subject": subject, "seen": seen, "expected": expected}
