# SPDX-License-Identifier: GPL-3.0-or-later
"""After an installation: does the host equal its transaction? Reads only."""

from typing import Any, Dict, List

from ansible_collections.hospital.patching.plugins.module_utils import transaction
from ansible_collections.hospital.patching.plugins.module_utils.dpkg_database import DpkgDatabase
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import transaction_verify
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.apt_install import finder
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.apt_marks import AptMarks
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.transaction_verify import problem
from ansible_collections.hospital.patching.plugins.module_utils.policy_rc_d import PolicyRcD


def verify(host: Host, wanted: Dict[str, Any], expect: str, names: List[str]) -> Dict[str, Any]:
    """Return the shape of ``update_verify``."""
    transaction.validate(wanted)
    database = DpkgDatabase(host.root)
    installed = database.present()
    return transaction_verify.verify(
        host, wanted, expect, names, finder(installed), AptMarks(database, installed), _health(host)
    )


def _health(host: Host) -> List[Dict[str, str]]:
    problems = []
    audit = host.runner.run(["dpkg", "--audit"], timeout_s=60, check=False)
    if audit.rc != 0 or audit.stdout.strip():
        problems.append(problem("dpkg --audit", " ".join(audit.stdout.split())[:300] or "a failure", "no finding"))
    if PolicyRcD(host.root).is_ours():
        problems.append(problem("/usr/sbin/policy-rc.d", "left in place by an installation", "removed"))
    return problems
