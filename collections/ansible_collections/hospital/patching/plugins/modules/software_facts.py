# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is installed on a host and what runs of it, in one call."""

DOCUMENTATION = r"""
module: software_facts
short_description: Collect what is installed and what it owes
version_added: 0.1.0
description:
  - Reads, in one call, what is installed on a host (packages of dpkg and rpm, snaps, flatpaks, Python environments, npm
    packages, Ruby gems, Java homes, applications that were unpacked by hand), what runs of it, and what it owes.
  - Reads files and machine-readable answers only; nothing is started of what it finds, and nothing is changed.
  - A collector that fails leaves its part null, one that could read some leaves that, and its message is under
    C(errors); the others stand. Every collector is bounded in time and memory.
author: The hospital.patching engineers (@hospital-patching)
extends_documentation_fragment:
  - hospital.patching.attributes
  - hospital.patching.attributes.info_module
options:
  jars:
    description:
      - Also look into Java archives, and archives inside them, for libraries with known vulnerabilities.
      - Reads every archive below O(jar_roots), which takes long.
    type: bool
    default: false
  jar_roots:
    description: Directories that are searched for archives; empty for the usual ones. Shell patterns are understood.
    type: list
    elements: str
    default: []
  jar_limit_s:
    description: Seconds after which the search for archives ends; what was not looked at is told.
    type: int
    default: 300
  libraries:
    description:
      - Further vulnerable libraries.
    type: list
    elements: dict
    default: []
    suboptions:
      artifact:
        description: Maven's artifact id, which is the archive's name up to its version.
        type: str
        required: true
      group:
        description: Maven's group id; empty for any.
        type: str
        default: ''
      cve:
        description: The CVE.
        type: str
        required: true
      affected:
        description: Ranges of versions, each a list of the first that is affected and the first that is not, or null.
        type: list
        elements: list
        required: true
      source:
        description: Where this was published.
        type: str
        default: ''
  applications:
    description:
      - Further applications that are unpacked beside the package manager. One with a name that is known replaces it.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: What it is called.
        type: str
        required: true
      globs:
        description: Shell patterns of its directory or file.
        type: list
        elements: str
        required: true
      version_file:
        description: The file that states the version, relative to what O(applications[].globs) found.
        type: str
      version_pattern:
        description: A regular expression whose first group is the version.
        type: str
      product:
        description: Its id at endoflife.date.
        type: str
      advice:
        description: What to do with it whatever its version, for example V(remove).
        type: str
  images:
    description: Also ask container engines for their images.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Collect software facts
  hospital.patching.software_facts:

- name: Look for vulnerable libraries in Java archives as well, and for a viewer of this site
  hospital.patching.software_facts:
    jars: true
    applications:
      - name: Dental viewer
        globs: [/opt/dental*]
        version_file: VERSION
        version_pattern: "^([0-9.]+)"

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
                - Of dpkg the repository that offers this version, or where none does any more another version, as
                  C(label:version/suite), from the lists that apt keeps.
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
        snaps:
          description: C(name), C(version), C(revision), C(channel) and C(publisher) of every snap.
          type: list
          elements: dict
          sample: []
        flatpaks:
          description: C(id), C(branch), C(arch), C(version) and C(origin) of the system's flatpaks and runtimes.
          type: list
          elements: dict
          sample: []
        python_environments:
          description: C(path), C(python) and C(packages) (C(name) and C(version)) of what no package manager installed.
          type: list
          elements: dict
          sample: [{path: /opt/app/venv, python: 3.11.2, packages: [{name: requests, version: 2.31.0}]}]
        npm_packages:
          description: C(name), C(version) and C(path) of globally installed npm packages.
          type: list
          elements: dict
          sample: []
        ruby_gems:
          description: C(name), C(version), C(platform), C(path) of every gem, and whether it is a C(default) one.
          type: list
          elements: dict
          sample: []
        java_homes:
          description: C(path), C(version), C(vendor) and C(runtime) of every Java installation.
          type: list
          elements: dict
          sample: [{path: /usr/lib/jvm/java-17-openjdk-amd64, version: 17.0.12, vendor: Debian, runtime: 17.0.12+7}]
        applications:
          description:
            - Applications of the catalogue, with C(name), C(path), C(version), C(product) (its id at endoflife.date),
              C(advice) and the C(package) that owns the path.
          type: list
          elements: dict
          sample:
            - {name: Firefox, path: /opt/firefox, version: "128.0", product: firefox, advice: null, package: null}
        vulnerable_jars:
          description:
            - C(path), C(inside) (the archives from the outermost to the library), C(library), Maven's C(group) (null
              where it is not known), C(version) and C(cves); null unless O(jars).
            - What the search left out, also directories on other hosts and stores of containers, is under C(errors).
          type: list
          elements: dict
          sample: null
        container_images:
          description: C(engine), C(id), C(names), C(created) and C(size_bytes); null unless O(images).
          type: list
          elements: dict
          sample: null
        listening_ports:
          description: C(protocol), C(address), C(port), C(pid), C(process), C(unit) and the C(package) of the program.
          type: list
          elements: dict
          sample:
            - protocol: tcp
              address: 0.0.0.0
              port: 22
              pid: 71
              process: sshd
              unit: ssh.service
              package: openssh-server
        units:
          description: C(name), C(active), C(enabled), C(path) and the C(package) of services, timers and sockets.
          type: list
          elements: dict
          sample:
            - name: ssh.service
              active: active
              enabled: enabled
              path: /lib/systemd/system/ssh.service
              package: openssh-server
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
          description:
            - Other programs that update this host, with C(name), C(kind) (V(unit), V(snapd) or V(cron)), C(active),
              C(enabled) and C(running).
          type: list
          elements: dict
          sample: [{name: apt-daily-upgrade.timer, kind: unit, active: true, enabled: true, running: false}]
        constraints:
          description:
            - What else changes packages on this host or constrains them, with C(kind), C(name), C(detail) and
              C(effect), one of V(changes_packages), V(holds_back), V(refuses_patching), V(restarts), V(informs) or
              V(unknown).
          type: list
          elements: dict
          sample:
            - {kind: apt_pin, name: nginx, detail: pinned to 1.22.* in /etc/apt/preferences.d/nginx, effect: holds_back}
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

import gc

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.hospital.patching.plugins.module_utils.host import this_host
from ansible_collections.hospital.patching.plugins.module_utils.software.registry import collect
from ansible_collections.hospital.patching.plugins.module_utils.software.wanted import Call, Wanted

LIBRARY = dict(
    artifact=dict(type="str", required=True),
    group=dict(type="str", default=""),
    cve=dict(type="str", required=True),
    affected=dict(type="list", elements="list", required=True),
    source=dict(type="str", default=""),
)
APPLICATION = dict(
    name=dict(type="str", required=True),
    globs=dict(type="list", elements="str", required=True),
    version_file=dict(type="str"),
    version_pattern=dict(type="str"),
    product=dict(type="str"),
    advice=dict(type="str"),
)


def main():
    module = AnsibleModule(
        argument_spec=dict(
            jars=dict(type="bool", default=False),
            jar_roots=dict(type="list", elements="str", default=[]),
            jar_limit_s=dict(type="int", default=300),
            libraries=dict(type="list", elements="dict", default=[], options=LIBRARY),
            applications=dict(type="list", elements="dict", default=[], options=APPLICATION),
            images=dict(type="bool", default=False),
        ),
        supports_check_mode=True,
    )
    gc.disable()  # a process that lives for a moment, with tens of thousands of small values
    facts = collect(Call(this_host(), Wanted(**module.params)))
    module.exit_json(changed=False, ansible_facts=dict(patching_software=facts))


if __name__ == "__main__":
    main()
