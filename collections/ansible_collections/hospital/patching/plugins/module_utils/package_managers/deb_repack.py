# SPDX-License-Identifier: GPL-3.0-or-later
"""Packs an installed package again from its files, where no archive has its version any more.

The result installs what is installed now: the files as they are, the maintainer
scripts and control fields as dpkg recorded them (compare dpkg-repack(1)).
A configuration file that was changed on this host is not packed with its
changes, or dpkg would call the host's changes the vendor's and let the next
version overwrite them: a placeholder is packed, and since dpkg keeps changed
configuration files, the host's own file stays in force.
File names are whatever bytes a package brought; as text they are what the
operating system's interfaces take (os.fsdecode), whatever the locale.
"""

import fnmatch
import hashlib
import os
import re
import shutil
import stat
import tempfile
from typing import Dict, List, Optional, Tuple

from ansible_collections.hospital.patching.plugins.module_utils import deb822
from ansible_collections.hospital.patching.plugins.module_utils.dpkg_database import Package
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import package_repack
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
#: A line of a status paragraph's Conffiles; the path itself may hold blanks.
_CONFFILE = re.compile(r" *(/.*) ([0-9a-f]{32}|newconffile)((?: obsolete| remove-on-upgrade)*)\Z")
#: A line of dpkg.cfg, which takes options without their dashes (dpkg(1)).
_PATH_FILTER = re.compile(r"^[ \t]*(?:--)?path-(exclude|include)(?:[ \t]*=[ \t]*|[ \t]+)(\S+)", re.MULTILINE)
PLACEHOLDER = "# {} was changed on this host before its package was preserved; the vendor's text is not known.\n"


class Repacker:
    """Packs packages that dpkg has installed under ``root``."""

    def __init__(self, runner: Runner, root: str = "/") -> None:
        self.runner = runner
        self.root = root
        self.info = os.path.join(root, "var/lib/dpkg/info")
        self._paragraphs: Dict[str, Dict[str, str]] = {}
        self._listed = b""
        self._left_out: Optional[List[Tuple[bool, str]]] = None
        #: Where the first name of a file with several went, by device and inode: git has a hundred names for one.
        self._taken: Dict[Tuple[int, int], str] = {}

    def pack(self, package: Package, target: str) -> None:
        """Write ``package`` as it is installed to ``target``; it appears whole or not at all.

        Raises:
            PatchingError: the installed files are not what the package brought,
                so that packing them would not restore it, or they cannot be read
                or written.
        """
        try:
            self._pack(package, target)
        except (OSError, ValueError) as error:  # also a full disk, a name that is no text
            raise _cannot(package, str(error))

    def _pack(self, package: Package, target: str) -> None:
        work = tempfile.mkdtemp(prefix=package_repack.WORK, dir=os.path.dirname(target))
        try:
            tree, part = os.path.join(work, "tree"), os.path.join(work, "package.deb")
            _make_folder(tree)
            self._fill(tree, package)
            self.runner.run(["dpkg-deb", "-Zgzip", "-z1", "--build", tree, part], timeout_s=1800)
            os.rename(part, target)
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def _fill(self, tree: str, package: Package) -> None:
        self._taken = {}
        fields = self._fields(package)
        conffiles = _conffiles(package, fields.pop("Conffiles", ""))
        control = os.path.join(tree, "DEBIAN")
        _make_folder(control)
        for name in CONTROL_FILES:
            source = self._info(package, name)
            if source:
                shutil.copy2(source, os.path.join(control, name))
        kept = {name: value for name, value in fields.items() if name not in RECORDED_BY_DPKG}
        _write(os.path.join(control, "control"), deb822.render(kept))
        sums, diverted, paths = self._sums(package), self._diversions(package), self._paths(package)
        folders = {os.path.dirname(path) for path in paths}
        for path in paths:
            if path in conffiles:
                if conffiles[path]:  # an obsolete one is not the package's any more
                    self._take_conffile(tree, path, conffiles[path])
            elif path in folders or self._is_others_folder(package, path):
                self._take_folder(tree, path)
            else:
                self._take(tree, package, path, diverted.get(path, path), sums.get(path))

    def _fields(self, package: Package) -> Dict[str, str]:
        if not self._paragraphs:
            for fields in deb822.paragraphs(_read(os.path.join(self.root, "var/lib/dpkg/status"))):
                self._paragraphs[fields.get("Package", "") + ":" + fields.get("Architecture", "")] = fields
        try:
            return dict(self._paragraphs[package.name + ":" + package.arch])
        except KeyError:
            raise _cannot(package, "dpkg does not know it any more")

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
        return [line for line in _read(path).split("\n") if line]

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
            lines = _read(os.path.join(self.root, "var/lib/dpkg/diversions")).split("\n")
        except OSError:
            return {}
        triples = zip(lines[0::3], lines[1::3], lines[2::3])
        return {came: went for came, went, by in triples if by != package.name}

    def _is_others_folder(self, package: Package, path: str) -> bool:
        """Return whether a link to a folder stands where packages bring a folder: somebody moved and linked it.

        dpkg records no types. A folder has something of some package in it; a
        link that a package brought leads to where some package brings something.

        Raises:
            PatchingError: neither is so, and packing the wrong one would change the host.
        """
        source = self.root.rstrip("/") + path
        if not (os.path.islink(source) and os.path.isdir(source)):
            return False
        if not self._listed:
            names = sorted(name for name in os.listdir(self.info) if name.endswith(".list"))
            self._listed = b"\n" + b"".join(_bytes(os.path.join(self.info, name)) for name in names)
        if b"\n" + os.fsencode(path) + b"/" in self._listed:
            return True
        to = os.path.normpath(os.path.join(os.path.dirname(path), os.readlink(source)))
        if b"\n" + os.fsencode(to) + b"\n" in self._listed:
            return False
        raise _cannot(package, "{} is a link to the folder {}, which is no package's".format(path, to))

    def _take_folder(self, tree: str, path: str) -> None:
        """Make a folder, also where this host has a link to one in its place (/lib, say)."""
        source, target = self.root.rstrip("/") + path, tree + path
        if os.path.isdir(source):  # files of one that is missing are missing too
            _make_folder(target)
            _same_owner(source, target)

    def _take(self, tree: str, package: Package, path: str, found_at: str, md5: Optional[str]) -> None:
        source, target = self.root.rstrip("/") + found_at, tree + path
        try:
            status = os.lstat(source)
            mode = status.st_mode
        except OSError:
            if path.startswith(MAY_BE_MISSING) or self._is_left_out(path):
                return
            raise _cannot(package, "{} is missing".format(path))
        _make_folder(os.path.dirname(target))
        if stat.S_ISLNK(mode):
            os.symlink(os.readlink(source), target)
            os.lchown(target, os.lstat(source).st_uid, os.lstat(source).st_gid)
        elif stat.S_ISDIR(mode):
            os.mkdir(target)
            _same_owner(source, target)
        elif not stat.S_ISREG(mode):
            raise _cannot(package, "{} is neither file, folder nor link".format(path))
        elif md5 is not None and self._md5(source) != md5:
            raise _cannot(package, "{} is not as the package brought it".format(path))
        elif (status.st_dev, status.st_ino) in self._taken:
            os.link(self._taken[(status.st_dev, status.st_ino)], target)
        else:
            shutil.copy2(source, target)
            _same_owner(source, target)
            if status.st_nlink > 1:
                self._taken[(status.st_dev, status.st_ino)] = target

    def _md5(self, path: str) -> str:
        """Return what dpkg records of a file; it finds changes, it guards nothing."""
        try:
            total = _new_md5()
        except ValueError:  # FIPS, under a Python that cannot be told what it is for; coreutils bring their own
            # By standard input: md5sum writes names that hold a line feed in another way.
            result = self.runner.run(["sh", "-c", 'md5sum <"$1"', "sh", path])
            return result.stdout.split()[0]
        with open(path, "rb") as handle:
            for chunk in iter(lambda: handle.read(1024 * 1024), b""):
                total.update(chunk)
        return total.hexdigest()

    def _is_left_out(self, path: str) -> bool:
        """Return whether this host's dpkg is told not to install ``path``; of several patterns the last decides."""
        if self._left_out is None:
            self._left_out = []
            folder = os.path.join(self.root, "etc/dpkg/dpkg.cfg.d")
            names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
            for place in [os.path.join(folder, name) for name in names] + [folder[: -len(".d")]]:
                if os.path.isfile(place):
                    found = _PATH_FILTER.findall(_read(place))
                    self._left_out += [(kind == "exclude", pattern) for kind, pattern in found]
        decided = [left_out for left_out, pattern in self._left_out if fnmatch.fnmatchcase(path, pattern)]
        return bool(decided) and decided[-1]

    def _take_conffile(self, tree: str, path: str, md5: str) -> None:
        source, target = self.root.rstrip("/") + path, tree + path
        _make_folder(os.path.dirname(target))
        if os.path.isfile(source) and self._md5(source) == md5:
            shutil.copy2(source, target)
            _same_owner(source, target)
            return
        _write(target, PLACEHOLDER.format(path))


def _conffiles(package: Package, field: str) -> Dict[str, str]:
    """Return the MD5 sums of a status paragraph's configuration files, empty for those that are not packed."""
    found = {}
    for line in field.split("\n"):
        parts = _CONFFILE.match(line)
        if parts:
            found[parts.group(1)] = "" if parts.group(3) else parts.group(2)
        elif line:
            raise _cannot(package, "dpkg's record of its configuration files has the line {!r}".format(line))
    return found


def _make_folder(path: str) -> None:
    """Make a folder and those it lies in, readable by all whatever the umask; what exists stays as it is."""
    if not os.path.isdir(path):
        _make_folder(os.path.dirname(path))
        os.mkdir(path)
        os.chmod(path, 0o755)  # noqa: S103 - the mode of packaged folders, and dpkg-deb asks for it


def _bytes(path: str) -> bytes:
    with open(path, "rb") as handle:
        return handle.read()


def _read(path: str) -> str:
    return os.fsdecode(_bytes(path))


def _write(path: str, text: str) -> None:
    with open(path, "wb") as handle:
        handle.write(os.fsencode(text))
    os.chmod(path, 0o644)


def _new_md5() -> "hashlib._Hash":
    try:
        return hashlib.md5(usedforsecurity=False)
    except TypeError:  # the keyword came with Python 3.9
        return hashlib.md5()  # noqa: S324


def _same_owner(source: str, target: str) -> None:
    found = os.stat(source)
    os.chown(target, found.st_uid, found.st_gid)
    os.chmod(target, stat.S_IMODE(found.st_mode))  # after chown, which clears set-user-id


def _cannot(package: Package, seen: str) -> PatchingError:
    return package_repack.cannot("{} {}".format(package.name, package.version), seen)
