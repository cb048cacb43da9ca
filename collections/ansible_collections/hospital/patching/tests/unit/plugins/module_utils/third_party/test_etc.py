# SPDX-License-Identifier: GPL-3.0-or-later
"""Declared deb and rpm files whose configuration the host has changed: by the real dpkg and rpm, in a root."""

import hashlib
import os
import shutil
import subprocess
import tarfile

import pytest

from ansible_collections.hospital.patching.plugins.module_utils import conffile_merge
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner
from ansible_collections.hospital.patching.plugins.module_utils.third_party import etc_before

CONTROL = """Package: viewer
Version: {0}
Architecture: all
Maintainer: Ada <ada@hospital.example>
Description: a viewer
"""
SPEC = """Name: viewer
Version: {0}
Release: 1
Summary: a viewer
License: GPL-3.0-or-later
BuildArch: noarch
%description
a viewer
%install
mkdir -p %{{buildroot}}/etc
echo 'port = {0}' >%{{buildroot}}/etc/viewer.conf
%files
%config(noreplace) /etc/viewer.conf
"""


class InRoot(Runner):
    """Runs the real commands on a root below a folder."""

    def __init__(self, root):
        self.root = str(root)
        (root / "etc/apt.conf").write_text('Dir "{0}";\nDir::State::status "{0}/var/lib/dpkg/status";\n'.format(root))

    def run(self, args, env=None, **others):
        words = {"dpkg": ["--root=" + self.root], "rpm": ["--root=" + self.root, "--dbpath=/var/lib/rpm"]}
        args = args[:1] + words.get(args[0], []) + args[1:]
        return super().run(args, env=dict(env or {}, APT_CONFIG=self.root + "/etc/apt.conf"), **others)


def make_deb(work, version):
    tree = work / ("deb" + version)
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "etc").mkdir()
    (tree / "DEBIAN/control").write_text(CONTROL.format(version))
    (tree / "DEBIAN/conffiles").write_text("/etc/viewer.conf\n")
    (tree / "etc/viewer.conf").write_text("port = {}\n".format(version))
    path = str(work / "viewer-{}.deb".format(version))
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", str(tree), path], check=True, stdout=subprocess.DEVNULL)
    return path


def make_rpm(work, version):
    spec = work / ("viewer-{}.spec".format(version))
    spec.write_text(SPEC.format(version))
    defines = ["--define", "_topdir {}".format(work), "--define", "_dbpath {}/db".format(work)]
    subprocess.run(["rpmbuild", "-bb", "--quiet"] + defines + [str(spec)], check=True, stderr=subprocess.DEVNULL)
    return str(work / "RPMS/noarch/viewer-{}-1.noarch.rpm".format(version))


@pytest.fixture(params=["deb", "rpm"])
def viewer(request, night, tmp_path):
    """Return the entry of the viewer's version; the file is of the parameter's type."""
    if os.getuid() != 0 or not shutil.which({"deb": "dpkg-deb", "rpm": "rpmbuild"}[request.param]):
        pytest.skip("needs the tools of {}, and root for a root of its own".format(request.param))
    root = tmp_path / "root"
    for name in ("dpkg/info", "dpkg/updates", "apt/lists/partial", "rpm"):
        (root / "var/lib" / name).mkdir(parents=True)
    for name in ("etc", "usr/sbin", "var/cache/apt/archives/partial"):
        (root / name).mkdir(parents=True)
    for name in ("status", "available"):
        (root / "var/lib/dpkg" / name).touch()
    night.packages.host = night.packages.host._replace(runner=InRoot(root))
    make = {"deb": make_deb, "rpm": make_rpm}[request.param]
    names = {"deb": "{}", "rpm": "{}-1"}[request.param]

    def entry(version):
        path = make(tmp_path, version)
        with open(path, "rb") as handle:
            sha256 = hashlib.sha256(handle.read()).hexdigest()
        more = {"version": names.format(version), "source": path, "sha256": sha256}
        return dict({"name": "viewer", "type": request.param}, **more)

    entry.kind = request.param
    entry.conf = root / "etc/viewer.conf"
    entry.proposal = str(entry.conf) + {"deb": ".dpkg-dist", "rpm": ".rpmnew"}[request.param]
    return entry


@pytest.fixture
def update(night, viewer):
    """Return the transaction of an update of the viewer, whose configuration the host has changed."""
    night.to(viewer("1"))
    viewer.conf.write_text("port = 104\n")
    return night.stage(viewer("2"))["transaction"]


def test_a_proposed_configuration_file_is_told_and_etc_is_archived_before(night, viewer, update):
    done = night.install(update)
    assert done["conffile_proposals"] == [viewer.proposal]
    assert viewer.conf.read_text() == "port = 104\n"
    (merge,) = conffile_merge.of_proposals(done["conffile_proposals"])
    assert [(change["key"], change["change"]) for change in merge["changes"]] == [("port", "changed")]
    with tarfile.open(done["etc_archive"]) as tar:
        assert tar.extractfile("etc/viewer.conf").read() == b"port = 104\n"
        assert not [name for name in tar.getnames() if name.endswith(viewer.proposal[-7:])]
    assert os.stat(done["etc_archive"]).st_mode & 0o077 == 0
    again = night.install(update)
    assert (again["changed"], again["conffile_proposals"], again["etc_archive"]) == (False, [], None)
    assert os.path.exists(done["etc_archive"]), "a run that had nothing to do took the archive away"
    back = night.rollback(update)
    assert os.path.basename(back["etc_archive"]).startswith("etc-before-rollback-")
    assert viewer.conf.read_text() == "port = 104\n"


def interrupted(_self):
    raise KeyboardInterrupt


def test_what_was_proposed_before_a_kill_is_told_by_the_run_that_goes_on(night, viewer, update, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(etc_before.EtcBefore, "proposed", interrupted)
        with pytest.raises(KeyboardInterrupt):
            night.install(update)
    assert os.path.exists(viewer.proposal)
    assert night.install(update)["conffile_proposals"] == [viewer.proposal]


def test_the_package_managers_own_archive_and_proposals_are_kept(night, viewer, update, monkeypatch):
    found = dict(
        night.packages.install(night.request(update)), conffile_proposals=["/etc/a.rpmnew"], etc_archive="/tar"
    )
    monkeypatch.setattr(night.packages, "install", lambda _request: found)
    done = night.install(night.with_a_package(update))
    assert (done["conffile_proposals"], done["etc_archive"]) == (sorted(["/etc/a.rpmnew", viewer.proposal]), "/tar")


def test_without_room_for_etc_an_installation_is_refused_and_the_way_back_goes(night, viewer, update, monkeypatch):
    def full(_root, _path):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(etc_before.etc_archive, "archive", full)
        with pytest.raises(PatchingError, match="expected room for a copy of /etc"):
            night.install(update)
        assert not os.path.exists(viewer.proposal)
    night.install(update)
    monkeypatch.setattr(etc_before.etc_archive, "archive", full)
    assert night.rollback(update)["etc_archive"] is None
    assert night.joined().verify(update, "from", [])["verdict"] == "ok"


def test_the_hosts_own_configuration_is_in_force_again_after_a_removal_was_taken_back(night, viewer):
    night.to(viewer("1"))
    viewer.conf.write_text("port = 104\n")
    gone = {"name": "viewer", "type": viewer.kind, "absent": True}
    todo = night.stage(gone)["transaction"]
    done = night.install(todo)
    assert done["conffile_proposals"] == [str(path) for path in viewer.conf.parent.glob("*.rpmsave")]
    night.rollback(todo)
    assert viewer.conf.read_text() == "port = 104\n"
    assert not list(viewer.conf.parent.glob("*.rpmsave"))
