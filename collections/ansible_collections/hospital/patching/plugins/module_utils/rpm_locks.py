# SPDX-License-Identifier: GPL-3.0-or-later
"""Which installed packages may not be changed: dnf's versionlock and zypper's locks, read from their files."""

import fnmatch
import os
import re
from typing import Dict, Iterator, List, NamedTuple, Optional

from ansible_collections.hospital.patching.plugins.module_utils.rpm_database import RpmPackage

#: ``whole`` matches any form of name, version and architecture, ``name`` the name alone; None matches nothing.
Lock = NamedTuple("Lock", [("by", str), ("whole", Optional["re.Pattern[str]"]), ("name", Optional["re.Pattern[str]"])])

VERSIONLOCK = "dnf versionlock"
ZYPPER = "zypper lock"
#: ``dnf versionlock add`` always writes the epoch, which ends the name beyond doubt.
_NAME_BEFORE_EPOCH = re.compile(r"(.+)-[0-9]+:")


def read(root: str) -> List[Lock]:
    """Return the locks of both tools; a file that is missing or unreadable has none."""
    return [
        lock
        for lock in (
            _versionlock(_text(root, "etc/dnf/plugins/versionlock.list")),
            _zypper(_text(root, "etc/zypp/locks")),
        )
        if lock.whole or lock.name
    ]


def holder(locks: List[Lock], package: RpmPackage) -> Optional[str]:
    """Return what holds ``package``, or None."""
    for lock in locks:
        if lock.name and lock.name.match(package.name):
            return lock.by
        if lock.whole and any(lock.whole.match(form) for form in _forms(package)):
            return lock.by
    return None


def _forms(package: RpmPackage) -> Iterator[str]:
    """Yield the ways in which dnf lets a package be named (dnf(8), "Specifying packages")."""
    name, version, release = package.name, package.version, package.release
    yield name
    yield "{}.{}".format(name, package.arch)
    for number in (version, "{}:{}".format(package.epoch, version)):
        yield "{}-{}".format(name, number)
        yield "{}-{}-{}".format(name, number, release)
        yield "{}-{}-{}.{}".format(name, number, release, package.arch)


def _versionlock(text: str) -> Lock:
    """Return the locks of versionlock.list: a pattern a line.

    A locked name holds the package whatever version the line names. Lines that
    begin with ``!`` only exclude single versions from being chosen.
    """
    patterns = [line.strip() for line in text.split("\n") if line.strip() and line[0] not in "#!"]
    names = (_NAME_BEFORE_EPOCH.match(pattern) for pattern in patterns)
    return Lock(VERSIONLOCK, _any(patterns), _any([name.group(1) for name in names if name]))


def _zypper(text: str) -> Lock:
    """Return the locks of packages by name in zypp's paragraphs (zypper(8), "Package Lock Management").

    A lock that names a repository or a version keeps only those away, and the
    installed package is free to change.
    """
    exact: List[str] = []
    for paragraph in text.split("\n\n"):
        fields: Dict[str, List[str]] = {}
        for line in paragraph.split("\n"):
            name, colon, value = line.partition(":")
            if colon and not line.startswith("#"):
                fields.setdefault(name.strip(), []).append(value.strip())
        if "repo" in fields or "version" in fields or fields.get("type", ["package"]) != ["package"]:
            continue
        kind = fields.get("match_type", ["exact"])[0]
        for name in fields.get("solvable_name", []):
            pattern = _zypper_pattern(kind, name)
            exact.append(pattern if fields.get("case_sensitive") == ["on"] else "(?i:{})".format(pattern))
    try:
        return Lock(ZYPPER, None, re.compile("|".join(exact)) if exact else None)
    except re.error:
        return Lock(ZYPPER, None, None)


def _zypper_pattern(kind: str, name: str) -> str:
    if kind == "glob":
        return fnmatch.translate(name)
    if kind == "regex":
        return "(?:.*(?:{}))".format(name)
    return (".*{}.*" if kind == "substring" else "{}\\Z").format(re.escape(name))


def _any(patterns: List[str]) -> Optional["re.Pattern[str]"]:
    return re.compile("|".join(fnmatch.translate(pattern) for pattern in patterns)) if patterns else None


def _text(root: str, name: str) -> str:
    try:
        with open(os.path.join(root, name), "rb") as handle:
            return handle.read(1 << 20).decode("utf-8", "replace")
    except OSError:
        return ""
