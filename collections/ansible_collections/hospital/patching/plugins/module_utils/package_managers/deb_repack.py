# SPDX-License-Identifier: GPL-3.0-or-later
"""Packs an installed package again from its files, where no archive has its version any more.

The result installs what is installed now: the files as they are, the maintainer
scripts and control fields as dpkg recorded them (compare dpkg-repack(1)).
A configuration file that was changed on this host is not packed with its
changes, or dpkg would call the host's changes the vendor's and let the next
version overwrite them: a placeholder is packed, and since dpkg keeps changed
configuration files, the host's own file stays in force.
"""

import hashlib
import os
import shutil
import stat
import tempfile
from typing import Dict, List, Optional

from ansible_collections.hospital.patching.plugins.module_utils import deb822
from ansible_collections.hospital.patching.plugins.module_utils.dpkg_database import Package
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner

#: What dpkg adds to a package's own control fields (deb-control(5) has the package's).
RECORDED_BY_DPKG = ("Status", "Conffiles", "Config-Version", "Triggers-Pending", "Triggers-Awaited")
#: What a package brought in its control archive, as dpkg keeps it under info/ (deb(5)).
CONTROL_FILES = (
    *("preinst", "postinst", "prerm", "postrm", "config", "templates", "triggers", "shlibs", "symbols"),
    *("conffiles", "md5sums"),
)
#: Minimal systems leave these out when they install (dpkg's path-exclude).
MAY_BE_MISSING = ("/usr/share/doc/", "/usr/share/man/", "/usr/share/locale/", "/usr/share/info/", "/usr/share/lintian/")
PLACEHOLDER = "# {} was changed on this host before its package was preserved; the vendor's text is not known.\n"


class Repacker:
    """Packs packages that dpkg has installed under ``root``."""

    def __init__(self, runner: Runner, root: str = "/") -> None:
        self.runner = runner
        self.root = root
        self.info = os.path.join(root, "var/lib/dpkg/info")
        self._paragraphs: Dict[str, Dict[str, str]] = {}

    def pack(self, package: Package, target: str) -> None:
        """Write ``package`` as it is installed to ``target``; it appears whole or not at all.

        Raises:
            PatchingError: the installed files are not what the package brought,
                so that packing them would not restore it.
        """
        work = tempfile.mkdtemp(prefix=".repack-", dir=os.path.dirname(target))
        try:
            tree, part = os.path.join(work, "tree"), os.path.join(work, "package.deb")
            os.mkdir(tree, 0o755)
            self._fill(tree, package)
            self.runner.run(["dpkg-deb", "-Zgzip", "-z1", "--build", tree, part], timeout_s=1800)
            os.rename(part, target)
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def _fill(self, tree: str, package: Package) -> None:
        fields = self._fields(package)
        conffiles = _conffiles(fields.pop("Conffiles", ""))
        control = os.path.join(tree, "DEBIAN")
        os.mkdir(control, 0o755)
        for name in CONTROL_FILES:
            source = self._info(package, name)
            if source:
                shutil.copy2(source, os.path.join(control, name))
        kept = {name: value for name, value in fields.items() if name not in RECORDED_BY_DPKG}
        with open(os.path.join(control, "control"), "w", encoding="utf-8") as handle:
            handle.write(deb822.render(kept))
        sums, diverted, paths = self._sums(package), self._diversions(package), self._paths(package)
        folders = {os.path.dirname(path) for path in paths}
        for path in paths:
            if path in conffiles:
                if conffiles[path]:  # an obsolete one is not the package's any more
                    self._take_conffile(tree, path, conffiles[path])
            elif path in folders:
                self._take_folder(tree, path)
            else:
                self._take(tree, package, path, diverted.get(path, path), sums.get(path))

    def _fields(self, package: Package) -> Dict[str, str]:
        if not self._paragraphs:
            with open(os.path.join(self.root, "var/lib/dpkg/status"), encoding="utf-8", errors="replace") as handle:
                for fields in deb822.paragraphs(handle.read()):
                    self._paragraphs[fields.get("Package", "") + ":" + fields.get("Architecture", "")] = fields
        return dict(self._paragraphs[package.name + ":" + package.arch])

    def _info(self, package: Package, kind: str) -> Optional[str]:
        for stem in (package.name + ":" + package.arch, package.name):
            path = os.path.join(self.info, stem + "." + kind)
            if os.path.exists(path):
                return path
        return None

    def _lines(self, package: Package, kind: str) -> List[str]:
        path = self._info(package, kind)
        if path is None:
            return []
        with open(path, encoding="utf-8", errors="surrogateescape") as handle:
            return [line for line in handle.read().split("\n") if line]

    def _paths(self, package: Package) -> List[str]:
        """Return the package's paths, each folder before what lies in it."""
        paths = self._lines(package, "list")
        if not paths:
            raise _cannot(package, "dpkg has no list of its files")
        return sorted(path for path in paths if path != "/.")

    def _sums(self, package: Package) -> Dict[str, str]:
        """Return the MD5 sums that the package brought, by path (dpkg has no better ones)."""
        pairs = (line.partition("  ") for line in self._lines(package, "md5sums"))
        return {"/" + path: md5 for md5, _blank, path in pairs}

    def _diversions(self, package: Package) -> Dict[str, str]:
        """Return where dpkg-divert put this package's files (three lines a diversion: from, to, by whom)."""
        try:
            with open(
                os.path.join(self.root, "var/lib/dpkg/diversions"), encoding="utf-8", errors="surrogateescape"
            ) as handle:
                lines = handle.read().split("\n")
        except OSError:
            return {}
        triples = zip(lines[0::3], lines[1::3], lines[2::3])
        return {came: went for came, went, by in triples if by != package.name}

    def _take_folder(self, tree: str, path: str) -> None:
        """Make a folder, also where this host has a link to one in its place (/lib, say)."""
        source, target = self.root.rstrip("/") + path, tree + path
        if os.path.isdir(source):  # files of one that is missing are missing too
            os.makedirs(target, exist_ok=True)
            _same_owner(source, target)

    def _take(self, tree: str, package: Package, path: str, found_at: str, md5: Optional[str]) -> None:
        source, target = self.root.rstrip("/") + found_at, tree + path
        try:
            mode = os.lstat(source).st_mode
        except OSError:
            if path.startswith(MAY_BE_MISSING):
                return
            raise _cannot(package, "{} is missing".format(path))
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if stat.S_ISLNK(mode):
            os.symlink(os.readlink(source), target)
            os.lchown(target, os.lstat(source).st_uid, os.lstat(source).st_gid)
        elif stat.S_ISDIR(mode):
            os.mkdir(target)
            _same_owner(source, target)
        elif not stat.S_ISREG(mode):
            raise _cannot(package, "{} is neither file, folder nor link".format(path))
        elif md5 is not None and _md5(source) != md5:
            raise _cannot(package, "{} is not as the package brought it".format(path))
        else:
            shutil.copy2(source, target)
            _same_owner(source, target)

    def _take_conffile(self, tree: str, path: str, md5: str) -> None:
        source, target = self.root.rstrip("/") + path, tree + path
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if os.path.isfile(source) and _md5(source) == md5:
            shutil.copy2(source, target)
            _same_owner(source, target)
            return
        with open(target, "w", encoding="utf-8", errors="surrogateescape") as handle:
            handle.write(PLACEHOLDER.format(path))
        os.chmod(target, 0o644)


def _conffiles(field: str) -> Dict[str, str]:
    """Return the MD5 sums of a status paragraph's configuration files, empty for obsolete ones."""
    found = {}
    for line in field.strip().split("\n"):
        words = line.split()
        if len(words) >= 2:
            found[words[0]] = "" if "obsolete" in words[2:] else words[1]
    return found


def _md5(path: str) -> str:
    total = hashlib.md5()  # noqa: S324 - what dpkg recorded; it finds changes, it guards nothing
    with open(path, "rb") as handle:
        for chunk in iter(lambda: handle.read(1024 * 1024), b""):
            total.update(chunk)
    return total.hexdigest()


def _same_owner(source: str, target: str) -> None:
    found = os.stat(source)
    os.chown(target, found.st_uid, found.st_gid)
    os.chmod(target, stat.S_IMODE(found.st_mode))  # after chown, which clears set-user-id


def _cannot(package: Package, seen: str) -> PatchingError:
    return PatchingError(
        "{} {}".format(package.name, package.version),
        seen,
        "an installed package that is whole",
        "reinstall it, or choose a snapshot as the way back",
    )
