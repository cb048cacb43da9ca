# SPDX-License-Identifier: GPL-3.0-or-later
"""Provider ``preserved``: the restore point is the packages that stage preserved on the host.

Nothing is made here. It is proven that every package which the transaction
replaces or removes is there in its installed version, so that update_rollback
has something to go back to.
"""

import os
from typing import Any, Dict, List, Optional

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import STATE_DIR, Host
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.package_folder import folder_of
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.base import Snapshot, SnapshotProvider
from ansible_collections.hospital.patching.plugins.module_utils.third_party import parts
from ansible_collections.hospital.patching.plugins.module_utils.transaction import short_name, validate


class PreservedProvider(SnapshotProvider):
    """Runs on the host itself, on what update_stage returned."""

    NAME = "preserved"
    OPTIONS = {
        "preserved_dir": {"type": "path"},
        "transaction": {"type": "dict", "required": True},
    }

    def __init__(self, options: Dict[str, Any], runner: Runner, clock: Clock) -> None:
        super().__init__(options, runner, clock)
        validate(self.options["transaction"])
        #: As update_stage lays it out and update_rollback reads it.
        self.folder = self.options["preserved_dir"] or os.path.join(
            STATE_DIR, "preserved", short_name(parts.of_packages(self.options["transaction"], [])[0])
        )

    def available(self, host: str) -> Optional[str]:
        missing = self._missing()
        if missing:
            return "not preserved in {}: {}".format(self.folder, ", ".join(missing))
        return None

    def create(self, run_id: str, host: str, reason: str, expires: str) -> Snapshot:
        refusal = self.available(host)
        if refusal:
            raise PatchingError(
                "host {}".format(host),
                refusal,
                "every package that the transaction replaces, in its installed version",
                "stage the host again, or choose another snapshot provider",
            )
        identity = "preserved:{}".format(self.options["transaction"]["digest"])
        detail = {"preserved_dir": self.folder, "packages": len(self._replaced())}
        return Snapshot(identity, self.NAME, run_id, host, reason, self.clock.stamp(), expires, detail)

    def list(self, run_id: Optional[str] = None, host: Optional[str] = None) -> List[Snapshot]:
        return []

    def delete(self, snapshot_id: str) -> bool:
        # The packages belong to the stage, which is cleaned up as a whole.
        return False

    def _replaced(self) -> List[Dict[str, Any]]:
        return [entry for entry in self.options["transaction"].get("entries", []) if entry["from"] is not None]

    def _missing(self) -> List[str]:
        kept = folder_of(self.options["transaction"]["manager"], self.folder)
        host = Host(self.runner, self.clock, "/", STATE_DIR)
        software = parts.software(self.options["transaction"].get("entries", []))
        lacking = [(entry, _way_back_lacks(host, entry)) for entry in software]
        return [
            "{} {}".format(entry["name"], entry["from"])
            for entry in parts.packages(self._replaced())
            if kept.kept_architecture(entry["name"], entry["from"], entry["arch"]) is None
        ] + ["{} {} ({})".format(entry["name"], entry["from"] or "taken away", why) for entry, why in lacking if why]


def _way_back_lacks(host: Host, entry: Dict[str, Any]) -> Any:
    # Most hosts have no declared software.
    from ansible_collections.hospital.patching.plugins.module_utils.third_party import staging  # noqa: PLC0415

    return staging.way_back_lacks(host, entry)
