# SPDX-License-Identifier: GPL-3.0-or-later
"""Gives an offline host what it needs of a carried folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.hospital.patching.plugins.action.host_step import ActionModule as HostStep
from ansible_collections.hospital.patching.plugins.plugin_utils.carried_folder import CarriedFolder, releases
from ansible_collections.hospital.patching.plugins.plugin_utils.carried_transfer import both_ends


class ActionModule(HostStep):
    """Asks the host what it has, and brings the rest in one file; a host that has all of it is asked only."""

    TRANSFERS_FILES = True

    def _execute(self, module: str, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        folder = CarriedFolder(Path(arguments["folder"]))
        index = folder.index()
        found = super()._execute(module, arguments, task_vars)
        if found.get("failed"):
            return found
        needed = folder.needed(found["platform"], arguments.get("updates") or [])
        missing = set(needed) - set(found["have"])
        known = {"digest": index["digest"], "made": index["made"], "releases": releases(index, found["platform"])}
        said = {**known, "platform": found["platform"], "copied_bytes": sum(needed[name] for name in missing)}
        del said["releases"]
        if not missing and found["index"] == known:
            return {**said, "changed": False, "have": found["have"]}
        if self._task.check_mode:
            return {**said, "changed": True, "have": found["have"]}
        with both_ends(self) as (here, there):
            folder.bundle(missing, here / "files.tar")
            archive = self._transfer_file(str(here / "files.tar"), f"{there}/files.tar")
            sent = {**arguments, "archive": archive, "index": known, "keep": sorted(needed)}
            taken = super()._execute(module, sent, task_vars)
        return taken if taken.get("failed") else {**said, "changed": True, "have": taken["have"]}
