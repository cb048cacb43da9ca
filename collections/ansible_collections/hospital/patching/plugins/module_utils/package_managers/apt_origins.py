# SPDX-License-Identifier: GPL-3.0-or-later
"""Where an update comes from: its origin, its class, and whether it is a security update."""

import bz2
import fnmatch
import gzip
import lzma
import re
from typing import Any, Dict, List, Optional, Set, Tuple

from ansible_collections.hospital.patching.plugins.module_utils import dpkg_version

#: Origins that maintain the operating system itself.
OS_ORIGINS = ("Debian", "Debian-Security", "Ubuntu")

#: Third-party software that the operating system's own archive distributes.
#: Its vendors publish their own advisories and it is what users are attacked
#: through (browsers, Java), so it is classed with software from elsewhere.
#: Add a line here to extend it: shell patterns of package names.
THIRD_PARTY_NAMES = (
    "firefox-esr*",
    "thunderbird*",
    "chromium*",
    "openjdk-*",
    "default-jre*",
    "default-jdk*",
)

_OPENERS = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}
_FIELD = re.compile(rb"^(Package|Version|Architecture): (.*)$", re.MULTILINE)


def is_security(origin: Dict[str, str]) -> bool:
    """Return whether an archive publishes security updates only.

    Debian: label ``Debian-Security`` or suite ``*-security``; Ubuntu: pocket
    ``*-security``, ESM archives included (``*-apps-security``, ``*-infra-security``).
    """
    if origin.get("label") == "Debian-Security":
        return True
    suite = origin.get("archive") or origin.get("suite") or ""
    return suite.endswith("-security") or (origin.get("codename") or "").endswith("-security")


def preferred(origins: List[Dict[str, str]]) -> Optional[Dict[str, str]]:
    """Return the origin to show of several that carry a version: a security archive first."""
    return next((origin for origin in origins if is_security(origin)), origins[0] if origins else None)


def text(origin: Optional[Dict[str, str]]) -> Optional[str]:
    """Return an origin as ``label:version/suite``, for example ``Debian-Security:12/oldstable-security``."""
    if origin is None:
        return None
    label = origin.get("label") or origin.get("origin") or origin.get("site") or "unnamed"
    return "{}:{}/{}".format(label, origin.get("version") or "", origin.get("archive") or origin.get("codename") or "")


def update_class(name: str, origins: List[Dict[str, str]]) -> str:
    """Return ``os`` or ``third_party``."""
    if any(fnmatch.fnmatchcase(name, pattern) for pattern in THIRD_PARTY_NAMES):
        return "third_party"
    if not origins:
        return "os"  # a removal: the operating system's resolver wants it
    return "os" if any(origin.get("origin") in OS_ORIGINS for origin in origins) else "third_party"


def security_versions(repositories: List[Dict[str, Any]], names: Set[str]) -> Dict[Tuple[str, str], List[str]]:
    """Return the versions that security archives hold of ``names``, by name and architecture.

    An update from a point release is a security update too when a security
    archive published a version between the installed one and it.
    """
    found: Dict[Tuple[str, str], List[str]] = {}
    for repository in repositories:
        if is_security({"label": repository["label"], "archive": repository["suite"]}):
            for path in repository["index_files"]:
                for name, arch, version in _index(path, names):
                    found.setdefault((name, arch), []).append(version)
    return found


def publication(origins: List[Dict[str, str]], repositories: List[Dict[str, Any]]) -> Optional[str]:
    """Return the earliest date at which an archive listed a version with these ``origins``, or None.

    Archives that cannot be told apart (same origin, label and suite) count with their latest date.
    """
    dates = []
    for origin in origins:
        same = [
            repository["released"]
            for repository in repositories
            if (repository["origin"] or "") == (origin.get("origin") or "")
            and (repository["label"] or "") == (origin.get("label") or "")
            and repository["suite"] in (origin.get("archive"), origin.get("codename"))
        ]
        if same and all(same):
            dates.append(max(same))
    return min(dates) if dates else None


def _index(path: str, names: Set[str]) -> List[Tuple[str, str, str]]:
    opener: Any = next((_OPENERS[end] for end in _OPENERS if path.endswith(end)), open)
    try:
        with opener(path, "rb") as handle:
            content = handle.read()
    except (OSError, EOFError, lzma.LZMAError):
        return []
    wanted = {b"Package: " + name.encode() for name in names}
    found = []
    for block in content.split(b"\n\n"):
        if block.split(b"\n", 1)[0] in wanted:
            fields = {key.decode(): value.decode("utf-8", "replace") for key, value in _FIELD.findall(block)}
            if len(fields) == 3:
                found.append((fields["Package"], fields["Architecture"], fields["Version"]))
    return found


def fixed_on_the_way(current: Optional[str], to: str, versions: List[str]) -> bool:
    """Return whether a security version lies after ``current`` and not after ``to``."""
    return any(
        (current is None or dpkg_version.compare(current, version) < 0) and dpkg_version.compare(version, to) <= 0
        for version in versions
    )
