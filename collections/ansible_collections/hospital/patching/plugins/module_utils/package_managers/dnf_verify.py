# SPDX-License-Identifier: GPL-3.0-or-later
"""After an installation: does the host equal its transaction? Reads only."""

from typing import Any, Dict, List

from ansible_collections.hospital.patching.plugins.module_utils import transaction
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import (
    rpm_installed,
    rpm_verify,
    transaction_record,
    transaction_verify,
    transaction_work,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.dnf_install import finder, marks
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.transaction_verify import problem


def verify(host: Host, wanted: Dict[str, Any], expect: str, names: List[str]) -> Dict[str, Any]:
    """Return the shape of ``update_verify``."""
    transaction.validate(wanted)
    installed = rpm_installed.read(host)
    directories = transaction_work.stage_dir(host, wanted), transaction_work.preserved_dir(host, wanted)
    before, way_back = transaction_record.reference(directories[0], directories[1], expect)
    part = transaction.part(wanted, names)
    health = rpm_verify.health(host, installed, part, before, directories[1] if way_back else directories[0])
    return transaction_verify.verify(
        host, wanted, expect, names, finder(host, installed), marks(host, installed), health + _database(host)
    )


def _database(host: Host) -> List[Dict[str, str]]:
    """Return what rpm finds wrong with its own database."""
    try:
        result = host.runner.run(["rpmdb", "--verifydb"], timeout_s=300, check=False)
    except PatchingError as error:
        return [problem("rpmdb --verifydb", error.seen, "no finding")]
    said = " ".join((result.stdout + " " + result.stderr).split())
    return [] if result.rc == 0 else [problem("rpmdb --verifydb", said[:300] or "a failure", "no finding")]
