# SPDX-License-Identifier: GPL-3.0-or-later
"""CVEs that a Debian changelog names between two versions (Debian Policy 4.4)."""

import re
from typing import List, Optional

from ansible_collections.hospital.patching.plugins.module_utils import dpkg_version
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner

_HEADER = re.compile(r"^(\S+) \(([^()\s]+)\)", re.MULTILINE)
_CVE = re.compile(r"\bCVE-\d{4}-\d{4,}\b")

#: Prints the changelog of one .deb; the file's name goes in as $1, its pattern as $2.
_EXTRACT = 'dpkg-deb --fsys-tarfile "$1" | tar -x -O -f - --wildcards "$2" | gzip -dc'


def cves_between(changelog: str, current: Optional[str], to: str) -> List[str]:
    """Return the CVEs of the entries after ``current`` up to ``to``, sorted by year and number.

    Without ``current`` (a new package) nothing on the host is fixed by it.
    """
    if current is None:
        return []
    found = set()
    headers = list(_HEADER.finditer(changelog))
    ends = [header.start() for header in headers[1:]] + [len(changelog)]
    for header, end in zip(headers, ends):
        version = header.group(2)
        if dpkg_version.compare(version, current) > 0 and dpkg_version.compare(version, to) <= 0:
            found.update(_CVE.findall(changelog[header.start() : end]))
    return sorted(found, key=lambda name: tuple(int(part) for part in name.split("-")[1:]))


def read_changelog(runner: Runner, deb: str, native: bool) -> Optional[str]:
    """Return the Debian changelog inside a .deb, or None: many packages share that of another.

    Packages made by Debian itself (no revision in the version) name it
    ``changelog.gz``; in all others that is the upstream author's.
    """
    pattern = "./usr/share/doc/*/changelog.gz" if native else "./usr/share/doc/*/changelog.Debian.gz"
    result = runner.run(["sh", "-c", _EXTRACT, "sh", deb, pattern], timeout_s=300, check=False)
    return result.stdout if _HEADER.search(result.stdout) else None
