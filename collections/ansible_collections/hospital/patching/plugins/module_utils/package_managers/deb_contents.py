# SPDX-License-Identifier: GPL-3.0-or-later
"""Unpacks staged packages into nothing, and finds before the window what dpkg would stumble over in it.

A package whose checksum is right may still be one that this host's dpkg cannot
unpack, that brings a file of another package, or that goes to a file system
which cannot be written. dpkg's own rules about files of other packages are in
its ``tarobject`` (lib/dpkg/archives.c) and in deb-control(5) under Replaces;
where they leave room, nothing is refused here.
"""

import os
import re
import tarfile
from typing import Dict, Iterator, List, NamedTuple, Set, Tuple

from ansible_collections.hospital.patching.plugins.module_utils import deb822, disk_space, dpkg_version
from ansible_collections.hospital.patching.plugins.module_utils.dpkg_database import Package
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import Host

Installed = Dict[Tuple[str, str], Package]

#: What a .deb unpacks to. ``links`` are those of ``files`` that are symbolic links, with where they lead.
Contents = NamedTuple(
    "Contents",
    [("name", str), ("arch", str), ("replaces", str), ("files", Set[str]), ("links", Dict[str, str]), ("count", int)],
)

#: One package of a Replaces field: its name, relation and version.
_REPLACES = re.compile(r"\s*([^\s(:\[]+)(?::\S+)?\s*(?:\(\s*(<<|<=|=|>=|>>)\s*([^\s)]+)\s*\))?")
_RELATIONS = {
    "<<": lambda order: order < 0,
    "<=": lambda order: order <= 0,
    "=": lambda order: order == 0,
    ">=": lambda order: order >= 0,
    ">>": lambda order: order > 0,
}
_FORCED = re.compile(r"^\s*(?:--)?force-(?:\S*,)?(?:overwrite|all)(?:,|\s|$)", re.MULTILINE)
_REMOUNT = re.compile(r"Pre-Invoke.*remount")


def rehearse(host: Host, installed: Installed, debs: List[Tuple[str, Dict[str, str]]], gone: Set[str]) -> None:
    """Refuse what dpkg could not unpack.

    Args:
        debs: path and control fields of every staged package.
        gone: names of the packages that the transaction removes.

    Raises:
        PatchingError: a damaged archive, another package's file, a file system that is read-only, noexec where dpkg's
            scripts lie, or without room for so many files.
    """
    found = [read(host, path, fields) for path, fields in debs]
    refuse_noexec(host)
    if not _remounts(host):
        refuse_read_only(host, found)
    old = sum(len(_list(host, one.name, one.arch)) for one in found)
    disk_space.check_inodes(
        host.root, max(0, sum(one.count for one in found) - old) + max([one.count for one in found] or [0])
    )
    if not _overwriting_is_forced(host.root):
        refuse_conflicts(host, installed, found, gone)


def read(host: Host, path: str, fields: Dict[str, str]) -> Contents:
    """Unpack a .deb into nothing, and return what was in it.

    Raises:
        PatchingError: it cannot be unpacked; the message has dpkg-deb's reason.
    """
    files: Set[str] = set()
    links: Dict[str, str] = {}
    count = 0
    try:
        command = ["dpkg-deb", "--fsys-tarfile", path]
        with host.runner.stream(command, timeout_s=900) as output, tarfile.open(
            fileobj=output, mode="r|", errors="surrogateescape"
        ) as bundle:
            for member in bundle:
                count += 1
                name = "/" + os.path.normpath(member.name).lstrip("/")
                if not member.isdir():
                    files.add(name)
                if member.issym():
                    links[name] = member.linkname
            while output.read(1 << 16):  # what pads the archive: its writer must not find the pipe closed
                continue
    except (tarfile.TarError, EOFError, OSError, PatchingError) as error:
        why = host.runner.run(["sh", "-c", 'dpkg-deb --fsys-tarfile "$1" >/dev/null', "sh", path], check=False)
        raise PatchingError(
            path,
            "it cannot be unpacked: {}".format(" ".join(why.stderr.split())[-300:] or error),
            "an archive that this host's dpkg-deb can unpack",
            "ask whoever publishes it, or take it out of the plan; nothing was installed",
        )
    return Contents(
        fields.get("Package", ""), fields.get("Architecture", ""), fields.get("Replaces", ""), files, links, count
    )


# --- where it goes ----------------------------------------------------------


def refuse_noexec(host: Host) -> None:
    """dpkg runs packages' scripts from its own folder; /tmp may be noexec."""
    folder = os.path.join(host.root, "var/lib/dpkg")
    if os.statvfs(folder).f_flag & os.ST_NOEXEC:
        raise PatchingError(
            folder,
            "its file system is mounted noexec",
            "one on which packages' scripts can run",
            "mount it without noexec, then stage again; nothing was installed",
        )


def refuse_read_only(host: Host, found: List[Contents]) -> None:
    """Refuse a package with a file below a folder that is mounted read-only."""
    seen: Set[str] = set()
    for one in found:
        for name in sorted(one.files):
            folder = os.path.dirname(name)
            if folder in seen:
                continue
            seen.add(folder)
            mount = disk_space.mount_point(host.root.rstrip("/") + folder)
            if os.statvfs(mount).f_flag & os.ST_RDONLY:
                raise PatchingError(
                    "file system {}".format(mount),
                    "mounted read-only, and {} brings {}".format(one.name, name),
                    "one that can be written, or a DPkg::Pre-Invoke of apt that remounts it",
                    "remount it for the window, or let apt do so, then stage again; nothing was installed",
                )


def _remounts(host: Host) -> bool:
    """Return whether apt makes read-only file systems writable itself (``DPkg::Pre-Invoke``)."""
    result = host.runner.run(["apt-config", "dump"], timeout_s=30, check=False)
    return _REMOUNT.search(result.stdout) is not None


# --- other packages' files --------------------------------------------------


def refuse_conflicts(host: Host, installed: Installed, found: List[Contents], gone: Set[str]) -> None:
    """Refuse a package that brings a file of another, which dpkg would find out half-way."""
    diverted = _diverted(host.root)
    fresh: Dict[str, Contents] = {}
    for one in found:
        for name in one.files - _list(host, one.name, one.arch) - diverted:
            other = fresh.setdefault(name, one)
            if other.name != one.name and name in other.files and not _either(one, other):
                raise _conflict(one, name, "{}, which the transaction brings too".format(other.name))
    replaced = {one.name for one in found} | gone
    for owner, listed in _lists(host, installed):
        if owner.name in replaced:
            continue
        for name in sorted(fresh.keys() & listed):
            one = fresh[name]
            if replaces(one.replaces, owner) or _is_folder(host, one, name) or _is_obsolete(host, owner, name):
                continue
            raise _conflict(one, name, "{} {}, which is installed".format(owner.name, owner.version))


def _either(one: Contents, other: Contents) -> bool:
    names = (_names(one.replaces), _names(other.replaces))
    return other.name in names[0] or one.name in names[1]


def _names(field: str) -> Set[str]:
    return {match.group(1) for match in map(_REPLACES.match, field.split(",")) if match}


def replaces(field: str, owner: Package) -> bool:
    """Return whether a Replaces field names ``owner`` at its installed version."""
    for match in map(_REPLACES.match, field.split(",")):
        if match and match.group(1) == owner.name:
            relation, version = match.group(2), match.group(3)
            if relation is None or _RELATIONS[relation](dpkg_version.compare(owner.version, version)):
                return True
    return False


def _is_folder(host: Host, one: Contents, name: str) -> bool:
    """Return whether a link stands for a folder that is there: dpkg leaves the folder, or the equal link, alone."""
    path = host.root.rstrip("/") + name
    if name not in one.links or not os.path.isdir(path):
        return False
    return not os.path.islink(path) or os.readlink(path) == one.links[name]


def _is_obsolete(host: Host, owner: Package, name: str) -> bool:
    """Return whether ``owner`` has given a configuration file up, which any package may take then."""
    for fields in deb822.paragraphs(_text(os.path.join(host.root, "var/lib/dpkg/status"))):
        if (fields.get("Package"), fields.get("Architecture")) == (owner.name, owner.arch):
            return any(
                line.strip().startswith(name + " ") and line.rstrip().endswith(" obsolete")
                for line in fields.get("Conffiles", "").split("\n")
            )
    return False


def _conflict(one: Contents, name: str, owner: str) -> PatchingError:
    return PatchingError(
        "package {}".format(one.name),
        "it brings {}, a file of {}".format(_shown(name), owner),
        "a file that no other package has, or a Replaces in the package",
        "take one of the two out of the plan and report it to whoever publishes them; nothing was installed",
    )


def _shown(name: str) -> str:
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _overwriting_is_forced(root: str) -> bool:
    """Return whether this host's dpkg is told to let packages overwrite each other's files."""
    folder = os.path.join(root, "etc/dpkg/dpkg.cfg.d")
    paths = [os.path.join(root, "etc/dpkg/dpkg.cfg")]
    paths += [os.path.join(folder, name) for name in sorted(os.listdir(folder))] if os.path.isdir(folder) else []
    return any(_FORCED.search(_text(path)) for path in paths)


def _text(path: str) -> str:
    try:
        with open(path, "rb") as handle:
            return handle.read().decode("utf-8", "surrogateescape")
    except OSError:
        return ""


def _diverted(root: str) -> Set[str]:
    """Return both ends of every diversion; what dpkg-divert arranged is left to dpkg."""
    text = _text(os.path.join(root, "var/lib/dpkg/diversions"))
    return {line for line in text.split("\n") if line.startswith("/")}


def _list(host: Host, name: str, arch: str) -> Set[str]:
    """Return the paths that the installed version of a package has."""
    for stem in (name + ":" + arch, name):
        text = _text(os.path.join(host.root, "var/lib/dpkg/info", stem + ".list"))
        if text:
            return set(text.split("\n"))
    return set()


def _lists(host: Host, installed: Installed) -> Iterator[Tuple[Package, Set[str]]]:
    for package in installed.values():
        yield package, _list(host, package.name, package.arch)
