# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a host's data moves on while it serves.

Then its disk is never put back unasked (DESIGN.md, "Never automatic").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.hospital.patching.plugins.module_utils.data_owners import owns_data
from ansible_collections.hospital.patching.plugins.plugin_utils import gate_live, installed
from ansible_collections.hospital.patching.plugins.plugin_utils import setting_types as types
from ansible_collections.hospital.patching.plugins.plugin_utils.evidence import Evidence


def stateful(setting: object, packages: Iterable[str], owners: Sequence[str]) -> str:
    """Return why the data of a host moves on while it serves, or nothing.

    Args:
        setting: ``patching_stateful``; None where the site does not say.
        packages: the names of what is installed, as far as it is known.
        owners: ``patching_data_owners``.
    """
    if setting is not None:
        return "patching_stateful says so" if setting else ""
    found = sorted(name for name in set(packages) if owns_data(name, owners))
    return f"it has {', '.join(found[:5])}" if found else ""


def why(store: Evidence, host: str, variables: Mapping[str, Any]) -> str:
    """Return why the data of a host moves on, by the inventory as it is now and by its last assessment, or nothing.

    What cannot be known counts as moving on: a setting that cannot be read, and a host whose packages are unknown.
    """
    setting, problem = gate_live.variable(variables, "patching_stateful")
    if problem:
        return problem
    try:
        stated = None if setting is None else types.boolean(setting)
        owners = list(types.texts(gate_live.variable(variables, "patching_data_owners")[0] or []))
    except ValueError as error:
        return f"patching_stateful or patching_data_owners cannot be read: {error}"
    has = installed.read((store.assessment(host) or {}).get("software"))
    if stated is None and "packages" in has.unknown:
        return "what is installed on it is not known, and patching_stateful does not say"
    return stateful(stated, [item.name for item in has.items], owners)
