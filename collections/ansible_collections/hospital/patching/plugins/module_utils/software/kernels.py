# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel that runs and those that are installed."""

from typing import Any, Dict

from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.reboot_required import (
    installed_kernels,
    running_kernel,
)


def collect(host: Host) -> Dict[str, Any]:
    """Return the collector's part ``kernel``."""
    return {"running": running_kernel(host.root), "installed": installed_kernels(host.root)}
