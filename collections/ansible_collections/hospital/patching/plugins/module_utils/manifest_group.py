# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a manifest is one for this host: it was frozen for one release and one architecture.

A host may have been installed anew, or its name given to another machine, since
it was assessed; then names and versions can be right and the packages wrong.
"""

import os
import re
from typing import Any, Dict, List, Optional

from ansible_collections.hospital.patching.plugins.module_utils.dpkg_database import DpkgDatabase
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.software.os_identity import read_os_release

#: Of one group several manifests, where hosts want different versions: the second is called group.2.
_NUMBER = re.compile(r"\.[0-9]+\Z")
#: Of the family of Enterprise Linux, packages of the system itself (rocky-release) raise the minor release.
_MINOR = re.compile(r"\A((?:rhel|rocky|almalinux|centos|ol)-[0-9]+)(?:\.[0-9]+)+(-)")
#: What rpm calls the kernel's many names of one architecture.
_FAMILIES = ((re.compile(r"i[3-6]86\Z"), "i386"), (re.compile(r"armv7\w*\Z"), "armhfp"))


def check(manifest: Optional[Dict[str, Any]], host: str, root: str, machine: Optional[str] = None) -> None:
    """Refuse a manifest of another release or architecture.

    Args:
        machine: what the kernel calls the architecture; asked when it is not given.

    Raises:
        PatchingError: naming both.
    """
    if manifest is None:
        return
    release = read_os_release(root)
    group = _NUMBER.sub("", str(manifest.get("group") or "no group"))
    names = _architectures(DpkgDatabase(root).native(), machine or os.uname().machine)
    here = ["{}-{}-{}".format(release["id"], release["version_id"], name) for name in names]
    if _plain(group) not in [_plain(name) for name in here]:
        raise PatchingError(
            "host {}".format(host),
            "it is {}, and the manifest is for {}".format(here[0], group),
            "a manifest of its own release and architecture",
            "find out whether it was installed anew or replaced, then assess and plan it again; nothing was staged",
        )


def _plain(group: str) -> str:
    """Return a group without the minor release that an update of the same system raises."""
    return _MINOR.sub(r"\1\2", group)


def _architectures(native: str, machine: str) -> List[str]:
    """Return the names that package managers may have for it: dpkg's first, then rpm's."""
    names = [native] if native else []
    names += [family for pattern, family in _FAMILIES if pattern.match(machine)]
    return names + [machine]
