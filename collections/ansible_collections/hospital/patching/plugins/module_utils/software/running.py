# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs on replaced files, whether a reboot is owed, and which units have failed."""

from typing import Any, Dict, List, cast

from ansible_collections.hospital.patching.plugins.module_utils.hidden_processes import VEILED, told
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.reboot_required import flag_reasons, kernel_reasons
from ansible_collections.hospital.patching.plugins.module_utils.replaced_files import ProcessTable, as_facts
from ansible_collections.hospital.patching.plugins.module_utils.software.partial import whole
from ansible_collections.hospital.patching.plugins.module_utils.software.small_files import below
from ansible_collections.hospital.patching.plugins.module_utils.systemd_units import failed_units


def replaced_libraries(host: Host) -> List[Dict[str, Any]]:
    """Return the collector's part ``replaced_libraries``.

    Raises:
        PartialError: what some processes run cannot be seen.
    """
    table = ProcessTable(below(host.root, "proc"))
    unseen = ["{}{}".format(unit + ": " if unit else "", why) for unit, _first, why in told(table.hidden())]
    unseen += [VEILED] if table.veiled() else []
    return cast(List[Dict[str, Any]], whole("what processes run", as_facts(table.stale()), unseen))


def reboot_owed(host: Host) -> Dict[str, Any]:
    """Return the collector's part ``reboot_required``."""
    reasons = flag_reasons(host.root) + kernel_reasons(host.root)
    return {"required": bool(reasons), "reasons": reasons}


def units_failed(host: Host) -> List[str]:
    """Return the collector's part ``failed_units``."""
    return failed_units(host.runner, host.root)
