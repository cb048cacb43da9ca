# SPDX-License-Identifier: GPL-3.0-or-later
"""A folder of rpm files as the only repository that zypper sees, with caches of its own.

zypper reads such a folder itself (type ``plaindir``): it needs no index. Signatures were checked when the files were
staged, and each file is checked against the transaction's SHA-256 before it is used, so the folder is taken on trust.
"""

import os
import shutil
from typing import Any, Dict, List, Optional, Set, Tuple

from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import zypper_command, zypper_xml
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.package_folder import RpmFolder
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.rpm_installed import RpmInstalled

#: What zypper's history names as the origin of what comes from here.
ALIAS = "hospital-patching"
_DEFINITION = """[{alias}]
name=Staged by hospital.patching
type=plaindir
baseurl=dir://{files}
enabled=1
autorefresh=0
keeppackages=0
gpgcheck=0
repo_gpgcheck=0
pkg_gpgcheck=0
"""
#: (name, architecture, from, to)
Step = Tuple[str, str, Optional[str], Optional[str]]


class ZypperRepository(RpmFolder):
    """The folder ``directory``: rpms/, and zypper's own files about it in zypper/."""

    def __init__(self, host: Host, directory: str, zypper: Optional[str] = None) -> None:
        """Take the folder; zypper's own files go to another place where ``zypper`` names one."""
        super().__init__(directory)
        self.host = host
        self.zypper = zypper or os.path.join(directory, "zypper")
        self.definitions = os.path.join(self.zypper, "repos.d")
        self.cache = os.path.join(self.zypper, "cache")

    def options(self) -> List[str]:
        """Return the global options that make zypper see this folder and nothing else."""
        return ["--no-refresh", "--reposd-dir", self.definitions, "--cache-dir", self.cache]

    def index(self) -> None:
        """Let zypper read the files anew.

        Raises:
            PatchingError: it cannot.
        """
        shutil.rmtree(self.zypper, ignore_errors=True)
        for path in (self.files, self.definitions, self.cache):
            os.makedirs(path, mode=0o700, exist_ok=True)
        with open(os.path.join(self.definitions, ALIAS + ".repo"), "w", encoding="utf-8") as handle:
            handle.write(_DEFINITION.format(alias=ALIAS, files=self.files))
        options = ["--reposd-dir", self.definitions, "--cache-dir", self.cache]
        zypper_command.document(self.host, options, ["refresh"], self.environment())

    def would_do(self, todo: List[Dict[str, Any]], installed: RpmInstalled) -> List[Step]:
        """Return what zypper would do to bring ``todo`` about: (name, arch, from, to) of each package.

        Raises:
            PatchingError: it cannot be resolved, a lock or a dependency is against it.
        """
        command = ["install", "--dry-run", "--details", "--no-recommends", "--oldpackage"] + specs(todo, installed)
        found = zypper_xml.changes(zypper_command.document(self.host, self.options(), command, self.environment()))
        return [(change.name, change.arch, change.current, change.to) for change in found]

    def environment(self) -> Dict[str, str]:
        """Return the environment that keeps zypper's log out of the host's."""
        return {"ZYPP_LOGFILE": os.path.join(self.zypper, "zypper.log")}


def specs(todo: List[Dict[str, Any]], installed: RpmInstalled) -> List[str]:
    """Return how zypper is asked for ``todo``: ``name.arch=version``, and ``!name.arch=version`` for what goes.

    A target that is installed already beside the old version is reached by removing that one.
    """
    asked = []
    for entry in todo:
        if _goes(entry, installed):
            asked.append("!{name}.{arch}={from}".format(**entry))
        else:
            asked.append("{name}.{arch}={to}".format(**entry))
    return asked


def expected(todo: List[Dict[str, Any]], installed: RpmInstalled) -> Set[Tuple[str, str, Optional[str]]]:
    """Return (name, arch, to) of each step that brings ``todo`` about; ``to`` is None for what goes."""
    return {(entry["name"], entry["arch"], None if _goes(entry, installed) else str(entry["to"])) for entry in todo}


def differences(todo: List[Dict[str, Any]], found: List[Step], installed: RpmInstalled) -> List[str]:
    """Return in what ``found`` is not ``todo``, as a person reads it.

    The version from which a step starts is left aside: zypper names none for what comes beside another.
    """
    steps = {(name, arch, to): (current, to) for name, arch, current, to in found}
    wanted = expected(todo, installed)
    more = [
        "zypper would also {} {}:{}{}".format(
            "remove" if to is None else "install", name, arch, "" if to is None else " " + to
        )
        for name, arch, to in sorted(set(steps) - wanted, key=str)
    ]
    less = [
        "zypper would leave {}:{} alone".format(name, arch) for name, arch, _to in sorted(wanted - set(steps), key=str)
    ]
    return more + less


def _goes(entry: Dict[str, Any], installed: RpmInstalled) -> bool:
    return entry["to"] is None or (
        entry["from"] is not None and entry["to"] in installed.versions(entry["name"], entry["arch"])
    )
