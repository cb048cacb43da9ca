# SPDX-License-Identifier: GPL-3.0-or-later
"""Which installed packages may not be changed: dnf's versionlock and zypper's locks, read from their files."""

import fnmatch
import os
import re
import warnings
from typing import Dict, Iterator, List, NamedTuple, Optional, Tuple

from ansible_collections.hospital.patching.plugins.module_utils.rpm_database import RpmPackage

#: ``whole`` matches any form of name, version and architecture, ``name`` the name alone; None matches nothing.
Lock = NamedTuple("Lock", [("by", str), ("whole", Optional["re.Pattern[str]"]), ("name", Optional["re.Pattern[str]"])])

VERSIONLOCK = "dnf versionlock"
ZYPPER = "zypper lock"
_UNREADABLE = "/etc/zypp/locks: the regular expression {} cannot be read ({}): what it locks is not marked as held"
#: POSIX character classes (regex(7)), which Python does not know, as what stands for them within brackets.
_CLASSES = {
    "alnum": "a-zA-Z0-9",
    "alpha": "a-zA-Z",
    "blank": " \\t",
    "digit": "0-9",
    "lower": "a-z",
    "punct": r"!-/:-@\[-`{-~",
    "space": r"\s",
    "upper": "A-Z",
    "xdigit": "0-9A-Fa-f",
}
_CLASS = re.compile(r"\[:([a-z]+):\]")
#: ``dnf versionlock add`` always writes the epoch, which ends the name beyond doubt.
_NAME_BEFORE_EPOCH = re.compile(r"(.+)-[0-9]+:")


def read(root: str) -> Tuple[List[Lock], List[str]]:
    """Return the locks of both tools, and those that cannot be read; a missing or unreadable file has none."""
    versions = _versionlock(_text(root, "etc/dnf/plugins/versionlock.list"))
    locks, problems = _zypper(_text(root, "etc/zypp/locks"))
    return [versions] * bool(versions.whole) + locks, problems


def holder(locks: List[Lock], package: RpmPackage) -> Optional[str]:
    """Return what holds ``package``, or None."""
    for lock in locks:
        if lock.name and lock.name.match(package.name):
            return lock.by
        if lock.whole and any(lock.whole.match(form) for form in _forms(package)):
            return lock.by
    return None


def names_version(locks: List[Lock], package: RpmPackage) -> bool:
    """Return whether a versionlock names this very version, so that dnf may install it."""
    versions = [lock.whole for lock in locks if lock.by == VERSIONLOCK and lock.whole]
    forms = list(_forms(package))[2:]  # those without a version are no answer
    return any(pattern.match(form) for pattern in versions for form in forms)


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


def _zypper(text: str) -> Tuple[List[Lock], List[str]]:
    """Return the locks of packages by name in zypp's paragraphs (zypper(8), "Package Lock Management").

    A lock that names a repository or a version keeps only those away, and the
    installed package is free to change.
    """
    locks: List[Lock] = []
    problems: List[str] = []
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
            flags = 0 if fields.get("case_sensitive") == ["on"] else re.IGNORECASE
            try:
                locks.append(Lock(ZYPPER, None, _compiled(kind, name, flags)))
            except (re.error, OverflowError) as error:
                problems.append(_UNREADABLE.format(name, error))
    return locks, problems


def _compiled(kind: str, name: str, flags: int) -> "re.Pattern[str]":
    """Return what matches the names that a lock holds."""
    if kind == "glob":
        return re.compile(fnmatch.translate(name), flags)
    if kind == "regex":
        plain = _CLASS.sub(lambda found: _CLASSES.get(found.group(1), found.group(0)), name)
        if _CLASS.search(plain):
            raise re.error("an unknown class of characters")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            re.compile(plain)  # by itself: `a)|(b` would be one within the parentheses
            return re.compile(".*(?:{})".format(plain), flags)
    return re.compile((".*{}.*" if kind == "substring" else "{}\\Z").format(re.escape(name)), flags)


def _any(patterns: List[str]) -> Optional["re.Pattern[str]"]:
    return re.compile("|".join(fnmatch.translate(pattern) for pattern in patterns)) if patterns else None


def _text(root: str, name: str) -> str:
    try:
        with open(os.path.join(root, name), "rb") as handle:
            return handle.read(1 << 20).decode("utf-8", "replace")
    except OSError:
        return ""
