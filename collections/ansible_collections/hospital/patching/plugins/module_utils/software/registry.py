# SPDX-License-Identifier: GPL-3.0-or-later
"""All collectors of ``software_facts``. Each can fail alone: its part is null, or partial, and its error is told."""

import threading
from typing import Any, Callable, Dict, List, Tuple

from ansible_collections.hospital.patching.plugins.module_utils import boot, competing_updaters, reboot_required
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.software import (
    applications,
    flatpaks,
    java_homes,
    kernels,
    listening_ports,
    npm_packages,
    os_identity,
    packages,
    python_environments,
    ruby_gems,
    running,
    snaps,
    units,
)
from ansible_collections.hospital.patching.plugins.module_utils.software.constraints import registry as constraints
from ansible_collections.hospital.patching.plugins.module_utils.software.partial import PartialError, whole
from ansible_collections.hospital.patching.plugins.module_utils.software.wanted import Call


def _vulnerable_jars(call: Call) -> Any:
    if not call.wanted.jars:
        return None
    # Not imported by those who do not ask: it brings half of the payload's start-up time.
    from ansible_collections.hospital.patching.plugins.module_utils.software import jars  # noqa: PLC0415

    wanted = call.wanted
    scan = jars.collect(call.host, wanted.jar_roots or jars.ROOTS, wanted.libraries, wanted.jar_limit_s)
    unread = ["{}: {}".format("!/".join([one["path"]] + one["inside"]), one["reason"]) for one in scan["not_read"]]
    return whole("archives", scan["found"], unread)


def _container_images(call: Call) -> Any:
    if not call.wanted.images:
        return None
    from ansible_collections.hospital.patching.plugins.module_utils.software import (  # noqa: PLC0415
        container_images,
    )

    return container_images.collect(call.host)


#: Name of the part, and what collects it. A part that nobody asked for is null, and no error.
COLLECTORS: Tuple[Tuple[str, Callable[[Call], Any]], ...] = (
    ("os", lambda call: os_identity.collect(call.host)),
    ("kernel", lambda call: kernels.collect(call.host)),
    ("boot", lambda call: boot.read_boot()),
    ("packages", lambda call: packages.collect(call.host)),
    ("snaps", lambda call: snaps.collect(call.host)),
    ("flatpaks", lambda call: flatpaks.collect(call.host)),
    ("python_environments", lambda call: python_environments.collect(call.host)),
    ("npm_packages", lambda call: npm_packages.collect(call.host)),
    ("ruby_gems", lambda call: ruby_gems.collect(call.host)),
    ("java_homes", lambda call: java_homes.collect(call.host)),
    ("applications", lambda call: applications.collect(call.host, call.wanted.applications, call.owners)),
    ("vulnerable_jars", _vulnerable_jars),
    ("container_images", _container_images),
    ("listening_ports", lambda call: listening_ports.collect(call.host, call.owners)),
    ("units", lambda call: units.collect(call.host, call.owners)),
    ("replaced_libraries", lambda call: running.replaced_libraries(call.host)),
    ("reboot_required", lambda call: running.reboot_owed(call.host)),
    ("competing_updaters", lambda call: competing_updaters.find(call.host.runner)),
    ("constraints", lambda call: constraints.collect(call.host)),
    ("failed_units", lambda call: running.units_failed(call.host)),
    ("container", lambda call: reboot_required.in_container(call.host.root)),
)


#: Waits for other programs, where apt's lists are compressed: it runs beside the others.
WAITING = "packages"


def collect(call: Call, collectors: Any = COLLECTORS) -> Dict[str, Any]:
    """Return all parts, and ``errors`` by collector."""
    parts: Dict[str, Tuple[Any, str]] = {}

    def run(name: str, collector: Callable[[Call], Any]) -> None:
        parts[name] = _part(call, collector)

    beside = [threading.Thread(target=run, args=each) for each in collectors if each[0] == WAITING]
    for thread in beside:
        thread.start()
    for name, collector in collectors:
        if name != WAITING:
            run(name, collector)
    for thread in beside:
        thread.join()
    facts = {name: parts[name][0] for name, _collector in collectors}
    errors = {name: parts[name][1] for name, _collector in collectors if parts[name][1]}
    started = facts.pop("boot", None) or {}
    facts.update(boot_id=started.get("boot_id"), booted=started.get("booted"), errors=errors)
    return facts


def _part(call: Call, collector: Callable[[Call], Any]) -> Tuple[Any, str]:
    """Return what a collector found, and what went wrong in words."""
    try:
        return collector(call), ""
    except PartialError as error:
        return error.part, str(error)
    except PatchingError as error:
        return None, str(error)
    except (OSError, ValueError, KeyError, IndexError, TypeError, RecursionError, MemoryError) as error:
        return None, "{}: {}".format(type(error).__name__, error)


def names() -> List[str]:
    """Return the names of all collectors."""
    return [name for name, _collector in COLLECTORS]
