# SPDX-License-Identifier: GPL-3.0-or-later
"""All collectors of ``software_facts``. Each can fail alone: its part is null, or partial, and its error is told."""

from typing import Any, Callable, Dict, List, Tuple

from ansible_collections.hospital.patching.plugins.module_utils import boot, competing_updaters, reboot_required
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import Host
from ansible_collections.hospital.patching.plugins.module_utils.software import (
    kernels,
    os_identity,
    packages,
    running,
)
from ansible_collections.hospital.patching.plugins.module_utils.software.partial import Partial

COLLECTORS: Tuple[Tuple[str, Callable[[Host], Any]], ...] = (
    ("os", os_identity.collect),
    ("kernel", kernels.collect),
    ("boot", lambda host: boot.read_boot()),
    ("packages", packages.collect),
    ("replaced_libraries", running.replaced_libraries),
    ("reboot_required", running.reboot_owed),
    ("competing_updaters", lambda host: competing_updaters.find(host.runner)),
    ("failed_units", running.units_failed),
    ("container", lambda host: reboot_required.in_container(host.root)),
)


def collect(host: Host, collectors: Any = COLLECTORS) -> Dict[str, Any]:
    """Return all parts, and ``errors`` by collector."""
    facts: Dict[str, Any] = {}
    errors: Dict[str, str] = {}
    for name, collector in collectors:
        try:
            part = collector(host)
            if isinstance(part, Partial):
                part, problem = part
                if problem:
                    errors[name] = problem
            facts[name] = part
        except PatchingError as error:
            facts[name], errors[name] = None, str(error)
        except (OSError, ValueError, KeyError, IndexError) as error:
            facts[name], errors[name] = None, "{}: {}".format(type(error).__name__, error)
    started = facts.pop("boot", None) or {}
    facts.update(boot_id=started.get("boot_id"), booted=started.get("booted"), errors=errors)
    return facts


def names() -> List[str]:
    """Return the names of all collectors."""
    return [name for name, _collector in COLLECTORS]
