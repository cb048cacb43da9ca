# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether an rpm update is the operating system's or a third party's.

The rule: an update is the operating system's if its package names the vendor
that the package of the operating system's own release names (redhat-release,
rocky-release, SLES-release and the like; all of them provide
``system-release`` or ``distribution-release``). Repository ids say less: a
mirror or Satellite names them as it likes, and EPEL's packages are another
vendor's than the system's in whatever repository they are copied.
Where a vendor is not stated, the ids that vendors themselves give decide.
"""

import fnmatch
from typing import Optional

#: Software that the system's own repositories distribute, but whose makers publish their own
#: advisories (browsers, Java): the same as apt_origins.THIRD_PARTY_NAMES under the rpm families' names.
THIRD_PARTY_NAMES = (
    "firefox",
    "firefox-*",
    "MozillaFirefox*",
    "thunderbird*",
    "MozillaThunderbird*",
    "chromium",
    "chromium-*",
    "chromedriver",
    "java-[0-9]*-openjdk*",
)

#: Ids of repositories as the makers of operating systems call them.
OS_REPOSITORIES = (
    "baseos*",
    "appstream*",
    "crb",
    "powertools",
    "extras",
    "rhel-*",
    "ol[0-9]*_baseos_*",
    "ol[0-9]*_appstream*",
    "ol[0-9]*_UEKR*",
    "amazonlinux*",
    "fedora",
    "updates",
    "repo-oss*",
    "repo-update*",
    "repo-sle-*",
    "SLE-*",
    "SLES*",
)


def update_class(name: str, vendor: Optional[str], os_vendor: Optional[str], repository: Optional[str]) -> str:
    """Return ``os`` or ``third_party``; without a repository it is a removal, which the system's resolver wants."""
    if any(fnmatch.fnmatchcase(name, pattern) for pattern in THIRD_PARTY_NAMES):
        return "third_party"
    if repository is None:
        return "os"
    if vendor and os_vendor:
        return "os" if vendor == os_vendor else "third_party"
    return "os" if any(fnmatch.fnmatchcase(repository, pattern) for pattern in OS_REPOSITORIES) else "third_party"
