# SPDX-License-Identifier: GPL-3.0-or-later
"""Blocks an update on the whole fleet, or withdraws that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.plugin_utils import block_text, blocking, opening
from ansible_collections.hospital.patching.plugins.plugin_utils.blocks import Block
from ansible_collections.hospital.patching.plugins.plugin_utils.controller_work import ControllerWork
from ansible_collections.hospital.patching.plugins.plugin_utils.evidence import Evidence
from ansible_collections.hospital.patching.plugins.plugin_utils.halt_files import first_line
from ansible_collections.hospital.patching.plugins.plugin_utils.times import stamp


class ActionModule(ControllerWork, ActionBase):  # type: ignore[misc]
    """Writes the file of blocks; contacts no host."""

    ARGUMENTS = {
        "item": {"type": "str", "required": True},
        "reason": {"type": "str", "default": ""},
        "hosts": {"type": "list", "elements": "str", "default": []},
        "state": {"type": "str", "default": "present", "choices": ["present", "absent"]},
        "evidence_dir": {"type": "path", "default": "evidence"},
    }
    clock = Clock()

    def work(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        item, check = arguments["item"], bool(self._task.check_mode)
        store, now, by = Evidence(Path(arguments["evidence_dir"])), self.clock.now(), opening.asker()
        places = blocking.places(task_vars["hostvars"], task_vars["groups"]["all"], store.root)
        if arguments["state"] == "present":
            hosts = tuple(arguments["hosts"])
            named = blocking.named(hosts, task_vars["groups"])
            wanted = Block(item, first_line(arguments["reason"]), by, stamp(now), hosts)
            changed = [place for place in places if blocking.block(place, wanted, check)]
            text = block_text.blocked(store, wanted, bool(changed), named)
        else:
            reason = arguments["reason"]
            changed = [place for place in places if blocking.lift(place, item, by, reason, now, check)]
            text = block_text.lifted(item, bool(changed))
        return {"changed": bool(changed), "paths": [str(Path(place).resolve()) for place in places], "text": text}
