# SPDX-License-Identifier: GPL-3.0-or-later
"""After an installation on an rpm host: does it equal its transaction, and what does rpm itself find wrong?"""

import calendar
import re
import time
from abc import ABC, abstractmethod
from typing import Any, Dict, List, Optional

from ansible_collections.hospital.patching.plugins.module_utils import transaction
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import (
    rpm_installed,
    rpm_scripts,
    transaction_record,
    transaction_verify,
    transaction_work,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.rpm_installed import RpmInstalled
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.transaction_record import Marks
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.transaction_verify import problem
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.transaction_work import Find

#: "S.5....T.  c /path" or "missing   d /path" (rpm(8), VERIFY OPTIONS).
_LINE = re.compile(r"(missing|[SM5DLUGTP.?]{9}) +(?:([acdglmnr]) +)?(/.*)\Z")
#: Kinds of files whose content is the host's: configuration, ghosts, documents that may be left out.
HOSTS_OWN = ("c", "g", "d", "a", "m", "r", "l")
#: Digest, size of what has no digest, link, device.
CONTENT = "5LD"


class RpmVerify(ABC):
    """One call of ``update_verify`` on an rpm host; reads only."""

    def __init__(self, host: Host) -> None:
        self.host = host

    @abstractmethod
    def marks(self, installed: RpmInstalled) -> Marks:
        """Return the marks and locks of now."""

    def find(self, installed: RpmInstalled) -> Find:
        """Return what finds an entry's package."""
        return installed.find

    def database(self) -> List[Dict[str, str]]:
        """Return what is wrong with the package database itself."""
        return []

    def run(self, wanted: Dict[str, Any], expect: str, names: List[str]) -> Dict[str, Any]:
        """Return the shape of ``update_verify``."""
        transaction.validate(wanted)
        installed = rpm_installed.read(self.host)
        stage = transaction_work.stage_dir(self.host, wanted)
        preserved = transaction_work.preserved_dir(self.host, wanted)
        before, way_back = transaction_record.reference(stage, preserved, expect)
        part = transaction.part(wanted, names)
        found = health(self.host, installed, part, before, preserved if way_back else stage)
        find, marks = self.find(installed), self.marks(installed)
        return transaction_verify.verify(self.host, wanted, expect, names, find, marks, found + self.database())


def health(
    host: Host,
    installed: RpmInstalled,
    entries: List[Dict[str, Any]],
    before: Optional[Dict[str, Any]],
    record_dir: str,
) -> List[Dict[str, str]]:
    """Return the problems of the packages of ``entries`` that were installed since the record ``before``.

    What was wrong with a package that the transaction has not touched is not its doing.
    """
    problems = []
    for entry in entries:
        versions = installed.versions(entry["name"], entry["arch"])
        if len(versions) > 1 and not rpm_installed.is_beside(entry["name"]):
            problems.append(
                problem(
                    "{name}:{arch}".format(**entry),
                    "{} ({})".format(rpm_installed.TWICE, ", ".join(versions)),
                    "one version",
                )
            )
    for item in rpm_scripts.kept(record_dir):
        problems.append(problem(item["package"], rpm_scripts.told([item]), "package scripts that end well"))
    if before is None:
        return problems
    since = calendar.timegm(time.strptime(before["time"][:19], "%Y-%m-%dT%H:%M:%S"))
    names = sorted(
        {
            entry["name"]
            for entry in entries
            for package in installed.named(entry["name"], entry["arch"])
            if package.installed_s is not None and package.installed_s >= since
        }
    )
    if names:
        result = host.runner.run(["rpm", "--verify"] + names, timeout_s=1800, check=False)
        problems.extend(findings(result.stdout))
    return problems


def findings(text: str) -> List[Dict[str, str]]:
    """Return the problems in what ``rpm --verify`` prints; modes, owners and times may be a site's own."""
    problems = []
    for line in text.splitlines():
        found = _LINE.match(line.strip())
        if found is None:
            if line.strip() and ("nsatisfied" in line or " is needed by " in line):
                problems.append(problem("rpm --verify", line.strip(), "dependencies that are there"))
            continue
        what, kind, path = found.groups()
        if kind in HOSTS_OWN:
            continue
        if what == "missing":
            problems.append(problem(path, "missing", "the file that its package brought"))
        elif any(letter in what for letter in CONTENT):
            problems.append(problem(path, "its content is not its package's ({})".format(what), "the package's file"))
    return problems
