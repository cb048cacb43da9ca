# SPDX-License-Identifier: GPL-3.0-or-later
"""dnf-automatic of dnf 4 and dnf 5, and yum-cron: whether they apply updates, and whether they reboot."""

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

#: Their settings; dnf 5 reads the vendor's file first and the host's own on top (dnf5-automatic(8)).
FILES = (
    ("dnf-automatic", ("etc/dnf/automatic.conf",)),
    (
        "dnf5-automatic",
        ("usr/share/dnf5/dnf5-plugins/automatic.conf", "etc/dnf/dnf5-plugins/automatic.conf", "etc/dnf/automatic.conf"),
    ),
    ("yum-cron", ("etc/yum/yum-cron.conf",)),
)
#: dnf 4: this timer applies updates whatever the file says (dnf-automatic(8)).
INSTALLS = "dnf-automatic-install.timer"
TIMERS = ("dnf-automatic.timer", INSTALLS, "dnf5-automatic.timer", "yum-cron.service")


def collect(look: Look) -> List[Entry]:
    """Return each of these programs that is installed, and a reboot that it does by itself."""
    found = []
    active = [name for name in TIMERS if look.unit(name).get("ActiveState") in ("active", "activating")]
    for name, paths in FILES:
        vendor = look.exists(paths[0])
        if not vendor:
            continue
        commands = {}
        for path in paths:
            commands.update(look.ini(path).get("commands", {}))
        applies = yes(commands.get("apply_updates")) or (name == "dnf-automatic" and INSTALLS in active)
        detail = "apply_updates = {}, upgrade_type = {}; active timers: {}".format(
            commands.get("apply_updates") or "no",
            commands.get("upgrade_type") or "default",
            ", ".join(active) or "none",
        )
        # Where systemd does not tell, cron may start it all the same.
        may_run = bool(active) or not look.systemd
        found.append(entry("dnf_automatic", name, detail, CHANGES if applies and may_run else INFORMS))
        reboot = (commands.get("reboot") or "never").strip()
        if reboot != "never" and applies:
            found.append(entry("dnf_automatic", "automatic reboot", "reboot = {}".format(reboot), RESTARTS))
    return found
