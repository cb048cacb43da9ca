# SPDX-License-Identifier: GPL-3.0-or-later
"""Newer versions that apt does not install, and what keeps each of them back.

From apt's own scenario (apt_scenario.py): a version that is apt's candidate and
yet not in the resolved upgrade is kept back by its dependencies or by phasing
(Ubuntu); one that is newer than the candidate and that a pin of this host
disfavours is pinned. A version that only its archive's default priority
disfavours (backports, experimental) is no update of this host and not listed.
"""

from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from ansible_collections.hospital.patching.plugins.module_utils import apt_preferences, dpkg_version
from ansible_collections.hospital.patching.plugins.module_utils.apt_preferences import Pin
from ansible_collections.hospital.patching.plugins.module_utils.dpkg_database import Package
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.apt_scenario import Version
from ansible_collections.hospital.patching.plugins.module_utils.pending_filters import Reason, held_package

Key = Tuple[str, str]

#: Installed package, the version that is kept back, and the pin that does it (None: it is apt's own candidate).
KeptBack = NamedTuple("KeptBack", [("package", Package), ("version", Version), ("pin", Optional[Pin])])


#: What versions have without any pin: of most archives 500, of one that upgrades itself only (backports) 100, as has
#: the installed version, of one that is never automatic (experimental) 1 (apt_preferences(5)).
USUAL = 500
DEFAULTS = (1, 100, USUAL)


def find(
    versions: List[Version], installed: Dict[Key, Package], upgraded: Dict[Key, Optional[str]], pins: List[Pin]
) -> List[KeptBack]:
    """Return what is kept back of the ``installed`` packages that ``upgraded`` (key → new version) does not change."""
    offered: Dict[str, List[Version]] = {}
    for version in versions:
        if version.offered:
            offered.setdefault(version.name, []).append(version)
    found = []
    for key, package in sorted(installed.items()):
        if key in upgraded or package.want != "install":
            continue  # on hold: listed by dpkg's own record
        newer = [
            version
            for version in offered.get(package.name, [])
            if version.arch in (package.arch, "all") and dpkg_version.compare(version.version, package.version) > 0
        ]
        candidate = next((version for version in newer if version.candidate), None)
        if candidate is not None:
            found.append(KeptBack(package, candidate, None))
            continue
        for version in sorted(newer, key=lambda version: dpkg_version.key(version.version), reverse=True):
            pin = _responsible(version, versions, pins)
            if pin is not None:
                found.append(KeptBack(package, version, pin))
                break
    return found


def _responsible(version: Version, versions: List[Version], pins: List[Pin]) -> Optional[Pin]:
    """Return the pin that gave this version its low priority, or the preferred one its high priority."""
    favoured = [other.priority for other in versions if other.name == version.name and other.candidate]
    about = [pin for pin in pins if apt_preferences.names_package(pin, version.name)]
    # A pin that states an archive's default changes nothing. Whether 1 or 100 is the default of this version's
    # archive is not known here, so a pin is believed that states it.
    telling = [version.priority] * (version.priority != USUAL)
    for priority in telling + [priority for priority in favoured if priority not in DEFAULTS]:
        for pin in about:
            if pin.priority == priority:
                return pin
    return None


def held(kept: List[KeptBack]) -> List[Dict[str, Any]]:
    """Return ``kept`` as items of ``held``."""
    items = []
    for package, version, pin in kept:
        if pin is not None:
            reason = Reason("pinned", "pinned: {}".format(apt_preferences.describe(pin)))
        elif version.phased is not None and version.phased < 100:
            text = "phased: offered to {} % of all machines so far, not to this one".format(version.phased)
            reason = Reason("phased", text)
        else:
            reason = Reason("kept_back", "kept back: apt cannot install it with what else is installed")
        items.append(held_package(package.name, package.arch, package.version, version.version, reason))
    return items
