# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Offline sites: what a host needs carried to it. The action plugin of the same name writes the request."""

DOCUMENTATION = r"""
module: carry_request
short_description: Ask for the updates of a host that has no network to its repositories
version_added: 0.1.0
description:
  - Writes which packages the host has, from which repositories, into O(folder)C(/requests) on the controller.
    Nothing on the host is changed.
  - The folder is carried to a connected machine, where M(hospital.patching.carried_packages) fills it.
author: The hospital.patching engineers (@hospital-patching)
extends_documentation_fragment:
  - hospital.patching.attributes
  - hospital.patching.run.manager
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  folder:
    description: The carried folder on the controller.
    type: path
    required: true
"""

EXAMPLES = r"""
- name: Ask for this host's updates
  hospital.patching.carry_request:
    folder: /media/carried
"""

RETURN = r"""
request:
  description: Where the request is; null in check mode.
  type: str
  returned: success
  sample: /media/carried/requests/portal1.json
platform:
  description: Operating system, release and architecture of the connected host that is needed.
  type: str
  returned: success
  sample: debian bookworm amd64
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.hospital.patching.plugins.module_utils import arguments
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import this_host
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.registry import select


def main():
    module = AnsibleModule(
        argument_spec=arguments.merged(arguments.MANAGER, dict(folder=dict(type="path", required=True))),
        supports_check_mode=True,
    )
    try:
        request = select(module.params["manager"], this_host()).carry_request()
    except PatchingError as error:
        module.fail_json(msg=str(error), **error.parts())
    module.exit_json(changed=False, request=request)


if __name__ == "__main__":
    main()
