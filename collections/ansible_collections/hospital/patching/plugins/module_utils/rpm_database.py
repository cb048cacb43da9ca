# SPDX-License-Identifier: GPL-3.0-or-later
"""What rpm has recorded on this host, asked of rpm in one call."""

import os
import re
from typing import Dict, List, NamedTuple, Optional, Tuple

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner

RpmPackage = NamedTuple(
    "RpmPackage",
    [
        ("name", str),
        ("epoch", int),
        ("version", str),
        ("release", str),
        ("arch", Optional[str]),
        ("source_rpm", Optional[str]),
        ("vendor", Optional[str]),
        ("installed_bytes", int),
        ("installed_s", Optional[int]),
    ],
)

#: Where distributions keep the database, and its file by backend: Berkeley DB, SQLite, ndb (rpm's "Database Backends").
DIRECTORIES = ("var/lib/rpm", "usr/lib/sysimage/rpm", "usr/share/rpm")
FILES = ("rpmdb.sqlite", "Packages.db", "Packages")

#: ASCII's own separators (record, unit), which no header has: a summary may hold tabs, and a line feed too.
_RECORD, _UNIT = "\x1e", "\x1f"
_TAGS = ("NAME", "EPOCH", "VERSION", "RELEASE", "ARCH", "SOURCERPM", "VENDOR", "LONGSIZE", "INSTALLTIME")
QUERY_FORMAT = _UNIT.join("%{" + tag + "}" for tag in _TAGS) + _RECORD
_DIGITS = re.compile(r"[0-9]{1,19}\Z")
#: rpm waits without end for a database that another program has locked.
QUERY_TIMEOUT_S = 60


def directory(root: str) -> Optional[str]:
    """Return the directory under ``root`` that has an rpm database, or None."""
    for name in DIRECTORIES:
        path = os.path.join(root, name)
        if any(os.path.exists(os.path.join(path, file)) for file in FILES):
            return path
    return None


def present(root: str) -> bool:
    """Return whether there is an rpm database under ``root``."""
    return directory(root) is not None


def query(runner: Runner, root: str) -> Tuple[List[RpmPackage], List[str]]:
    """Return the packages of the database under ``root`` as ``rpm -qa`` lists them, and the problems.

    That includes every version of a package that is installed more than once, and
    the pseudo-packages ``gpg-pubkey``, which stand for imported keys.

    Raises:
        PatchingError: rpm is missing, gives no end, or cannot read the database at all.
    """
    args = ["rpm", "-qa", "--queryformat", QUERY_FORMAT]
    result = runner.run(args + _options(root), timeout_s=QUERY_TIMEOUT_S, check=False)
    packages, problems = parse(result.stdout)
    # rpm ends with 0 although it could read only some of the headers, and says so here alone.
    errors = [line for line in result.stderr.splitlines() if line.startswith("error:")]
    if result.rc != 0 and not packages:
        raise PatchingError(
            "the rpm database",
            "rpm -qa ended with {}: {}".format(result.rc, " ".join((errors or result.stderr.splitlines())[:3])),
            "a database that rpm can read",
            "run rpmdb --rebuilddb on the host; until then nothing is installed here",
        )
    if result.rc != 0 and not errors:
        errors = ["rpm -qa ended with {}".format(result.rc)]
    return packages, errors[:1] + problems


def files(runner: Runner, root: str, names: List[str]) -> Dict[str, List[str]]:
    """Return by name the paths that installed packages have brought; a package that is not installed has none."""
    found: Dict[str, List[str]] = {}
    if not names:
        return found
    query = ["rpm", "--query", "--queryformat", "[%{=NAME}\t%{FILENAMES}\n]"] + _options(root) + sorted(set(names))
    for line in runner.run(query, timeout_s=QUERY_TIMEOUT_S, check=False).stdout.splitlines():
        name, tab, path = line.partition("\t")
        if tab and path.startswith("/"):
            found.setdefault(name, []).append(path)
    return found


def _options(root: str) -> List[str]:
    return [] if root == "/" else ["--dbpath", directory(root) or os.path.join(root, DIRECTORIES[0])]


def parse(text: str) -> Tuple[List[RpmPackage], List[str]]:
    """Return the packages of rpm's output in :data:`QUERY_FORMAT`, and what could not be read of it."""
    packages = []
    problems = []
    for number, record in enumerate(text.split(_RECORD)[:-1], 1):
        fields = [None if field == "(none)" else field for field in record.split(_UNIT)]
        if len(fields) != len(_TAGS) or not (fields[0] and fields[2] and fields[3]):
            problems.append("record {} ({}) is not readable".format(number, (record.split(_UNIT)[0] or "no name")[:60]))
            continue
        name, epoch, version, release, arch, source_rpm, vendor, size, installed = fields
        packages.append(
            RpmPackage(
                name or "",
                _number(epoch) or 0,
                version or "",
                release or "",
                arch,
                source_rpm,
                vendor,
                _number(size) or 0,
                _number(installed),
            )
        )
    if text and not text.endswith(_RECORD):
        problems.append("rpm's output ends in the middle of a package")
    return packages, problems


def evr(package: RpmPackage) -> str:
    """Return ``[epoch:]version-release``, without an epoch of 0 as rpm writes it."""
    text = "{}-{}".format(package.version, package.release)
    return "{}:{}".format(package.epoch, text) if package.epoch else text


def source_of(package: RpmPackage) -> Tuple[str, str]:
    """Return the name and version-release in a source package's file name; the package's own where it has none."""
    return source_parts(package.source_rpm) or (package.name, "{}-{}".format(package.version, package.release))


def source_parts(source_rpm: Optional[str]) -> Optional[Tuple[str, str]]:
    """Return the name and version-release in the file name of a source package, or None."""
    stem = source_rpm or ""
    for ending in (".src.rpm", ".nosrc.rpm"):
        if stem.endswith(ending):
            parts = stem[: -len(ending)].rsplit("-", 2)
            if len(parts) == 3:
                return parts[0], "{}-{}".format(parts[1], parts[2])
    return None


def _number(text: Optional[str]) -> Optional[int]:
    return int(text) if text and _DIGITS.match(text) else None
