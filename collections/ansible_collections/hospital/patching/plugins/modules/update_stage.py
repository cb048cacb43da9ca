# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Before the window: everything that an update needs, on the host, checked and rehearsed."""

DOCUMENTATION = r"""
module: update_stage
short_description: Download a host's updates and keep the way back
version_added: 0.1.0
description:
  - Resolves the host's own transaction within O(manifest). Anything the manifest does not allow is refused by name, and
    so is a manifest of another release or architecture.
  - Checks the free space, downloads every package through the package manager, compares each file's SHA-256, writes
    an index of its own, and rehearses the transaction from that index alone.
  - Unpacks every package into nothing. Refused are an archive that this host cannot unpack, a file of another package
    without a C(Replaces), a file system that is read-only (unless apt remounts it), noexec where packages' scripts lie,
    or without room for so many files.
  - Keeps the installed versions of everything the transaction replaces or removes, from the repository, from the
    package manager's cache, or, where both have lost them, packed again from the installed files; changed
    configuration files stay the host's own.
  - Declared software among O(updates) is downloaded from its source, held against its SHA-256 and signature, unpacked
    beside the version in use where its type allows that, and tried there.
  - Nothing is installed and no service is touched. What is staged already is not downloaded again.
  - Before it counts the space, removes the stages, preserved packages and archives of C(/etc) of older transactions
    that no way back needs any more. Kept is what was used within O(preserved_keep_days), or is staged for a window not
    longer ago than that, what belongs to an unfinished run, to the newest run that was finished on the host, or to the
    newest that was not taken back, and whatever cannot be read. While a run holds the host, nothing is removed.
author: The hospital.patching engineers (@hospital-patching)
extends_documentation_fragment:
  - hospital.patching.attributes
  - hospital.patching.run
  - hospital.patching.run.manager
attributes:
  check_mode:
    support: full
    details:
      - Resolves and counts, downloads nothing; RV(cves) stays empty, because changelogs are inside the packages.
      - Removes nothing; RV(retention) says what would be removed.
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  host:
    description: The host's inventory name, which becomes part of the transaction.
    type: str
    required: true
  updates:
    description: The plan's updates of this host, as M(hospital.patching.pending_updates_info) returned them.
    type: list
    elements: dict
    required: true
  manifest:
    description:
      - The manifest of the host's group.
      - Without it, exactly O(updates) are allowed.
    type: dict
  software_logins:
    description:
      - For declared software whose source asks for a login, C(user:password), or C(?query) for the end of the URL.
      - The key is the entry's name for the server of its source, C(NAME@HOST) or C(NAME@HOST:PORT) for the server of
        its signature or previous version. No other server gets it.
    type: dict
    default: {}
  carried:
    description:
      - The digest that M(hospital.patching.carried_files) returned; packages then come from that folder, and no network
        is used.
    type: str
    default: ""
  controller_time:
    description:
      - The controller's clock, as UTC ISO 8601 with C(Z). Of it and the host's own, the earlier one says how old
        something is.
    type: str
    default: ""
  preserved_keep_days:
    description: For how many days what an older transaction needs for its way back is kept, at least 1.
    type: int
    default: 62
  window_end:
    description: When the updates can be begun no longer, as UTC ISO 8601 with C(Z); empty where no window is set.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Stage what the plan says
  hospital.patching.update_stage:
    run_id: 20261122T010000Z-ab12cd34
    host: "{{ inventory_hostname }}"
    updates: "{{ pending.updates }}"
  register: stage
"""

RETURN = r"""
transaction:
  description: What the host will do, with from and to of every package, and its digest.
  type: dict
  returned: success
  sample: {schema: 1, host: portal1, manager: apt, manifest: null, entries: [], digest: "sha256:0818093d…"}
nothing_to_do:
  description: Whether every update is at its target already.
  type: bool
  returned: success
  sample: false
stage_dir:
  description: Where the packages are; null when there is nothing to do, and in check mode.
  type: str
  returned: success
  sample: /var/lib/hospital-patching/stage/0818093dbb92
preserved_dir:
  description: Where the versions are kept that it replaces.
  type: str
  returned: success
  sample: /var/lib/hospital-patching/preserved/0818093dbb92
preserved:
  description: The versions kept for the way back, with C(name), C(arch), C(version) and C(sha256), which is null where
    not one file is kept.
  type: list
  elements: dict
  returned: success
  sample: [{name: libssl3, arch: amd64, version: 3.0.15-1~deb12u1, sha256: 8ec874926e21…}]
not_preserved:
  description: The versions that could not be kept, with C(name), C(arch), C(version) and C(reason).
  type: list
  elements: dict
  returned: success
  sample: []
space:
  description: For each file system concerned, C(mount), C(needed_bytes) (margin included) and C(free_bytes).
  type: list
  elements: dict
  returned: success
  sample: [{mount: /, needed_bytes: 205671124, free_bytes: 244111933440}]
change_bytes:
  description: Bytes that the installation is expected to write, which a snapshot of the host has to make room for.
  type: int
  returned: when something is to be installed
  sample: 178257920
dmi_uuid:
  description: The UUID in the host's firmware, by which a hypervisor knows its machine; null without one.
  type: str
  returned: success
  sample: 564d5c1b-9a2e-7d0c-55f3-0a1b2c3d4e5f
cves:
  description: By package name, the CVEs that its changelog names between from and to; a package whose changelog was
    not found is not in it.
  type: dict
  returned: success
  sample: {libssl3: [CVE-2025-9230]}
download_bytes:
  description: Bytes downloaded by this call; in check mode those that would be.
  type: int
  returned: success
  sample: 41822932
retention:
  description:
    - C(removed) is what was removed of older transactions, each with C(path), C(transaction) and C(freed_bytes), and
      C(freed_bytes) their sum; in check mode what would be.
    - C(kept) is what was kept because nobody can tell whether it is needed, each with C(path) and C(reason).
  type: dict
  returned: always
  sample:
    removed:
      - path: /var/lib/hospital-patching/preserved/6f1ed002ab55
        transaction: 6f1ed002ab55
        freed_bytes: 41824256
    freed_bytes: 41824256
    kept: []
way_back_tried:
  description:
    - Whether rpm has tested the way back on a copy of its database. V(false) where C(/var/tmp) has no room for the
      copy, or there is no database; the next call tries again.
    - Null where nothing was to be tested, that is with nothing to do, with anything in RV(not_preserved), in check mode
      of what is not staged yet, and on hosts of apt.
  type: bool
  returned: success
  sample: true
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.hospital.patching.plugins.module_utils import arguments, manifest_group, retention
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.firmware import dmi_uuid
from ansible_collections.hospital.patching.plugins.module_utils.host import this_host
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import StageRequest
from ansible_collections.hospital.patching.plugins.module_utils.third_party.joined import select


def main():
    module = AnsibleModule(
        argument_spec=arguments.merged(
            arguments.RUN,
            arguments.MANAGER,
            dict(
                host=dict(type="str", required=True),
                updates=dict(type="list", elements="dict", required=True),
                manifest=dict(type="dict"),
                software_logins=dict(type="dict", no_log=True, default={}),
                carried=dict(type="str", default=""),
                controller_time=dict(type="str", default=""),
                preserved_keep_days=dict(type="int", default=retention.KEEP_DAYS),
                window_end=dict(type="str", default=""),
            ),
        ),
        supports_check_mode=True,
    )
    given = module.params
    host = this_host(given["state_dir"])
    request = StageRequest(
        given["run_id"],
        given["host"],
        given["updates"],
        given["manifest"],
        module.check_mode,
        given["carried"],
        given["window_end"],
    )
    asked = retention.Retention(
        given["run_id"], given["preserved_keep_days"], given["controller_time"], module.check_mode
    )
    removed = {"removed": [], "freed_bytes": 0, "kept": []}
    try:
        manifest_group.check(given["manifest"], given["host"], host.root)
        removed = retention.apply(host, asked)
        result = select(given["manager"], host, logins=given["software_logins"]).stage(request)
    except PatchingError as error:
        module.fail_json(msg=str(error), retention=removed, **error.parts())
    changed = result["changed"] or bool(removed["removed"])
    module.exit_json(**dict(result, changed=changed, retention=removed, dmi_uuid=dmi_uuid(host.root)))


if __name__ == "__main__":
    main()
