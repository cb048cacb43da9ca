# SPDX-License-Identifier: GPL-3.0-or-later
"""Python environments beside the system's own, read from their files; no Python is started.

Sources: PEP 405 (pyvenv.cfg), PEP 376 and the core metadata (``*.dist-info/METADATA``),
setuptools' ``*.egg-info``, conda's ``conda-meta/<name>-<version>-<build>.json``.
"""

import os
import re
from typing import Any, Dict, Iterator, List, Sequence, Tuple

from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.software.local_disks import LocalDisks
from ansible_collections.hospital.patching.plugins.module_utils.software.partial import whole
from ansible_collections.hospital.patching.plugins.module_utils.software.tree_walk import (
    USUAL,
    Directory,
    Limits,
    TreeWalk,
)

ROOTS = ("/opt", "/srv", "/usr/local", "/home/*", "/root", "/var/lib", "/var/www")
#: Environments and packages of one environment that are told; a host with more is said to be incomplete.
ENVIRONMENTS = 500
PACKAGES = 5000
#: Packages whose records are read on one host.
TOTAL = 50000

_LIBRARY = re.compile(r"(?:python|pypy)([0-9]+(?:\.[0-9]+)?)t?\Z")
_BLANK_LINE = re.compile(r"\r?\n[ \t]*\r?\n")
_SITES = ("site-packages", "dist-packages")
_RECORDS = {".dist-info": "METADATA", ".egg-info": "PKG-INFO", ".egg": "EGG-INFO/PKG-INFO"}


def parse_metadata(text: str) -> Tuple[str, str]:
    """Return name and version from the head of a METADATA or PKG-INFO file; empty where not stated."""
    fields: Dict[str, str] = {}
    # The description that follows may be long.
    for line in _BLANK_LINE.split(text, 1)[0].splitlines():
        name, _colon, value = line.partition(":")
        fields.setdefault(name.lower(), value.strip())
    return fields.get("name", ""), fields.get("version", "")


def parse_pyvenv(text: str) -> str:
    """Return the Python version that a pyvenv.cfg states (venv: ``version``, virtualenv and uv: ``version_info``)."""
    for line in text.splitlines():
        name, _equals, value = line.partition("=")
        if name.strip() in ("version", "version_info"):
            return ".".join(value.strip().split(".")[:3])
    return ""


class _Environments:
    """The environments found so far, by path and library."""

    def __init__(self, disks: LocalDisks) -> None:
        self.disks = disks
        self.left = TOTAL
        self.found: Dict[Tuple[str, str], Dict[str, Any]] = {}
        self.problems: List[str] = []

    def add(self, path: str, python: str, library: str = "") -> Dict[str, Any]:
        new: Dict[str, Any] = {"path": path, "python": python or None, "packages": []}
        return self.found.setdefault((path, library), new)

    def add_site(self, environment: Dict[str, Any], site: str) -> None:
        here = self.disks.resolve(site) or site
        split = [os.path.splitext(name) for name in self.disks.names(here)]
        for stem, suffix in self._within(environment, [parts for parts in split if parts[1] in _RECORDS]):
            environment["packages"].append(self._package(here, stem, suffix))

    def visit(self, directory: Directory) -> None:
        """Take up what a directory is, and leave only what may hold further environments to be entered."""
        path, inner = directory.path, directory.directories
        if directory.files:
            version = parse_pyvenv(self.disks.head(os.path.join(path, "pyvenv.cfg"), 8192) or "")
            found = self.add(path, version)
            for _version, site in self.sites(path):
                self.add_site(found, site)
            inner.clear()
            return
        if "conda-meta" in inner:
            self.add_conda(path)
            for _version, site in self.sites(path):
                self.add_site(self.add(path, ""), site)
            inner[:] = [name for name in inner if name == "envs"]
            return
        if "lib" in inner or "lib64" in inner:
            for version, site in self.sites(path):
                self.add_site(self.add(path, version, version), site)
        # Those are told now; a package directory without an interpreter's layout is told by itself.
        for name in _SITES:
            if name in inner:
                site = os.path.join(path, name)
                self.add_site(self.add(site, ""), site)
        libraries = os.path.basename(path) in ("lib", "lib64")
        inner[:] = [name for name in inner if name not in _SITES and not (libraries and _LIBRARY.match(name))]

    def add_conda(self, path: str) -> None:
        environment = self.add(path, "")
        names = self.disks.names(os.path.join(path, "conda-meta"))
        split = [name[: -len(".json")].rsplit("-", 2) for name in names if name.endswith(".json")]
        for name, version, _build in self._within(environment, [parts for parts in split if len(parts) == 3]):
            environment["packages"].append({"name": name, "version": version})
            if name == "python":
                environment["python"] = version

    def sites(self, prefix: str) -> Iterator[Tuple[str, str]]:
        """Yield ``(Python version, path)`` of the package directories of one prefix."""
        for lib in ("lib", "lib64"):
            base = os.path.join(prefix, lib)
            if self.disks.resolve(base) != base:
                continue  # a link
            for name in self.disks.names(base):
                match = _LIBRARY.match(name)
                for site in _SITES if match else ():
                    if match and self.disks.is_directory(os.path.join(base, name, site)):
                        yield match.group(1), os.path.join(base, name, site)

    def _within(self, environment: Dict[str, Any], records: Sequence[Any]) -> Sequence[Any]:
        """Return as many of the records as may still be read, and remember that more were there."""
        room = PACKAGES - len(environment["packages"])
        if len(records) > room:
            self.problems.append("{} has more than {} packages".format(environment["path"], PACKAGES))
        if min(len(records), room) > self.left:
            room = self.left
            self.problems.append("{} is not complete: more than {} packages".format(environment["path"], TOTAL))
        self.left -= min(len(records), room)
        return records[:room]

    def _package(self, site: str, stem: str, suffix: str) -> Dict[str, Any]:
        text = self.disks.head(os.path.join(stem + suffix, _RECORDS[suffix]), 8192, site)
        if text is None and suffix == ".egg-info":
            text = self.disks.head(stem + suffix, 8192, site)  # distutils wrote a file
        name, version = parse_metadata(text or "")
        if not (name and version):
            # Named name-version by PEP 376; what setuptools adds (-py3.9) is not the version's.
            parts = stem.split("-")
            name, version = parts[0], parts[1] if len(parts) > 1 else ""
        return {"name": name, "version": version or None}


def collect(host: Host, roots: Sequence[str] = ROOTS, limits: Limits = USUAL) -> List[Dict[str, Any]]:
    """Return ``[{path, python, packages: [{name, version}]}]`` sorted by path; unknown versions are None.

    Raises:
        PartialError: a limit was reached or a directory is not readable.
    """
    walk = TreeWalk(host, limits)
    environments = _Environments(walk.disks)
    for directory in walk.walk(roots, lambda name: name == "pyvenv.cfg"):
        if len(environments.found) >= ENVIRONMENTS:
            environments.problems.append("more than {} environments".format(ENVIRONMENTS))
            break
        environments.visit(directory)
    for environment in environments.found.values():
        unique = {(package["name"].lower(), package["version"] or ""): package for package in environment["packages"]}
        environment["packages"] = [package for _key, package in sorted(unique.items())]
    # An interpreter's own package directory that is empty is no environment; an empty virtual one is.
    told = [found for (_path, library), found in sorted(environments.found.items()) if found["packages"] or not library]
    return list(whole("Python environments", told, walk.problems + environments.problems))
