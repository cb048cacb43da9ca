# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""In the window: exactly the transaction, from the stage."""

DOCUMENTATION = r"""
module: update_install
short_description: Install exactly the staged transaction
version_added: 0.1.0
description:
  - Runs the package manager once, without a network, seeing the stage and nothing else. The list of actions that it
    is about to do is compared with the transaction before the first package is unpacked, and any difference stops it.
  - Refuses when a package is neither at its from nor at its target, when a staged file was changed, when another run
    holds the host, or when the package database stays locked.
  - Declared software follows, by its own installer; what of it cannot be done is refused before the first package is
    touched, as is one whose C(not_running) processes run.
  - No question is asked, no service is stopped or started, and changed configuration files are kept. Marks and holds
    are what they were before. C(/etc) is archived on the host before.
  - Alternatives give what they gave before. A choice that a package script has dropped or taken over is made again;
    where the system would now choose something else, it is set by hand, and the way back leaves it to the system again.
  - What an interrupted attempt left half done is repaired first. Packages at their target are skipped.
  - The work goes on when the connection is lost; the next call waits for it.
author: The hospital.patching engineers (@hospital-patching)
extends_documentation_fragment:
  - hospital.patching.attributes
  - hospital.patching.run
  - hospital.patching.run.manager
  - hospital.patching.run.transaction
  - hospital.patching.run.limits
attributes:
  check_mode:
    support: full
    details:
      - Makes all refusals, that of a locked database too; proposals of configuration files are not predictable.
  diff_mode:
    support: none
    details:
      - RV(installed) has every from and to.
  idempotent:
    support: full
options: {}
"""

EXAMPLES = r"""
- name: Install what was staged
  hospital.patching.update_install:
    run_id: 20261122T010000Z-ab12cd34
    transaction: "{{ stage.transaction }}"
  register: install
"""

RETURN = r"""
installed:
  description: What was installed or removed, with C(name), C(arch), C(from) and C(to).
  type: list
  elements: dict
  returned: success
  sample: [{name: libssl3, arch: amd64, from: 3.0.15-1~deb12u1, to: 3.0.17-1~deb12u2}]
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
  description: Whether each alternative gives the program from before. What a package script changed was put back.
  type: bool
  returned: success
  sample: true
conffile_proposals:
  description: Configuration files that packages and declared software proposed and that were not put in force.
  type: list
  elements: str
  returned: success
  sample: [/etc/nginx/nginx.conf.dpkg-dist]
conffile_merge:
  description:
    - What there is to merge of each of RV(conffile_proposals), as keys and line numbers; values stay on the host.
    - C(file) is the file in force and C(proposal) the one beside it. C(format) is V(sections), V(nested),
      V(statements), V(keywords) or V(lines); null where C(note) says why nothing was compared.
    - Each of C(changes) has C(key), null where none is shown, C(change) (V(changed), V(added) by the proposal,
      V(removed) in it), and C(line) and C(proposed_line), null where it does not stand. C(more) counts those beyond 50.
  type: list
  elements: dict
  returned: success
  sample:
    - file: /etc/nginx/nginx.conf
      proposal: /etc/nginx/nginx.conf.dpkg-dist
      format: statements
      changes: [{key: http.server_tokens, change: changed, line: 21, proposed_line: 20}]
      more: 0
      note: null
etc_archive:
  description: The archive of C(/etc) from before, readable by root only; null when nothing was installed.
  type: str
  returned: success
  sample: /var/lib/hospital-patching/etc/etc-before-install-0818093dbb92.tar
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

from ansible_collections.hospital.patching.plugins.module_utils import arguments, conffile_merge
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import this_host
from ansible_collections.hospital.patching.plugins.module_utils.journal import begun
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import InstallRequest
from ansible_collections.hospital.patching.plugins.module_utils.third_party.joined import select_for


def main():
    module = AnsibleModule(
        argument_spec=arguments.merged(arguments.RUN, arguments.MANAGER, arguments.TRANSACTION, arguments.LIMITS),
        supports_check_mode=True,
    )
    given = module.params
    request = InstallRequest(
        given["run_id"], given["transaction"], given["lock_timeout_s"], given["timeout_s"], module.check_mode
    )
    try:
        result = select_for(given["transaction"], given["manager"], this_host(given["state_dir"])).install(request)
    except PatchingError as error:
        module.fail_json(msg=str(error), journalled=begun(given["state_dir"], given["run_id"]), **error.parts())
    result["conffile_merge"] = conffile_merge.of_proposals(result.get("conffile_proposals") or [])
    module.exit_json(journalled=begun(given["state_dir"], given["run_id"]), **result)


if __name__ == "__main__":
    main()
