# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Does the host equal its transaction?"""

DOCUMENTATION = r"""
module: update_verify
short_description: Compare a host with its transaction
version_added: 0.1.0
description:
  - Compares every version, the automatic and manual marks, the holds and the alternatives with what they must be, asks
    the package database for its own findings, and looks for units that have failed since the installation began.
  - Compares declared software with its version and asks its probe whether it works.
  - Reads only.
author: The hospital.patching engineers (@hospital-patching)
extends_documentation_fragment:
  - hospital.patching.attributes
  - hospital.patching.attributes.info_module
  - hospital.patching.run
  - hospital.patching.run.manager
  - hospital.patching.run.transaction
  - hospital.patching.run.names
  - hospital.patching.run.expect
"""

EXAMPLES = r"""
- name: Verify the installation
  hospital.patching.update_verify:
    run_id: 20261122T010000Z-ab12cd34
    transaction: "{{ stage.transaction }}"
  register: verification
  failed_when: verification.verdict != 'ok'
"""

RETURN = r"""
verdict:
  description: V(ok) or V(failed).
  type: str
  returned: success
  sample: ok
problems:
  description: What differs, with C(subject), C(seen) and C(expected).
  type: list
  elements: dict
  returned: success
  sample: [{subject: "libssl3:amd64", seen: 3.0.15-1~deb12u1 is installed, expected: 3.0.17-1~deb12u2}]
at_target:
  description: Whether every compared package is at the transaction's target, whatever O(expect) says.
  type: bool
  returned: success
  sample: true
versions_checked:
  description: How many packages were compared.
  type: int
  returned: success
  sample: 25
marks_equal:
  description: Whether the automatic and manual marks are as recorded before; null when nothing was recorded.
  type: bool
  returned: success
  sample: true
holds_equal:
  description: Whether the holds are as recorded before; null when nothing was recorded.
  type: bool
  returned: success
  sample: true
alternatives_equal:
  description: Whether each alternative gives the program recorded before; null when nothing was recorded.
  type: bool
  returned: success
  sample: true
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.hospital.patching.plugins.module_utils import arguments
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import this_host
from ansible_collections.hospital.patching.plugins.module_utils.third_party.joined import select_for


def main():
    module = AnsibleModule(
        argument_spec=arguments.merged(
            arguments.RUN,
            arguments.MANAGER,
            arguments.TRANSACTION,
            arguments.NAMES,
            arguments.EXPECT,
        ),
        supports_check_mode=True,
    )
    given = module.params
    try:
        manager = select_for(given["transaction"], given["manager"], this_host(given["state_dir"]))
        result = manager.verify(given["transaction"], given["expect"], given["names"])
    except PatchingError as error:
        module.fail_json(msg=str(error), **error.parts())
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
