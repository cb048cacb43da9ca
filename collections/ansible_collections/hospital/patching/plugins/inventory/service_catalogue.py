# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The inventory plugin service_catalogue."""

from __future__ import annotations

DOCUMENTATION = r"""
name: service_catalogue
short_description: Services, hosts and networks of a site in one checked file
version_added: 0.1.0
description:
  - Gives the hosts that other inventories have their C(patching_*) variables, from a file whose mistakes are refused
    with the file and the line. Adds no hosts.
  - Has to be read after the inventories whose hosts it names. In a directory Ansible reads files in the order of their
    names; on the command line in the order of C(-i).
  - Its name has to end in C(catalogue.yml) or C(catalogue.yaml).
  - What the site's other files say of a host or group goes before what the catalogue says, only C(vendor_locked) stays.
  - Where a file has a mistake, Ansible itself only warns and goes on. Every host then has the variable
    C(patching_catalogue_error), with which this collection contacts and changes none.
  - Where it is no YAML at all, nobody but Ansible sees it. Set C(any_unparsed_is_failed) in the section C([inventory])
    of ansible.cfg, or C(patching_catalogue_required) in C(group_vars).
author:
  - The hospital.patching engineers (@hospital-patching)
options:
  plugin:
    description: V(hospital.patching.service_catalogue).
    type: str
    required: true
    choices: [hospital.patching.service_catalogue]
  schema:
    description: The version of the file's contract.
    type: int
    required: true
    choices: [1]
  segments:
    description:
      - Networks as CIDR, with the settings of the hosts whose C(ansible_host) is an address in them.
      - No two may overlap.
      - Those with the policy V(vendor_locked) become C(patching_device_segments) of all hosts. Where another place
        states these too, they have to contain the catalogue's; no host is contacted until they do.
      - An C(ansible_host) that stands in C(host_vars) or C(group_vars) is not known when the catalogue is read.
    type: dict
    default: {}
  services:
    description:
      - Services by name. Each has C(hosts), a mapping from names to settings of their own or to nothing, and settings
        that all its hosts share.
      - Where it has C(start_order), a list of its hosts, these are patched in that order, each after all before it. It
        becomes their C(patching_after), added to what C(after) says in the catalogue.
    type: dict
    default: {}
  hosts:
    description: Hosts that carry no service, with their settings.
    type: dict
    default: {}
"""

EXAMPLES = r"""
# inventories/site/zz-catalogue.yml
plugin: hospital.patching.service_catalogue
schema: 1
segments:
  10.9.0.0/16: {policy: vendor_locked}
services:
  ehr:
    tier: 2
    owner: Clinical applications
    contact: "+49 30 1234 567"
    window: "Sun 01:00, 3 h, Europe/Berlin"
    depends_on: [database]
    after: [database]
    drain: none
    allowed_signers: files/approvers
    hosts:
      ehr1: {ring: canary}
      ehr2:
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin

try:
    from ansible.template import trust_as_template
except ImportError:  # ansible-core before 2.19 trusts all text

    def trust_as_template(value: str) -> str:
        return value


from ansible_collections.hospital.patching.plugins.plugin_utils import service_catalogue
from ansible_collections.hospital.patching.plugins.plugin_utils.settings import (
    CATALOGUE_ERROR,
    CATALOGUE_GROUP,
    CATALOGUE_LOCKED,
    CATALOGUE_READ,
    CATALOGUE_SEGMENTS,
)


class InventoryModule(BaseInventoryPlugin):  # type: ignore[misc]
    """Thin: reads the file, hands the variables over, and leaves a mark on all hosts where it cannot."""

    NAME = "hospital.patching.service_catalogue"

    def verify_file(self, path: str) -> bool:
        """Other files are other plugins' to read, also where a site lists this one among those that are tried."""
        return bool(super().verify_file(path)) and path.endswith(("catalogue.yml", "catalogue.yaml"))

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        super().parse(inventory, loader, path, cache)
        try:
            self._hand_over(inventory, Path(path))
        except Exception as error:  # whatever it is, no host may be left as if there were no catalogue
            inventory.set_variable("all", CATALOGUE_ERROR, str(error).partition(". Next: ")[0] or type(error).__name__)
            raise AnsibleParserError(str(error)) from error

    def _hand_over(self, inventory: Any, path: Path) -> None:
        catalogue = service_catalogue.read(path)
        addresses = {name: self._address(host) for name, host in inventory.hosts.items()}
        layers = service_catalogue.layers(catalogue, addresses)
        self._set(inventory, "all", {CATALOGUE_READ: str(path)})
        segments = service_catalogue.device_segments(catalogue)
        if segments:
            declared = inventory.groups["all"].vars.get("patching_device_segments")
            # A second list, so that no other place takes a network away; see contacts.decide.
            self._set(inventory, "all", {CATALOGUE_SEGMENTS: segments})
            self._set(inventory, "all", {"patching_device_segments": segments} if declared is None else {})
        for number, layer in enumerate(layers):
            # Groups of low priority, so that whatever the site's own inventory says goes before them.
            group = inventory.add_group(f"{CATALOGUE_GROUP}{number}")
            inventory.set_variable(group, "ansible_group_priority", layer.priority)
            self._set(inventory, group, layer.variables)
            for host in layer.hosts:
                inventory.add_child(group, host)
        for host in service_catalogue.locked(layers):
            self._set(inventory, host, {CATALOGUE_LOCKED: True})

    @staticmethod
    def _set(inventory: Any, entity: str, variables: Mapping[str, Any]) -> None:
        for name, value in variables.items():
            inventory.set_variable(entity, name, _trusted(value))

    @staticmethod
    def _address(host: Any) -> str:
        """Variables of inventory files are known here, those of group_vars and host_vars are not yet."""
        return str(host.vars.get("ansible_host") or host.name)


def _trusted(value: Any) -> Any:
    if isinstance(value, str):
        return trust_as_template(value)
    if isinstance(value, dict):
        return {key: _trusted(item) for key, item in value.items()}
    return [_trusted(item) for item in value] if isinstance(value, list) else value
