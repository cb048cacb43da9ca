# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Once, after the installation: restart what needs it."""

DOCUMENTATION = r"""
module: update_restart
short_description: Restart the units that run replaced files
version_added: 0.1.0
description:
  - Finds units whose processes run files that were replaced, or a version of declared software that is no longer in
    use, and running units of changed packages, and restarts each of them once. PID 1 is executed anew in place.
  - Of a process at which root may not look, as it lacks C(CAP_SYS_PTRACE) in many containers, the command line is
    believed where it names a replaced program; otherwise the process is returned under RV(owed).
  - Never restarts what would take users' work, the network, containers, virtual machines, a cluster or disks with it.
    These are returned under RV(owed).
  - Says whether a reboot is required. Then nothing is restarted, because the reboot restarts everything.
  - Without a reboot it compares the host with its transaction afterwards, which saves a round trip.
author: The hospital.patching engineers (@hospital-patching)
extends_documentation_fragment:
  - hospital.patching.attributes
  - hospital.patching.run
  - hospital.patching.run.manager
  - hospital.patching.run.transaction
  - hospital.patching.run.names
  - hospital.patching.run.expect
attributes:
  check_mode:
    support: partial
    details:
      - Restarts nothing. What the installation will leave running is not predictable; RV(reboot_required) is told as
        far as the transaction itself decides it.
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  reload:
    description: Units that are reloaded instead of restarted.
    type: list
    elements: str
    default: []
  order:
    description:
      - Units that are restarted first, in this order. The others follow by name, each after those of them that systemd
        starts it after.
    type: list
    elements: str
    default: []
  boots_unattended:
    description:
      - That the host starts without a person although C(/etc/crypttab) names disks without a key, as with Clevis.
      - Otherwise a reboot of such a host is under RV(owed), RV(reboot_required) says V(false), and what runs replaced
        files is restarted.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Restart what needs it
  hospital.patching.update_restart:
    run_id: 20261122T010000Z-ab12cd34
    transaction: "{{ stage.transaction }}"
    reload: [haproxy.service]
"""

RETURN = r"""
restarted:
  description:
    - What was restarted, with C(unit), C(reason), C(how) (V(restart), V(reload) or V(reexec)) and C(seconds_ms).
  type: list
  elements: dict
  returned: always
  sample:
    - {unit: nginx.service, reason: "nginx (412) runs the replaced /usr/sbin/nginx", how: restart, seconds_ms: 180}
failed_units:
  description: Units that did not come back, with C(unit) and C(reason). The module fails after it has tried all.
  type: list
  elements: dict
  returned: always
  sample: []
owed:
  description:
    - What still runs replaced files, with C(unit), C(pid) and C(reason).
    - Also what began before the installation and cannot be looked at, as root without C(CAP_SYS_PTRACE) may not.
  type: list
  elements: dict
  returned: always
  sample:
    - unit: dbus.service
      pid: null
      reason: dbus-daemon (88) runs the replaced /usr/bin/dbus-daemon; every service talks through it
reboot_required:
  description: C(required), and C(reasons). A reason that was there before the installation says so, and is warned of.
  type: dict
  returned: always
  sample: {required: true, reasons: [libc changed (libc6 2.36-9+deb12u13)]}
verified:
  description: What M(hospital.patching.update_verify) returns; null in check mode and when a reboot is required.
  type: dict
  returned: success
note:
  description: Why nothing was restarted, if so; else null.
  type: str
  returned: always
  sample: null
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.hospital.patching.plugins.module_utils import arguments, reboot_required
from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import this_host
from ansible_collections.hospital.patching.plugins.module_utils.replaced_files import ProcessTable
from ansible_collections.hospital.patching.plugins.module_utils.restarts import Restarts
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner
from ansible_collections.hospital.patching.plugins.module_utils.third_party import parts
from ansible_collections.hospital.patching.plugins.module_utils.third_party.joined import (
    replaced_folders,
    replaced_links,
    select_for,
)


def main():
    module = AnsibleModule(
        argument_spec=arguments.merged(
            arguments.RUN,
            arguments.MANAGER,
            arguments.TRANSACTION,
            arguments.NAMES,
            arguments.EXPECT,
            dict(
                reload=dict(type="list", elements="str", default=[]),
                order=dict(type="list", elements="str", default=[]),
                boots_unattended=dict(type="bool", default=False),
            ),
        ),
        supports_check_mode=True,
    )
    given = module.params
    host = this_host(given["state_dir"])
    try:
        manager = select_for(given["transaction"], given["manager"], host)
        packages, names = parts.of_packages(given["transaction"], given["names"])
        left = replaced_folders(host, given["transaction"], given["names"], given["expect"])
        processes = ProcessTable(left=left, links=replaced_links(given["transaction"], given["names"]))
        restarts = Restarts(Runner(), Clock(), "/", given["state_dir"], processes, manager.files)
        result = restarts.run(
            given["run_id"],
            packages,
            names,
            given["reload"],
            module.check_mode,
            given["order"],
            given["boots_unattended"],
        )
        result["verified"] = None
        if not (module.check_mode or result["failed_units"] or result["reboot_required"]["required"]):
            result["verified"] = manager.verify(given["transaction"], given["expect"], given["names"])
    except PatchingError as error:
        module.fail_json(msg=str(error), **error.parts())
    for reason in result["reboot_required"]["reasons"]:
        if reason.endswith(reboot_required.OWED_BEFORE):
            module.warn("this host owed a reboot before this run: {}".format(reason))
    if result["failed_units"]:
        error = PatchingError(
            ", ".join(item["unit"] for item in result["failed_units"]),
            "; ".join(item["reason"] for item in result["failed_units"]),
            "units that run again",
            "read `journalctl -u` of these units; roll this host back if they do not start",
        )
        module.fail_json(msg=str(error), **dict(result, **error.parts()))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
