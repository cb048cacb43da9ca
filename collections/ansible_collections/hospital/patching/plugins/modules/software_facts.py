# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is installed on a host and what runs of it, in one call."""

DOCUMENTATION = r"""
module: software_facts
short_description: Collect what is installed and what it owes
version_added: 0.1.0
description:
  - Reads the host's own files and returns the operating system, kernels, packages, processes that run replaced files,
    a reboot that is owed, failed units, and other programs that update the host.
  - A collector that fails leaves its part null and its message under C(errors); the others stand.
author: The hospital.patching engineers (@hospital-patching)
extends_documentation_fragment:
  - hospital.patching.attributes
  - hospital.patching.attributes.info_module
options: {}
"""

EXAMPLES = r"""
- name: Collect software facts
  hospital.patching.software_facts:

- name: Show what runs replaced files
  ansible.builtin.debug:
    var: ansible_facts['patching_software']['replaced_libraries']
"""

RETURN = r"""
ansible_facts:
  description: Facts about the host's software.
  type: dict
  returned: always
  contains:
    patching_software:
      description: All parts; one that could not be collected is null.
      type: dict
      returned: always
      contains:
        os:
          description:
            - C(id), C(version_id), C(codename), C(pretty_name) and C(architecture).
            - C(support_end) is the day on which the vendor ends support, where os-release states it, else null.
            - C(image) is C(ostree), C(read_only) for a C(/usr) that is mounted so, or null where packages are changed
              in place.
          type: dict
          sample:
            id: debian
            version_id: "12"
            codename: bookworm
            pretty_name: Debian 12
            architecture: amd64
            support_end: null
            image: null
        kernel:
          description: The release that is C(running), and those C(installed), the oldest first.
          type: dict
          sample: {running: 6.1.0-40-amd64, installed: [6.1.0-40-amd64]}
        boot_id:
          description: An identity that changes with every start.
          type: str
          sample: 0f6a7c1e-3f52-4d6a-9c40-55d2a8f2f1aa+912
        booted:
          description: When the host started.
          type: str
          sample: "2026-11-01T04:12:09Z"
        packages:
          description:
            - Every package as C(dpkg-query -W) and C(rpm -qa) list them, sorted by manager, name and architecture.
            - Where only some could be read, these are here and C(errors) says what is missing.
          type: list
          elements: dict
          contains:
            manager:
              description: C(dpkg) or C(rpm).
              type: str
            name:
              description: Its name.
              type: str
            arch:
              description: Its architecture; null for rpm's C(gpg-pubkey), which stands for an imported key.
              type: str
            version:
              description: As dpkg has it; of rpm C([epoch:]version-release), without an epoch of 0.
              type: str
            epoch:
              description: The epoch as a number; 0 if there is none.
              type: int
            source:
              description: The source package that it was built from.
              type: str
            source_version:
              description: The version of that; of rpm without epoch.
              type: str
            origin:
              description:
                - Of dpkg the repository that offers exactly this version, as C(label:version/suite), from the lists
                  that apt keeps.
                - Of rpm the repository that dnf or zypper installed it from, else C(vendor:) and the vendor's name.
                - Null where none is known.
              type: str
            installed_bytes:
              description: What its files take, as the package states; 0 if they were removed.
              type: int
            installed_at:
              description: When this version was installed, in UTC; null if it is not known or the files were removed.
              type: str
            automatic:
              description: Whether it came as another's dependency; null where nobody keeps account of that.
              type: bool
            held:
              description: Whether something keeps it at its version.
              type: bool
            held_by:
              description: C(dpkg hold), C(dnf versionlock), C(zypper lock) or null.
              type: str
            status:
              description:
                - dpkg's state; C(config-files) is a removed package whose configuration remains.
                - Of rpm always C(installed).
              type: str
          sample:
            - manager: dpkg
              name: bash
              arch: amd64
              version: 5.2.15-2+b13
              epoch: 0
              source: bash
              source_version: 5.2.15-2
              origin: Debian:12.15/oldstable
              installed_bytes: 7335936
              installed_at: "2026-07-11T10:16:00Z"
              automatic: false
              held: false
              held_by: null
              status: installed
        replaced_libraries:
          description: C(pid), C(command), C(unit) and C(files) of processes that run replaced files.
          type: list
          elements: dict
          sample: [{pid: 412, command: nginx, unit: nginx.service, files: [/usr/lib/x86_64-linux-gnu/libssl.so.3]}]
        reboot_required:
          description: C(required), and C(reasons).
          type: dict
          sample: {required: false, reasons: []}
        competing_updaters:
          description: Other programs that update this host, with C(name), C(active), C(enabled) and C(running).
          type: list
          elements: dict
          sample: [{name: apt-daily-upgrade.timer, active: true, enabled: true, running: false}]
        failed_units:
          description: Units in state failed.
          type: list
          elements: str
          sample: []
        container:
          description: Whether the host shares its kernel with others.
          type: bool
          sample: false
        errors:
          description: Messages by collector.
          type: dict
          sample: {}
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import this_host
from ansible_collections.hospital.patching.plugins.module_utils.software.registry import collect


def main():
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    module.exit_json(changed=False, ansible_facts=dict(patching_software=collect(this_host())))


if __name__ == "__main__":
    main()
