# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a host would update, resolved by its own package manager."""

DOCUMENTATION = r"""
module: pending_updates_info
short_description: Resolve the updates that a host would install
version_added: 0.1.0
description:
  - Refreshes the repositories' metadata in a private directory, lets the package manager resolve the whole upgrade
    without doing it, and removes the directory. The host's own metadata is not touched, and nothing stays behind.
  - What is not upgraded because it is on hold is listed with its reason.
  - A repository that cannot be fetched, or that is not signed, is an error that names it.
author: The hospital.patching engineers (@hospital-patching)
extends_documentation_fragment:
  - hospital.patching.attributes
  - hospital.patching.attributes.info_module
  - hospital.patching.run.manager
options:
  security_only:
    description:
      - Only security updates, and what they newly install or remove, resolved again with that restriction.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Resolve the pending security updates
  hospital.patching.pending_updates_info:
    security_only: true
  register: pending
"""

RETURN = r"""
manager:
  description: The package manager that answered.
  type: str
  returned: success
  sample: apt
updates:
  description: The resolved transaction, one item a package.
  type: list
  elements: dict
  returned: success
  contains:
    name:
      description: The package.
      type: str
      sample: libssl3
    arch:
      description: Architecture of the package file.
      type: str
      sample: amd64
    from:
      description: The installed version; null for a new package.
      type: str
      sample: 3.0.15-1~deb12u1
    to:
      description: The version that would be installed; null for a removal.
      type: str
      sample: 3.0.17-1~deb12u2
    kind:
      description: V(upgrade), V(new_install) or V(removal).
      type: str
      sample: upgrade
    origin:
      description: Label, version and suite of the archive.
      type: str
      sample: Debian-Security:12/oldstable-security
    class:
      description: V(os) or V(third_party); browsers and Java count as third party, whoever distributes them.
      type: str
      sample: os
    security:
      description: Whether a security archive publishes this version, or one between it and the installed one.
      type: bool
      sample: true
    advisories:
      description: Ids of advisories, where the repository names them.
      type: list
      elements: str
      sample: []
    cves:
      description: CVEs that it fixes; null until the package is staged and its changelog can be read.
      type: list
      elements: str
      sample: null
    download_bytes:
      description: Size of the package file.
      type: int
      sample: 2028420
    installed_bytes:
      description: Size once installed; null if the repository does not say.
      type: int
      sample: 6123520
    sha256:
      description: SHA-256 of the package file.
      type: str
      sample: 796fc7fe18866f5b1fb27a115d7339e549d71b7ddbc15b8d6fc4226c243e96d1
    automatic:
      description: Whether it is, or would be, marked as automatically installed.
      type: bool
      sample: true
held:
  description: Packages on hold, with C(name), C(arch), C(version), C(candidate) (null if there is none) and C(reason).
  type: list
  elements: dict
  returned: success
  sample: [{name: curl, arch: amd64, version: 7.88.1-10, candidate: 7.88.1-11, reason: dpkg hold}]
refreshed:
  description: When the metadata was refreshed.
  type: str
  returned: success
  sample: "2026-11-22T01:00:03Z"
repositories:
  description: The host's repositories, with C(uri), C(suite), C(origin), C(label) and C(signed).
  type: list
  elements: dict
  returned: success
  sample: [{uri: "http://deb.debian.org/debian/", suite: oldstable, origin: Debian, label: Debian, signed: true}]
listed:
  description: How many packages a whole upgrade would install, before any filter.
  type: int
  returned: success
  sample: 25
facts:
  description: The operating system's C(id), C(version_id) and C(architecture).
  type: dict
  returned: success
  sample: {id: debian, version_id: "12", architecture: amd64}
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.hospital.patching.plugins.module_utils import arguments
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import EVERYTHING, this_host
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.registry import select


def main():
    module = AnsibleModule(
        argument_spec=arguments.merged(arguments.MANAGER, dict(security_only=dict(type="bool", default=False))),
        supports_check_mode=True,
    )
    try:
        wanted = EVERYTHING._replace(security_only=module.params["security_only"])
        result = select(module.params["manager"], this_host()).pending(wanted)
    except PatchingError as error:
        module.fail_json(msg=str(error), **error.parts())
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
