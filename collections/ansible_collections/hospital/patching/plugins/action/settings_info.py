# SPDX-License-Identifier: GPL-3.0-or-later
"""Explains every effective setting of a host and where it comes from."""

from __future__ import annotations

from functools import partial
from typing import Any

from ansible.inventory.host import Host
from ansible.inventory.manager import InventoryManager
from ansible.plugins.action import ActionBase
from ansible.vars.plugins import get_vars_from_inventory_sources

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.plugin_utils import explanation, settings
from ansible_collections.hospital.patching.plugins.plugin_utils.contacts import RUN_VARIABLES
from ansible_collections.hospital.patching.plugins.plugin_utils.controller_work import ControllerWork


class ActionModule(ControllerWork, ActionBase):  # type: ignore[misc]
    """Reads the inventory again, place by place, in Ansible's order of precedence."""

    ARGUMENTS = {"evidence_dir": {"type": "path", "default": "evidence"}}

    def work(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        name = task_vars["inventory_hostname"]
        sources = list(task_vars.get("ansible_inventory_sources") or [])
        inventory = InventoryManager(loader=self._loader, sources=sources)
        places = explanation.places(self._layers(inventory.hosts[name], sources))
        explained = settings.explain(name, task_vars["hostvars"][name], also_known=RUN_VARIABLES)
        rows = explanation.rows(explained, places)
        asked = explanation.asked(name, arguments["evidence_dir"], Clock().now())
        return {"changed": False, "settings": rows, "text": [*explanation.text(name, rows).splitlines(), *asked]}

    def _layers(self, host: Host, sources: list[str]) -> list[tuple[str, dict[str, Any]]]:
        """Of groups first what inventories say of any of them, then their group_vars; a host's own after both."""
        groups = sorted(host.get_groups(), key=lambda group: (group.depth, group.priority, group.name))
        named = [(explanation.label(group.name), group) for group in groups]
        own = [(f"host {host.name}", host)]
        return [
            (label, variables(entity))
            for entities in (named, own)
            for variables in (lambda entity: dict(entity.get_vars()), partial(self._files, sources))
            for label, entity in entities
        ]

    def _files(self, sources: list[str], entity: Any) -> dict[str, Any]:
        """Return what group_vars, host_vars and other vars plugins say."""
        return dict(get_vars_from_inventory_sources(self._loader, sources, [entity], "all"))
