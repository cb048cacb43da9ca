# SPDX-License-Identifier: GPL-3.0-or-later
"""Fills a carried folder through a connected host."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

from ansible_collections.hospital.patching.plugins.action.host_step import ActionModule as HostStep
from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.plugin_utils.carried_folder import CarriedFolder
from ansible_collections.hospital.patching.plugins.plugin_utils.carried_transfer import both_ends


class ActionModule(HostStep):
    """Sends the requests, and fetches in one file what the folder does not have yet."""

    TRANSFERS_FILES = True

    def _execute(self, module: str, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        if self._task.check_mode:
            return {"skipped": True, "changed": False, "msg": "not predictable: only downloading shows what there is"}
        folder = CarriedFolder(Path(arguments["folder"]))
        requests, have = folder.requests(), folder.have()
        with both_ends(self) as (here, there):
            asked, archive = here / "requests.json.gz", f"{there}/files.tar"
            with gzip.open(asked, "wt", encoding="utf-8") as handle:
                json.dump({"requests": requests, "have": have}, handle)
            given = self._transfer_file(str(asked), f"{there}/requests.json.gz")
            result = super()._execute(module, {**arguments, "requests": given, "archive": archive}, task_vars)
            if result.get("failed"):
                return result
            self._connection.fetch_file(archive, str(here / "files.tar"))
            before = folder.digest()
            index = folder.fill(here / "files.tar", result, Clock().stamp())
        waiting = sorted(host for host, one in requests.items() if one["platform"] not in index["platforms"])
        return {
            "changed": index["digest"] != before or folder.names() != have,
            "digest": index["digest"],
            "platform": result["platform"],
            "resolved": result["resolved"],
            "waiting": waiting,
            "files": len(result["files"]),
        }
