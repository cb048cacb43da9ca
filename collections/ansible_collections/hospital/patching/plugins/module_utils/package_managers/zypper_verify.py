# SPDX-License-Identifier: GPL-3.0-or-later
"""After an installation on a zypper host: does it equal its transaction? Reads only."""

from typing import Any, Dict, List

from ansible_collections.hospital.patching.plugins.module_utils import transaction
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import (
    rpm_installed,
    rpm_verify,
    transaction_record,
    transaction_verify,
    transaction_work,
    zypper_marks,
)


def verify(host: Host, wanted: Dict[str, Any], expect: str, names: List[str]) -> Dict[str, Any]:
    """Return the shape of ``update_verify``."""
    transaction.validate(wanted)
    installed = rpm_installed.read(host)
    directories = transaction_work.stage_dir(host, wanted), transaction_work.preserved_dir(host, wanted)
    before, way_back = transaction_record.reference(directories[0], directories[1], expect)
    part = transaction.part(wanted, names)
    health = rpm_verify.health(host, installed, part, before, directories[1] if way_back else directories[0])
    return transaction_verify.verify(
        host, wanted, expect, names, installed.find, zypper_marks.marks(host.root, installed), health
    )
