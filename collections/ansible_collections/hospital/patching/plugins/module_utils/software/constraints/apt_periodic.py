# SPDX-License-Identifier: GPL-3.0-or-later
"""unattended-upgrades and apt's daily work, as apt.systemd.daily(8) reads their settings."""

from typing import List

from ansible_collections.hospital.patching.plugins.module_utils.software.constraints.look import (
    CHANGES,
    INFORMS,
    RESTARTS,
    Entry,
    Look,
    entry,
    yes,
)

KIND = "unattended_upgrades"
#: The program itself; without it the setting does nothing.
_PROGRAM = "usr/bin/unattended-upgrade"


def interval_on(text: str) -> bool:
    """An interval is a number of days, or a number with s, m, h or d, or ``always``; 0 and nothing mean never."""
    return text.strip() == "always" or text.strip("smhd 0") != ""


def collect(look: Look) -> List[Entry]:
    """Return what apt does by itself each day, and what of it changes packages."""
    settings = look.apt()
    enabled = look.apt_value("APT::Periodic::Enable") != "0"
    found = []
    if enabled and interval_on(look.apt_value("APT::Periodic::Unattended-Upgrade")):
        origins = [
            value
            for key, value in settings
            if key.lower().startswith(
                ("unattended-upgrade::allowed-origins::", "unattended-upgrade::origins-pattern::")
            )
        ]
        detail = "APT::Periodic::Unattended-Upgrade is on, for {}".format("; ".join(origins) or "no origin")
        if not look.exists(_PROGRAM):
            found.append(entry(KIND, "unattended-upgrades", detail + ", but it is not installed", INFORMS))
        else:
            found.append(entry(KIND, "unattended-upgrades", detail, CHANGES if origins else INFORMS))
            if yes(look.apt_value("Unattended-Upgrade::Automatic-Reboot")):
                when = look.apt_value("Unattended-Upgrade::Automatic-Reboot-Time") or "now"
                found.append(entry(KIND, "automatic reboot", "reboots by itself at {}".format(when), RESTARTS))
    for name, detail in (
        ("Update-Package-Lists", "refreshes the lists of packages by itself"),
        ("Download-Upgradeable-Packages", "downloads updates by itself, and installs none"),
    ):
        if enabled and interval_on(look.apt_value("APT::Periodic::" + name)):
            found.append(entry("apt_periodic", "APT::Periodic::" + name, detail, INFORMS))
    return found
