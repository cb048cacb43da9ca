# SPDX-License-Identifier: GPL-3.0-or-later
"""Removing declared software: rehearsed by the real apt-get and rpm, at stage and before anything else changes."""

import shutil
import subprocess

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner

PACKAGE = """Package: {name}
Status: install ok installed
Architecture: all
Version: {version}
Depends: {needs}
Maintainer: Ada <ada@hospital.example>
Description: {name}

"""
VIEWER = PACKAGE.format(name="viewer", version="1", needs="")
#: What needs the viewer.
CLIENT = PACKAGE.format(name="pacs-client", version="7", needs="viewer")
GONE = {"name": "viewer", "absent": True}


class AptOf(Runner):
    """Runs the real commands, apt-get with the configuration of a root."""

    def __init__(self, root):
        self.config = root / "etc/apt.conf"
        self.config.write_text('Dir "{0}";\nDir::State::status "{0}/var/lib/dpkg/status";\n'.format(root))

    def run(self, args, env=None, **others):
        assert args[0] != "dpkg", "the machine's own packages would change"
        return super().run(args, env=dict(env or {}, APT_CONFIG=str(self.config)), **others)


class RpmOf(Runner):
    """Runs the real rpm with a database of its own."""

    def __init__(self, database):
        self.database = str(database)

    def run(self, args, **others):
        given = ["--dbpath", self.database] if args[0] == "rpm" else []
        return super().run(args[:1] + given + args[1:], **others)


class Packages:
    """What another package's coming does to a removal."""

    def __init__(self, kind, night, install):
        self.entry, self.night, self.install = dict(GONE, type=kind), night, install


@pytest.fixture
def debian(night, tmp_path):
    if not shutil.which("apt-get"):
        pytest.skip("needs apt-get")
    root = tmp_path / "root"
    for name in ("etc", "usr/sbin", "var/lib/dpkg/info", "var/lib/apt/lists/partial", "var/cache/apt/archives/partial"):
        (root / name).mkdir(parents=True)
    (root / "var/lib/dpkg/info/viewer.list").write_text("/.\n")
    status = root / "var/lib/dpkg/status"
    status.write_text(VIEWER)
    night.packages.host = night.packages.host._replace(runner=AptOf(root))
    return Packages("deb", night, lambda: status.write_text(VIEWER + CLIENT))


SPEC = """Name: {0}
Version: 1
Release: 1
Summary: {0}
License: GPL-3.0-or-later
BuildArch: noarch
{1}
%description
{0}
%files
"""


@pytest.fixture(scope="module")
def rpms(tmp_path_factory):
    """Return the files of two packages, of which one needs the other."""
    if not shutil.which("rpmbuild"):
        pytest.skip("needs rpm and rpmbuild")
    work, specs = tmp_path_factory.mktemp("rpms"), []
    for name, needs in (("viewer", ""), ("pacs-client", "Requires: viewer")):
        specs.append(work / (name + ".spec"))
        specs[-1].write_text(SPEC.format(name, needs))
    defines = ["--define", "_topdir {}".format(work), "--define", "_dbpath {}/db".format(work)]
    subprocess.run(["rpmbuild", "-bb", "--quiet"] + defines + [str(spec) for spec in specs], check=True)
    return {name: str(work / "RPMS/noarch/{}-1-1.noarch.rpm".format(name)) for name in ("viewer", "pacs-client")}


@pytest.fixture
def enterprise(night, rpms, tmp_path):
    runner = RpmOf(tmp_path / "rpmdb")

    def install(name="pacs-client"):
        runner.run(["rpm", "-i", "--justdb", "--nodeps", "--nosignature", rpms[name]])

    install("viewer")
    night.packages.host = night.packages.host._replace(runner=runner)
    return Packages("rpm", night, install)


@pytest.fixture(params=["debian", "enterprise"])
def packages(request):
    return request.getfixturevalue(request.param)


def test_a_removal_that_would_take_another_package_with_it_is_refused_at_stage(packages):
    packages.install()
    with pytest.raises(PatchingError, match=r"software viewer: .*pacs-client.*it was not removed"):
        packages.night.stage(packages.entry)
    assert packages.night.packages.journal.read() == []


def test_what_needs_it_may_be_removed_before_it_by_the_same_transaction(packages):
    packages.install()
    client = dict(packages.entry, name="pacs-client")
    for check in (True, False):
        with pytest.raises(PatchingError, match=r"software viewer: .*pacs-client"):
            packages.night.stage(packages.entry, client, check=check)
    todo = packages.night.stage(client, packages.entry)["transaction"]
    assert [one["name"] for one in packages.night.install(todo, check=True)["installed"]] == ["pacs-client", "viewer"]


def test_it_is_asked_again_before_a_package_of_the_transaction_changes(packages):
    todo = packages.night.with_a_package(packages.night.stage(packages.entry)["transaction"])
    packages.install()  # since the stage
    for check in (True, False):
        with pytest.raises(PatchingError, match=r"software viewer: .*pacs-client"):
            packages.night.install(todo, check)
    assert packages.night.packages.asked == []
    assert [record["step"] for record in packages.night.packages.journal.read()] == ["stage", "stage"]


def test_a_half_done_dpkg_is_repaired_before_a_removal_is_rehearsed(debian, tmp_path):
    todo = debian.night.with_a_package(debian.night.stage(debian.entry)["transaction"])
    broken = PACKAGE.format(name="tzdata", version="2", needs="missing").replace("ok installed", "ok half-configured")
    (tmp_path / "root/var/lib/dpkg/status").write_text(VIEWER + broken)
    with pytest.raises(PatchingError, match="Unmet dependencies"):  # afterwards, as this double repairs nothing
        debian.night.install(todo)
    assert [asked for asked, _what in debian.night.packages.asked] == ["install"]
