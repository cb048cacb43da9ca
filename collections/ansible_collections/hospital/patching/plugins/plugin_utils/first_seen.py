# SPDX-License-Identifier: GPL-3.0-or-later
"""When each pending version was seen first, carried from one assessment of a host to the next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.hospital.patching.plugins.module_utils.pending_filters import version_label


def first_seen(pending: Mapping[str, Any] | None) -> dict[str, str]:
    """Return the option ``first_seen`` of ``pending_updates_info`` from what it returned the last time.

    ``pending`` is None where the host was never assessed. Versions that are pending no
    more are forgotten: what comes back later waits anew.
    """
    if pending is None:
        return {}
    items = [*pending.get("updates", []), *pending.get("held", [])]
    return {version_label(item): item["published"] for item in items if item.get("published")}


def known_since(document: Mapping[str, Any]) -> dict[str, str]:
    """Return what a kept assessment says of it; that of a host that was away carries it from the one before.

    Documents of an older version have no such key: theirs is that of what was pending.
    """
    kept = document.get("first_seen")
    if isinstance(kept, Mapping):
        return {str(label): str(time) for label, time in kept.items()}
    pending = document.get("pending")
    return first_seen(pending if isinstance(pending, Mapping) else None)
