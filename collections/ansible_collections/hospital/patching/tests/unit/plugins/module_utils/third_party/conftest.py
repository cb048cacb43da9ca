# SPDX-License-Identifier: GPL-3.0-or-later
"""A host below a folder, on which real archives with a real program are unpacked, switched and tried."""

import hashlib
import io
import tarfile

import pytest

from ansible_collections.hospital.patching.plugins.module_utils import transaction
from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.data_owners import BUILT_IN
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.journal import Journal
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import (
    EVERYTHING,
    InstallRequest,
    StageRequest,
)
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner
from ansible_collections.hospital.patching.plugins.module_utils.third_party.joined import Joined


@pytest.fixture
def host(tmp_path):
    (tmp_path / "root").mkdir()
    return Host(Runner(), Clock(), str(tmp_path / "root"), str(tmp_path / "state"))


@pytest.fixture
def make_archive(tmp_path):
    """Write a tar file of (name, content or TarInfo) members; return its path and SHA-256."""

    def make(*members, name="it.tar.gz"):
        path = tmp_path / name
        with tarfile.open(path, "w:gz") as tar:
            for member, content in members:
                if isinstance(content, tarfile.TarInfo):
                    content.name = member
                    tar.addfile(content)
                    continue
                info = tarfile.TarInfo(member)
                info.size, info.mode, info.uid = len(content), 0o4777, 1000
                tar.addfile(info, io.BytesIO(content.encode()))
        return str(path), hashlib.sha256(path.read_bytes()).hexdigest()

    return make


@pytest.fixture
def java(tmp_path, make_archive):
    """Return the entry of a runtime at a version, with its archive made; what it prints can be another version."""

    def entry(version, says=None, **more):
        program = f"#!/bin/sh\necho 'openjdk version \"{says or version}\"' >&2\n"
        path, sha256 = make_archive(("jre/bin/java", program), ("jre/release", version), name=f"{version}.tar.gz")
        return {
            "name": "java",
            "type": "archive",
            "version": version,
            "source": path,
            "sha256": sha256,
            "root": str(tmp_path / "java"),
            "link": str(tmp_path / "java/current"),
            "strip": 1,
            "exposure": "java",
            "probe": {"command": ["bin/java", "-version"], "pattern": 'version "{version}"'},
            **more,
        }

    return entry


class Packages:
    """A package manager that has nothing to do, and says what it was asked."""

    NAME = "apt"

    def __init__(self, host):
        self.host = host
        self.journal = Journal(host.state_dir, host.clock)
        self.asked = []

    @staticmethod
    def _nothing():
        nothing = {"changed": False, "nothing_to_do": True, "installed": [], "already": []}
        return dict(nothing, conffile_proposals=[], etc_archive=None)

    def pending(self, _wanted):
        return {"manager": "apt", "updates": [], "held": [], "problems": []}

    def install(self, request):
        self.asked.append(("install", request.transaction["digest"]))
        return self._nothing()

    def rollback(self, request, names):
        self.asked.append(("rollback", names))
        return self._nothing()

    def verify(self, wanted, _expect, names):
        self.asked.append(("verify", names))
        return {"problems": [], "at_target": True, "versions_checked": len(wanted["entries"])}


class Night:
    """Takes one host from its entries to their versions and back."""

    def __init__(self, host):
        self.packages = Packages(host)

    def joined(self, *entries):
        return Joined(self.packages, list(entries), {})

    def stage(self, *entries, wanted=None, check=False):
        updates = self.joined(*entries).pending(wanted or EVERYTHING)["updates"]
        return self.joined().stage(StageRequest("R1", "h1", updates, None, check))

    @staticmethod
    def request(todo, check=False):
        return InstallRequest("R1", todo, 0, 60, check)

    def install(self, todo, check=False):
        return self.joined().install(self.request(todo, check))

    def rollback(self, todo, names=(), rules=BUILT_IN):
        request = InstallRequest("R1", todo, 0, 60, check=False, data_rules=rules)
        return self.joined().rollback(request, list(names))

    @staticmethod
    def with_a_package(todo):
        """Return a transaction that has a package beside its software."""
        package = {"name": "tzdata", "arch": "all", "from": "1", "to": "2"}
        return transaction.build(todo["host"], todo["manager"], todo["manifest"], [package] + todo["entries"])

    def to(self, *entries):
        """Stage and install; return the transaction."""
        todo = self.stage(*entries)["transaction"]
        self.install(todo)
        return todo


@pytest.fixture
def night(host):
    return Night(host)
