# SPDX-License-Identifier: GPL-3.0-or-later
"""All drains by name. Explicit imports, because only what is imported travels to a host."""

from typing import Any, Dict, Optional

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.drains.base import DrainContext, DrainProvider
from ansible_collections.hospital.patching.plugins.module_utils.drains.interface_engine import InterfaceEngineDrain
from ansible_collections.hospital.patching.plugins.module_utils.drains.keepalived import KeepalivedDrain
from ansible_collections.hospital.patching.plugins.module_utils.drains.pacemaker import PacemakerDrain
from ansible_collections.hospital.patching.plugins.module_utils.drains.postgresql import PostgresqlDrain
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.probes.connector import Connector
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner

PROVIDERS = {one.NAME: one for one in (InterfaceEngineDrain, KeepalivedDrain, PacemakerDrain, PostgresqlDrain)}


def build(name: str, options: Optional[Dict[str, Any]], context: DrainContext) -> DrainProvider:
    """Return the drain called ``name``.

    Raises:
        PatchingError: an unknown name or a bad option.
    """
    if name not in PROVIDERS:
        raise PatchingError(
            "drain {!r}".format(name),
            "an unknown one",
            "one of {}".format(", ".join(sorted(PROVIDERS))),
            "correct patching_drain",
        )
    return PROVIDERS[name](options or {}, context)


def check(name: str, options: Dict[str, Any]) -> Dict[str, Any]:
    """Return the options of a drain, checked and without those that are not set; nothing is read or run."""
    found = build(name, options, DrainContext(Runner(), Clock(), Connector(None), "a host", 1)).options
    return {key: value for key, value in found.items() if value is not None}
