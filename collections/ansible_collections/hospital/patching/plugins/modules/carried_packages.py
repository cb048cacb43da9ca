# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Offline sites: fills a carried folder. The action plugin of the same name reads and writes the folder."""

DOCUMENTATION = r"""
module: carried_packages
short_description: Fill a carried folder on a connected host
version_added: 0.1.0
description:
  - Runs on a host that reaches the repositories and has the release and the repositories of the offline hosts; a test
    system, or the controller itself.
  - Resolves every request in O(folder)C(/requests) with the offline host's packages in the place of its own, downloads
    the new versions and, where the repositories still have them, the installed ones, and writes them with the
    repositories' signed indexes into O(folder). Requests of other releases are left for another host.
  - Uses private directories; nothing is installed and no service is touched.
author: The hospital.patching engineers (@hospital-patching)
extends_documentation_fragment:
  - hospital.patching.attributes
  - hospital.patching.run.manager
attributes:
  check_mode:
    support: none
    details:
      - Is skipped in check mode, because only downloading shows what there is.
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  folder:
    description: The carried folder on the controller.
    type: path
    required: true
  requests:
    description: The copy of the requests on the host. Given by the action plugin.
    type: path
  archive:
    description: Where the files are written on the host. Given by the action plugin.
    type: path
"""

EXAMPLES = r"""
- name: Fill the folder for all that asked
  hospital.patching.carried_packages:
    folder: /media/carried
"""

RETURN = r"""
digest:
  description: Digest of the folder.
  type: str
  returned: success
  sample: "sha256:0818093d…"
platform:
  description: Operating system, release and architecture that this host has filled the folder for.
  type: str
  returned: success
  sample: debian bookworm amd64
resolved:
  description: By host that asked, the number of packages that it would install.
  type: dict
  returned: success
  sample: {portal1: 25}
waiting:
  description: The hosts whose requests are of another release, for which another connected host is needed.
  type: list
  elements: str
  returned: success
  sample: []
files:
  description: Number of package files in the folder for this platform.
  type: int
  returned: success
  sample: 44
"""

import gzip
import json

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.hospital.patching.plugins.module_utils import arguments
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import this_host
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.registry import select


def main():
    module = AnsibleModule(
        argument_spec=arguments.merged(
            arguments.MANAGER,
            dict(folder=dict(type="path", required=True), requests=dict(type="path"), archive=dict(type="path")),
        ),
        supports_check_mode=False,
    )
    try:
        with gzip.open(module.params["requests"], "rt", encoding="utf-8") as handle:
            given = json.load(handle)
        result = select(module.params["manager"], this_host()).carry(
            given["requests"], set(given["have"]), module.params["archive"]
        )
    except PatchingError as error:
        module.fail_json(msg=str(error), **error.parts())
    module.exit_json(changed=True, **result)


if __name__ == "__main__":
    main()
