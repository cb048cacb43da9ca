# SPDX-License-Identifier: GPL-3.0-or-later
"""Provider ``none``: no restore point, by policy and with a stated reason."""

from typing import List, Optional

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.base import Snapshot, SnapshotProvider


class NoneProvider(SnapshotProvider):
    """Records that there is nothing to go back to, and why that was accepted."""

    NAME = "none"

    def available(self, host: str) -> Optional[str]:
        return None

    def create(self, run_id: str, host: str, reason: str, expires: str) -> Snapshot:
        if not reason.strip():
            raise PatchingError(
                "host {}".format(host),
                "snapshot provider none without a reason",
                "the reason why this host is patched without a way back",
                "give reason in patching_snapshot, or choose another provider",
            )
        return Snapshot("none", self.NAME, run_id, host, reason, self.clock.stamp(), expires, {})

    def list(self, run_id: Optional[str] = None, host: Optional[str] = None) -> List[Snapshot]:
        return []

    def delete(self, snapshot_id: str) -> bool:
        return False
