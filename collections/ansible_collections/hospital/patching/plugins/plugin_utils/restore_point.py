# SPDX-License-Identifier: GPL-3.0-or-later
"""How the restore point of a planned host is asked for: provider, options, and where it runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.firmware import same_uuid
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.registry import PROVIDERS

#: Keys of ``patching_snapshot`` that are not options of the provider.
OWN_KEYS = ("provider", "reason", "on")
#: The provider of a host of which the site says none: assess finds it out.
AUTO = "auto"
#: What may be found out, all of it on the host itself; and how much of the reason is kept.
FOUND_OUT = ("btrfs", "lvm", "preserved", "snapper")
WHY_LENGTH = 400


def found_out(wanted: Mapping[str, Any], assessed: Mapping[str, Any] | None) -> tuple[dict[str, Any], str]:
    """Return ``patching_snapshot`` with a provider in ``auto``'s place, and why it is that one; else nothing.

    What a host answers chooses nothing that runs elsewhere.

    Args:
        wanted: the setting.
        assessed: ``provider`` and ``why`` of ``snapshot_provider_info``, or None where nobody has asked.
    """
    if wanted["provider"] != AUTO:
        return dict(wanted), ""
    if not assessed:
        return {"provider": "preserved"}, "assess has not asked the host"
    provider, why = assessed.get("provider"), assessed.get("why")
    if provider not in FOUND_OUT or not isinstance(why, str):
        return {"provider": "preserved"}, "what the host answered is not understood"
    return {"provider": provider}, "".join(one if one.isprintable() else " " for one in why)[:WHY_LENGTH]


def restore_point(host: str, run_id: str, entry: Mapping[str, Any], stage: Mapping[str, Any]) -> dict[str, Any]:
    """Return what ``host_snapshot`` needs for ``host``.

    ``entry`` is the plan's entry of the host, ``stage`` its stage result. What
    reaches a host from outside runs on the controller, any other provider on the
    host itself, unless ``patching_snapshot.on`` names a machine. What is made of a
    disk holds the journal too, so that has to say so first (``pending``).

    Raises:
        PatchingError: preserved packages are the way back, and not all could be preserved; or the machine that the
            site names is not the host.
    """
    wanted = dict(entry["snapshot"])
    asked = place(host, wanted)
    # A disk is put back by itself only where somebody wants that, so what was found out is no way back alone.
    if asked["provider"] == "preserved" or entry.get("snapshot_found"):
        _require_all(host, stage)
    if asked["provider"] == "preserved":
        asked["options"].update(preserved_dir=stage["preserved_dir"], transaction=stage["transaction"])
    _require_same_machine(host, asked["options"], stage)
    for key in PROVIDERS[asked["provider"]].FROM_STAGE:
        if asked["options"].get(key) is None and stage.get(key) is not None:
            asked["options"][key] = stage[key]
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


def _require_same_machine(host: str, options: Mapping[str, Any], stage: Mapping[str, Any]) -> None:
    told, seen = options.get("dmi_uuid"), stage.get("dmi_uuid")
    try:
        if not told or not seen or same_uuid(str(told), str(seen)):
            return
    except ValueError:
        pass  # no UUID at all: of another machine in any case
    raise PatchingError(
        f"host {host}",
        f"its firmware says UUID {seen}",
        f"{told}, as its patching_snapshot says (dmi_uuid)",
        "correct it there, so that no other machine is put back in this host's place, and plan again",
    )


def _require_all(host: str, stage: Mapping[str, Any]) -> None:
    lost = [f"{one['name']} {one['version']} ({one['reason']})" for one in stage.get("not_preserved") or []]
    if lost:
        raise PatchingError(
            f"host {host}",
            f"not preserved: {', '.join(lost)}",
            "every version that the transaction replaces, so that there is a way back",
            "put the package in order and stage the host again, or give it another patching_snapshot and plan again",
        )
