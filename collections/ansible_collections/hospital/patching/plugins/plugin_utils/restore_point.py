# SPDX-License-Identifier: GPL-3.0-or-later
"""How the restore point of a planned host is asked for: provider, options, and where it runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.registry import PROVIDERS

#: Keys of ``patching_snapshot`` that are not options of the provider.
OWN_KEYS = ("provider", "reason", "on")


def restore_point(host: str, run_id: str, entry: Mapping[str, Any], stage: Mapping[str, Any]) -> dict[str, Any]:
    """Return what ``host_snapshot`` needs for ``host``.

    ``entry`` is the plan's entry of the host, ``stage`` its stage result. What
    reaches a host from outside runs on the controller, any other provider on the
    host itself, unless ``patching_snapshot.on`` names a machine. What is made of a
    disk holds the journal too, so that has to say so first (``pending``).

    Raises:
        PatchingError: preserved packages are the way back, and not all could be preserved.
    """
    wanted = dict(entry["snapshot"])
    asked = place(host, wanted)
    if asked["provider"] == "preserved":
        _require_all(host, stage)
        asked["options"].update(preserved_dir=stage["preserved_dir"], transaction=stage["transaction"])
    return {
        **asked,
        "reason": wanted.get("reason") or f"before run {run_id}",
        "pending": PROVIDERS[asked["provider"]].MAKES,
    }


def place(host: str, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``provider``, its ``options``, and ``on``: the machine where it is asked."""
    provider = wanted["provider"]
    return {
        "provider": provider,
        "options": {key: value for key, value in wanted.items() if key not in OWN_KEYS},
        "on": wanted.get("on") or ("localhost" if PROVIDERS[provider].FROM_OUTSIDE else host),
    }


def _require_all(host: str, stage: Mapping[str, Any]) -> None:
    lost = [f"{one['name']} {one['version']} ({one['reason']})" for one in stage.get("not_preserved") or []]
    if lost:
        raise PatchingError(
            f"host {host}",
            f"not preserved: {', '.join(lost)}",
            "every version that the transaction replaces, so that there is a way back",
            "put the package in order and stage the host again, or give it another patching_snapshot and plan again",
        )
