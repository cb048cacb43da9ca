# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Find out what makes restore points of a host."""

DOCUMENTATION = r"""
module: snapshot_provider_info
short_description: Find out what makes restore points of a host
version_added: 0.1.0
description:
  - Tells by what a host can be put back of which the site does not say it (C(patching_snapshot) is V(auto)). It runs on
    that host as root, and changes nothing. Meanwhile it takes the lock of such snapshots, and mounts the top level of a
    root on btrfs where it looks.
  - A root on btrfs is held by V(snapper), where that has a configuration for it, else by V(btrfs); one on a logical
    volume by V(lvm), where its initramfs is that of initramfs-tools. The provider is asked, with its default options,
    whether it could make a restore point now.
  - What would not go back with the root, such as a C(/usr) or C(/var) of its own, with btrfs also a C(/boot), is a
    reason against all of them.
  - Where none can, V(preserved) is the way back, the packages that are replaced.
  - Providers that reach a host from outside, such as V(vsphere), need a login that only the site knows, so they are
    never found out.
author: The hospital.patching engineers (@hospital-patching)
extends_documentation_fragment:
  - hospital.patching.attributes
  - hospital.patching.attributes.info_module
options:
  host:
    description: Inventory name of the host.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Find out what makes restore points of the host
  hospital.patching.snapshot_provider_info:
    host: "{{ inventory_hostname }}"
  register: way_back
"""

RETURN = r"""
provider:
  description: Name of the provider, V(btrfs), V(lvm), V(preserved) or V(snapper).
  type: str
  returned: always
why:
  description: What the host's root is on and, of a provider that cannot hold it, why.
  type: str
  returned: always
  sample: / is ext4 on /dev/mapper/system-root
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.found_out import ELSE, find_out


def main():
    module = AnsibleModule(argument_spec=dict(host=dict(type="str", required=True)), supports_check_mode=True)
    if os.geteuid():
        module.exit_json(changed=False, provider=ELSE, why="this is not root there, who alone can find it out")
    found = find_out(module.params["host"], Runner(), Clock())
    module.exit_json(changed=False, **found._asdict())


if __name__ == "__main__":
    main()
