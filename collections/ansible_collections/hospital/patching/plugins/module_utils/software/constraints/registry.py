# SPDX-License-Identifier: GPL-3.0-or-later
"""What else changes packages on this host, or constrains them. A subject that cannot be read is an entry as well."""

from typing import Any, Callable, List, Tuple

from ansible_collections.hospital.patching.plugins.module_utils.competing_updaters import UPDATERS
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.software.constraints import (
    agents,
    apt_periodic,
    apt_phasing,
    apt_pins,
    clusters,
    container_engines,
    dnf_automatic,
    dnf_excludes,
    live_patches,
    offline_updates,
    proxies,
    read_only_images,
    shared_volumes,
    subscriptions,
    timers,
)
from ansible_collections.hospital.patching.plugins.module_utils.software.constraints.look import (
    UNKNOWN,
    Entry,
    Look,
    entry,
)

#: Each subject alone; add a line to look at more.
SUBJECTS: Tuple[Tuple[str, Callable[[Look], List[Entry]]], ...] = (
    ("unattended_upgrades", apt_periodic.collect),
    ("updater_unit", timers.collect),
    ("dnf_automatic", dnf_automatic.collect),
    ("offline_update", offline_updates.collect),
    ("agent", agents.collect),
    ("phased_updates", apt_phasing.collect),
    ("live_patch", live_patches.collect),
    ("apt_pin", apt_pins.collect),
    ("dnf_exclude", dnf_excludes.excludes),
    ("dnf_versionlock", dnf_excludes.locks),
    ("zypper_lock", dnf_excludes.zypper),
    ("red_hat_subscription", subscriptions.red_hat),
    ("ubuntu_pro", subscriptions.ubuntu_pro),
    ("suse_subscription", subscriptions.suse),
    ("proxy", proxies.collect),
    ("image", read_only_images.collect),
    ("container_engine", container_engines.collect),
    ("cluster", clusters.collect),
    ("shared_volume", shared_volumes.collect),
)


#: What damaged files make parsers raise; deeply nested JSON ends in a RecursionError.
_BROKEN = (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError)


def unit_names() -> List[str]:
    """Return every unit that a subject asks for, for one call of systemctl."""
    tables = agents.AGENTS + clusters.CLUSTERS + container_engines.ENGINES
    names = list(UPDATERS) + list(dnf_automatic.TIMERS) + [name for program in tables for name in program.units]
    return sorted(set(names))


def collect(host: Host, subjects: Any = SUBJECTS) -> List[Entry]:
    """Return ``[{kind, name, detail, effect}]``; with effect ``unknown``, ``detail`` tells what could not be read.

    Starts ``apt-config`` and ``systemctl`` once each where they exist, and SUSEConnect on SUSE.
    """
    look = Look(host, unit_names())
    found: List[Entry] = []
    for kind, subject in subjects:
        try:
            found.extend(subject(look))
        except PatchingError as error:
            found.append(entry(kind, kind, str(error), UNKNOWN))
        except _BROKEN as error:
            found.append(entry(kind, kind, "{}: {}".format(type(error).__name__, error), UNKNOWN))
    return found
