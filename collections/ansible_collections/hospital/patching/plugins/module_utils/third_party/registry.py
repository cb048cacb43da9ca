# SPDX-License-Identifier: GPL-3.0-or-later
"""All installers by their type. Explicit imports, because only what is imported travels to a host."""

import os
from typing import Any, Dict

from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.third_party.archive import Archive
from ansible_collections.hospital.patching.plugins.module_utils.third_party.base import Installer
from ansible_collections.hospital.patching.plugins.module_utils.third_party.deb import DebFile
from ansible_collections.hospital.patching.plugins.module_utils.third_party.flatpak import Flatpak
from ansible_collections.hospital.patching.plugins.module_utils.third_party.pip_environment import PipEnvironment
from ansible_collections.hospital.patching.plugins.module_utils.third_party.rpm import RpmFile
from ansible_collections.hospital.patching.plugins.module_utils.third_party.snap import Snap
from ansible_collections.hospital.patching.plugins.module_utils.third_party.vendor_installer import VendorInstaller

INSTALLERS = {one.NAME: one for one in (Archive, DebFile, RpmFile, PipEnvironment, Flatpak, Snap, VendorInstaller)}  # type: Dict[str, Any]


def build(host: Host, spec: Dict[str, Any]) -> Installer:
    """Return the installer of a checked entry."""
    store = os.path.join(host.state_dir, "software", spec["name"])
    return INSTALLERS[spec["type"]](host, spec, store)  # type: ignore[no-any-return]
