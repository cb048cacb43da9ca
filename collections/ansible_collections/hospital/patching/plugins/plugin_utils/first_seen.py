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
