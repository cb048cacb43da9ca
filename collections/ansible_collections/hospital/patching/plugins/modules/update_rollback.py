# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The way back: the versions that a transaction replaced."""

DOCUMENTATION = r"""
module: update_rollback
short_description: Put back the versions that a transaction replaced
version_added: 0.1.0
description:
  - Installs the preserved versions again, with the same rules as M(hospital.patching.update_install); new packages of
    the transaction are removed and removed ones come back.
  - Undoes what the installation did to marks, holds and alternatives. What was marked, held or chosen since stays so.
  - A configuration file that the package manager cannot put back, since the newer version had a directory in its
    place, comes from the archive of C(/etc); the directory stays beside it as C(.replaced).
  - Declared software goes back to its kept version, after the packages and in reverse order.
  - Checks the dependencies before anything is touched.
  - A package that owns data (a database, a directory, a PACS) is refused unless O(downgrade_safe) names this pair
    of versions.
  - Also works on a host on which the installation failed half way.
author: The hospital.patching engineers (@hospital-patching)
extends_documentation_fragment:
  - hospital.patching.attributes
  - hospital.patching.run
  - hospital.patching.run.manager
  - hospital.patching.run.transaction
  - hospital.patching.run.names
  - hospital.patching.run.limits
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details:
      - RV(installed) has every from and to.
  idempotent:
    support: full
options:
  data_owners:
    description: Shell patterns of more packages that own data, beside those that are known.
    type: list
    elements: str
    default: []
  downgrade_safe:
    description:
      - Downgrades of packages that own data which somebody answers for, each with C(name), C(from), the newer version,
        and C(to), the older one.
    type: list
    elements: dict
    default: []
"""

EXAMPLES = r"""
- name: Take back what was installed
  hospital.patching.update_rollback:
    run_id: 20261122T010000Z-ab12cd34
    transaction: "{{ stage.transaction }}"
"""

RETURN = r"""
installed:
  description: What was installed or removed, with C(name), C(arch), C(from) and C(to).
  type: list
  elements: dict
  returned: success
  sample: [{name: libssl3, arch: amd64, from: 3.0.17-1~deb12u2, to: 3.0.15-1~deb12u1}]
already:
  description: What was at its target already, with C(name), C(arch) and C(version).
  type: list
  elements: dict
  returned: success
  sample: []
nothing_to_do:
  description: Whether everything was at its target.
  type: bool
  returned: success
  sample: false
transaction:
  description: Digest of the transaction.
  type: str
  returned: success
  sample: sha256:0818093dbb921e8b09f856ad99b312f30c93021cce701f39bc40f2965f915e66
marks_equal:
  description: Whether the automatic and manual marks are those from before, new packages as planned.
  type: bool
  returned: success
  sample: true
holds_equal:
  description: Whether the holds are those from before.
  type: bool
  returned: success
  sample: true
alternatives_equal:
  description: Whether each alternative gives the program from before the installation, unless it was chosen since.
  type: bool
  returned: success
  sample: true
conffile_proposals:
  description: Configuration files that packages and declared software proposed and that were not put in force.
  type: list
  elements: str
  returned: success
  sample: [/etc/nginx/nginx.conf.dpkg-dist]
etc_archive:
  description: The archive of C(/etc) from before, readable by root only; null when nothing was installed.
  type: str
  returned: success
  sample: /var/lib/hospital-patching/etc/etc-before-rollback-0818093dbb92.tar
policy_rc_d:
  description: Whose policy-rc.d kept services as they were, V(ours) or V(site); null when nothing was installed, and
    on hosts of the rpm family, whose scripts run with C(SYSTEMD_OFFLINE=1) instead.
  type: str
  returned: success
  sample: ours
repaired:
  description: Whether an interrupted attempt was completed first.
  type: bool
  returned: success
  sample: false
journalled:
  description:
    - Whether the host's journal says that this run has begun to change packages since its last snapshot.
    - Null when the journal cannot be read.
  type: bool
  returned: always
  sample: true
seconds_ms:
  description: Milliseconds of C(prepare), of the tool that changed the packages under its own name (C(dpkg) or
    C(rpm)), and of C(after).
  type: dict
  returned: success
  sample: {prepare: 140, dpkg: 9120, after: 210}
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.hospital.patching.plugins.module_utils import arguments
from ansible_collections.hospital.patching.plugins.module_utils.data_owners import DataRules
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import this_host
from ansible_collections.hospital.patching.plugins.module_utils.journal import begun
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import InstallRequest
from ansible_collections.hospital.patching.plugins.module_utils.third_party.joined import select_for


def main():
    module = AnsibleModule(
        argument_spec=arguments.merged(
            arguments.RUN,
            arguments.MANAGER,
            arguments.TRANSACTION,
            arguments.NAMES,
            arguments.LIMITS,
            dict(
                data_owners=dict(type="list", elements="str", default=[]),
                downgrade_safe=dict(type="list", elements="dict", default=[]),
            ),
        ),
        supports_check_mode=True,
    )
    given = module.params
    request = InstallRequest(
        given["run_id"],
        given["transaction"],
        given["lock_timeout_s"],
        given["timeout_s"],
        module.check_mode,
        DataRules(given["data_owners"], given["downgrade_safe"]),
    )
    try:
        manager = select_for(given["transaction"], given["manager"], this_host(given["state_dir"]))
        result = manager.rollback(request, given["names"])
    except PatchingError as error:
        module.fail_json(msg=str(error), journalled=begun(given["state_dir"], given["run_id"]), **error.parts())
    module.exit_json(journalled=begun(given["state_dir"], given["run_id"]), **result)


if __name__ == "__main__":
    main()
