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
  - What is not upgraded is listed under RV(held) with its reason, also what the options below leave out.
  - O(security_only) and O(include) say what is wanted; what that needs comes along. O(classes), O(exclude),
    O(min_age_days), O(allow) and O(deny) are limits. What needs something beyond a limit is held with it, and the rest
    is resolved again, so that RV(updates) is always one exact transaction.
  - A repository that cannot be fetched, or that is not signed, is an error that names it. An rpm repository has to be
    signed where the package manager of the host is set to check it.
  - With dnf 4 and dnf 5, O(security_only) alone is what C(dnf upgrade --security) does.
  - With zypper, a transaction within the options is that of C(zypper update) with the names of the upgrades, also for
    O(security_only). C(zypper patch --category security) differs, because it refuses all as soon as one patch wants
    a locked package. What replaces a package of another name comes with a whole update only, and is held otherwise.
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
  classes:
    description:
      - Only updates of these classes; all without it.
    type: list
    elements: str
    choices: [os, third_party]
    default: []
  include:
    description:
      - Only packages whose name matches one of these shell patterns; all without it.
    type: list
    elements: str
    default: []
  exclude:
    description:
      - Packages whose name matches one of these shell patterns stay as they are.
    type: list
    elements: str
    default: []
  min_age_days:
    description:
      - Versions younger than this number of days wait; at most 36500.
      - The age is known exactly where the repository tells when the advisory of the version was issued, or the package
        built (rpm). The
        index of an apt archive has one date for all; it is renewed with every change, so a version may be older.
        Where only that date, or none, is known and O(first_seen) is not given, an update waits unless it fixes a
        security flaw. Such a fix does not wait, because nothing would say when its wait ends.
    type: int
    default: 0
  allow:
    description:
      - Only what is on this list is installed, newly installed packages and removals included. All without it.
      - Each item is a package's name, C(name=version), or the id of an advisory.
    type: list
    elements: str
    default: []
  deny:
    description:
      - What is on this list stays as it is; it goes before O(allow).
    type: list
    elements: dict
    default: []
    suboptions:
      item:
        description: A package's name, C(name=version), or the id of an advisory.
        type: str
        required: true
      reason:
        description: Why; shown under RV(held).
        type: str
        default: ''
      fleet:
        description: It stands for the whole fleet, so that it is no problem when it matches nothing on this host.
        type: bool
        default: false
  first_seen:
    description:
      - When earlier assessments saw each version first, as C(name:arch=version) with a time in UTC.
      - With it, even if empty, a version that only the archive's date is known of is as old as the day it was seen, and
        one that is not in it counts as seen now; then security fixes wait as well.
      - To keep track, hand in RV(updates[].published) and RV(held[].published) of the call before.
    type: dict
  software:
    description:
      - Software beside the package manager that the site declares, each entry as docs/software.md says.
      - What differs from its entry is among RV(updates), after the packages and in the order in which it is installed.
    type: list
    elements: dict
    default: []
  carried:
    description:
      - The digest that M(hospital.patching.carried_files) returned; repositories are then read from that folder, and no
        network is used.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Resolve the pending security updates
  hospital.patching.pending_updates_info:
    security_only: true
  register: pending

- name: Leave out what is younger than two weeks, and what breaks the PACS viewer
  hospital.patching.pending_updates_info:
    classes: [os]
    exclude: ["linux-image-*"]
    min_age_days: 14
    deny:
      - item: libssl3=3.0.17-1~deb12u2
        reason: the PACS viewer does not start with it
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
    source:
      description:
        - The source package that it is built from; null if the repository does not say.
        - With rpm from the file name of the source package, so that the two versions have no epoch.
      type: str
      sample: openssl
    source_from:
      description: The source package's version of RV(updates[].from); null if unknown.
      type: str
      sample: 3.0.15-1~deb12u1
    source_to:
      description: The source package's version of RV(updates[].to); null if unknown.
      type: str
      sample: 3.0.17-1~deb12u2
    from:
      description: The installed version; null for a new package.
      type: str
      sample: 3.0.15-1~deb12u1
    to:
      description: The version that would be installed; null for a removal.
      type: str
      sample: 3.0.17-1~deb12u2
    kind:
      description:
        - V(upgrade), V(new_install) or V(removal).
        - A kernel of the rpm family is installed beside the older ones, and is an upgrade of the newest of them.
      type: str
      sample: upgrade
    origin:
      description: Label, version and suite of the archive; of an rpm repository its id. Null for a removal.
      type: str
      sample: Debian-Security:12/oldstable-security
    class:
      description:
        - V(os) or V(third_party); browsers and Java count as third party, whoever distributes them.
        - In the rpm family, a package is the system's if its vendor is that of the package of the system's release.
      type: str
      sample: os
    security:
      description:
        - Whether a security archive publishes this version, or one between it and the installed one.
        - In the rpm family, whether a security advisory names such a version.
      type: bool
      sample: true
    advisories:
      description: Ids of advisories, where the repository names them.
      type: list
      elements: str
      sample: []
    cves:
      description:
        - CVEs that it fixes. From the advisories (updateinfo) of rpm repositories, empty if they name none.
        - Of a Debian package null until it is staged and its changelog can be read.
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
    published:
      description: When this version is known to have existed at the latest; null if nothing is known.
      type: str
      sample: "2026-11-24T00:34:33Z"
    published_by:
      description:
        - How RV(updates[].published) is known.
        - In the rpm family V(advisory), when the newest advisory of exactly this version was issued, else V(build). dnf
          knows only when the advisory was last updated.
        - V(archive) for the date of the archive's Release file; V(seen)
          by an earlier call (O(first_seen)).
      type: str
      sample: archive
    automatic:
      description: Whether it is, or would be, marked as automatically installed.
      type: bool
      sample: true
    installer:
      description: The type of the entry in O(software); only there for such.
      type: str
      sample: archive
    software:
      description: The whole entry, completed; only there for an entry of O(software).
      type: dict
      sample: {name: java, type: archive, version: 17.0.17, root: /opt/java, link: /opt/java/current}
    order:
      description: Its place in the order of installation; only there for an entry of O(software).
      type: int
      sample: 1
held:
  description: Packages that stay as they are although something newer exists, or because they are on hold.
  type: list
  elements: dict
  returned: success
  contains:
    name:
      description: The package.
      type: str
      sample: curl
    arch:
      description: Architecture of the package.
      type: str
      sample: amd64
    version:
      description: The installed version; null for a package that would be newly installed.
      type: str
      sample: 7.88.1-10
    candidate:
      description: What it would become; null if there is nothing newer, or if it would be removed.
      type: str
      sample: 7.88.1-11
    kind:
      description:
        - Why, as a word.
        - By the host V(hold) (the package manager's own hold, dnf's versionlock, a lock of zypper), V(pinned),
          V(phased) (Ubuntu offers it to a part of all machines), V(kept_back) (by dependencies), V(excluded) (by
          dnf's C(excludepkgs) or C(includepkgs)).
        - By an option V(denied), V(not_allowed), V(excluded), V(class), V(deferred), V(not_included), V(not_security),
          or V(needs_held) (what it needs is held by one of the limits).
        - Of an entry of O(software) also V(newer), when a newer version is installed than it declares.
      type: str
      sample: hold
    reason:
      description: Why, as a sentence.
      type: str
      sample: dpkg hold
    security:
      description:
        - As in RV(updates[].security), where an option holds it; null where it is not known, as of what the host holds.
      type: bool
      sample: null
    published:
      description: As in RV(updates[].published), where an option holds it.
      type: str
      sample: null
    published_by:
      description: As in RV(updates[].published_by).
      type: str
      sample: null
problems:
  description:
    - What could not be found out, as of the held packages; the updates stand.
    - Also each item of O(deny), O(allow) and O(include) that matches no installed or pending package.
  type: list
  elements: str
  returned: success
  sample: []
refreshed:
  description: When the metadata was refreshed.
  type: str
  returned: success
  sample: "2026-11-22T01:00:03Z"
repositories:
  description:
    - The host's repositories, with C(uri), C(suite), C(origin), C(label), C(signed) and C(released).
    - Of an rpm repository C(suite) is the id and C(label) the name; C(origin) is null, and there is no C(released).
  type: list
  elements: dict
  returned: success
  sample:
    - uri: "http://deb.debian.org/debian/"
      suite: oldstable
      origin: Debian
      label: Debian
      signed: true
      released: "2026-07-11T10:16:37Z"
listed:
  description: How many packages a whole upgrade would install, before any filter.
  type: int
  returned: success
  sample: 25
facts:
  description: The operating system's C(id), C(version_id), C(architecture), and C(codename) where it has one.
  type: dict
  returned: success
  sample: {id: debian, version_id: "12", codename: bookworm, architecture: amd64}
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.hospital.patching.plugins.module_utils import arguments, pending_filters
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import this_host
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import PendingRequest
from ansible_collections.hospital.patching.plugins.module_utils.third_party.joined import select

FILTERS = dict(
    security_only=dict(type="bool", default=False),
    classes=dict(type="list", elements="str", choices=["os", "third_party"], default=[]),
    include=dict(type="list", elements="str", default=[]),
    exclude=dict(type="list", elements="str", default=[]),
    min_age_days=dict(type="int", default=0),
    allow=dict(type="list", elements="str", default=[]),
    deny=dict(
        type="list",
        elements="dict",
        default=[],
        options=dict(
            item=dict(type="str", required=True),
            reason=dict(type="str", default=""),
            fleet=dict(type="bool", default=False),
        ),
    ),
    first_seen=dict(type="dict"),
    carried=dict(type="str", default=""),
)
SOFTWARE = dict(software=dict(type="list", elements="dict", default=[]))


def main():
    module = AnsibleModule(
        argument_spec=arguments.merged(arguments.MANAGER, FILTERS, SOFTWARE), supports_check_mode=True
    )
    wanted = PendingRequest(**{name: module.params[name] for name in FILTERS})
    try:
        pending_filters.check(wanted)
        result = select(module.params["manager"], this_host(), module.params["software"]).pending(wanted)
    except PatchingError as error:
        module.fail_json(msg=str(error), **error.parts())
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
