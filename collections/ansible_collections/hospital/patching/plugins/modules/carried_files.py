# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Offline sites: what a host needs of the carried folder. The action plugin of the same name reads the folder."""

DOCUMENTATION = r"""
module: carried_files
short_description: Give a host what it needs of a carried folder
version_added: 0.1.0
description:
  - At a site without a network to the repositories, copies their signed indexes, and the packages of O(updates), from a
    folder on the controller that M(hospital.patching.carried_packages) has filled.
  - Copies what the host does not have yet, in one transfer. Every file's SHA-256 is compared before it is copied and
    after; a missing or changed file is refused by its name.
  - The package manager still checks the repositories' signatures with the host's own keys.
author: The hospital.patching engineers (@hospital-patching)
extends_documentation_fragment:
  - hospital.patching.attributes
  - hospital.patching.run.manager
attributes:
  check_mode:
    support: full
    details:
      - Counts what would be copied.
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  folder:
    description: The carried folder on the controller.
    type: path
    required: true
  updates:
    description: The updates that the host is to be staged with; their packages, and those they replace, come along.
    type: list
    elements: dict
    default: []
  state_dir:
    description: Directory on the host under which the files are kept until the next folder is brought.
    type: path
    default: /var/lib/hospital-patching
  archive:
    description: The copy on the host. Given by the action plugin.
    type: path
  index:
    description: What the copy holds. Given by the action plugin.
    type: dict
  keep:
    description: The files that the host has afterwards. Given by the action plugin.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Bring the packages of the plan's updates
  hospital.patching.carried_files:
    folder: /media/carried
    updates: "{{ planned.host.updates }}"
  register: carried

- name: Stage them
  hospital.patching.update_stage:
    run_id: 20261122T010000Z-ab12cd34
    host: "{{ inventory_hostname }}"
    updates: "{{ planned.host.updates }}"
    carried: "{{ carried.digest }}"
"""

RETURN = r"""
digest:
  description: Digest of the folder, for the options O(hospital.patching.pending_updates_info#module:carried) and
    O(hospital.patching.update_stage#module:carried).
  type: str
  returned: success
  sample: "sha256:0818093d…"
made:
  description: When the folder was filled (UTC).
  type: str
  returned: success
  sample: "2026-11-20T09:00:00Z"
copied_bytes:
  description: Bytes of the files that were copied; in check mode of those that would be.
  type: int
  returned: success
  sample: 41822932
platform:
  description: Operating system, release and architecture, which the folder must have been filled for.
  type: str
  returned: success
  sample: debian bookworm amd64
have:
  description: SHA-256 of the files that the host has.
  type: list
  elements: str
  returned: success
  sample: []
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.hospital.patching.plugins.module_utils import arguments
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import STATE_DIR, this_host
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.carried_files import CarriedFiles
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.registry import select


def main():
    module = AnsibleModule(
        argument_spec=arguments.merged(
            arguments.MANAGER,
            dict(
                folder=dict(type="path", required=True),
                updates=dict(type="list", elements="dict", default=[]),
                state_dir=dict(type="path", default=STATE_DIR),
                archive=dict(type="path"),
                index=dict(type="dict"),
                keep=dict(type="list", elements="str", default=[]),
            ),
        ),
        supports_check_mode=True,
    )
    given = module.params
    host = this_host(given["state_dir"])
    files = CarriedFiles(host)
    try:
        platform = select(given["manager"], host).platform()
        taken = given["archive"] is not None and not module.check_mode
        if taken:
            files.take(given["archive"], given["index"], given["keep"])
    except PatchingError as error:
        module.fail_json(msg=str(error), **error.parts())
    module.exit_json(changed=taken, platform=platform, have=files.have(), index=files.index())


if __name__ == "__main__":
    main()
