# SPDX-License-Identifier: GPL-3.0-or-later
"""The CVEs of Debian updates from the security tracker's JSON, read once for all hosts of a task.

The feed names what an update fixes; it decides nothing. Where it cannot be read, CVEs stay unknown and
``problems`` says why.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils.debian_tracker import (
    DebianTracker,
    read_tracker,
    with_cves,
)
from ansible_collections.hospital.patching.plugins.plugin_utils.fetching import Unavailable, fetch, without_credentials

#: Today's document has 70 MB.
LARGEST = 500_000_000
#: How long a plan or inventory waits for it.
LIMIT_S = 60.0


class CveFeed:
    """Trackers by their place, each read when the first host needs it."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self._trackers: dict[str, DebianTracker | None] = {}

    def named(self, pending: Mapping[str, Any], location: str | None) -> dict[str, Any]:
        """Return ``pending``, the shape of ``pending_updates_info``, with the CVEs of the tracker at ``location``.

        What is known already stays; null stays null where the tracker knows nothing.
        """
        facts = pending.get("facts") or {}
        codename = facts.get("codename")
        if location is None or facts.get("id") != "debian" or not codename:
            return dict(pending)
        tracker = self._tracker(location)
        if tracker is None:
            return dict(pending)
        return {**pending, "updates": with_cves(pending["updates"], tracker, codename)}

    def _tracker(self, location: str) -> DebianTracker | None:
        if location not in self._trackers:
            self._trackers[location] = None
            try:
                self._trackers[location] = read_tracker(fetch(location, LARGEST, LIMIT_S))
            except (PatchingError, Unavailable) as error:
                place = without_credentials(location)
                self.problems.append(f"patching_debian_tracker {place}: {error}; the CVEs of updates stay unknown")
        return self._trackers[location]
