# SPDX-License-Identifier: GPL-3.0-or-later
"""What dpkg would stumble over, found before the window; the real dpkg says whether that is so."""

import os
import shutil
import subprocess

import pytest

from ansible_collections.hospital.patching.plugins.module_utils import disk_space
from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.dpkg_database import DpkgDatabase
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import deb_contents
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner

pytestmark = pytest.mark.skipif(
    not (shutil.which("dpkg-deb") and os.getuid() == 0), reason="needs the real dpkg, and root to unpack"
)


class Site:
    """A root of its own with packages that the real dpkg unpacked."""

    def __init__(self, folder):
        self.folder = folder
        self.root = folder / "root"
        for path in ("var/lib/dpkg/info", "var/lib/dpkg/updates", "etc", "usr"):
            (self.root / path).mkdir(parents=True)
        (self.root / "var/lib/dpkg/status").write_text("")
        self.host = Host(Runner(), Clock(), str(self.root), str(self.root / "state"))

    def build(self, name, version, files, links=None, **fields):
        tree = self.folder / "{}-{}".format(name, version)
        (tree / "DEBIAN").mkdir(parents=True)
        more = "".join("{}: {}\n".format(*field) for field in fields.items())
        (tree / "DEBIAN/control").write_text(
            "Package: {}\nVersion: {}\nArchitecture: all\nMaintainer: x <x@example.org>\n{}Description: x\n".format(
                name, version, more
            )
        )
        for path in files:
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).write_text(name + version)
        for path, to in (links or {}).items():
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).symlink_to(to)
        deb = self.folder / "{}_{}_all.deb".format(name, version)
        subprocess.run(["dpkg-deb", "-Zgzip", "--build", str(tree), str(deb)], check=True, stdout=subprocess.DEVNULL)
        return str(deb), dict({"Package": name, "Architecture": "all"}, **fields)

    def unpack(self, *debs):
        for path, _fields in debs:
            self.dpkg("--unpack", path)

    def dpkg(self, *arguments):
        command = ["dpkg", "--root=" + str(self.root), "--force-not-root", "--force-bad-path", *arguments]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def rehearse(self, *debs, gone=()):
        installed = DpkgDatabase(str(self.root)).present()
        deb_contents.rehearse(self.host, installed, list(debs), set(gone))


@pytest.fixture
def site(tmp_path):
    site = Site(tmp_path)
    site.unpack(site.build("viewer", "1", ["usr/bin/view", "usr/share/icons/eye"]))
    return site


def test_a_file_of_another_package_is_found_as_dpkg_would_find_it(site):
    taking = site.build("suite", "1", ["usr/bin/view"])
    with pytest.raises(PatchingError, match="package suite: it brings /usr/bin/view, a file of viewer 1, which is"):
        site.rehearse(taking)
    with pytest.raises(subprocess.CalledProcessError) as refused:
        site.unpack(taking)
    assert b"trying to overwrite '/usr/bin/view'" in refused.value.stderr


@pytest.mark.parametrize(
    ("replaced", "fits"), [("viewer (<< 2)", True), ("other, viewer", True), ("viewer (>> 1)", False)]
)
def test_a_package_that_says_what_it_replaces_may_have_the_file(site, replaced, fits):
    taking = site.build("suite", "1", ["usr/bin/view"], Replaces=replaced)
    if fits:
        site.rehearse(taking)
        site.unpack(taking)
        return
    with pytest.raises(PatchingError, match="a file of viewer 1"):
        site.rehearse(taking)
    with pytest.raises(subprocess.CalledProcessError):
        site.unpack(taking)


def test_its_own_next_version_shared_folders_and_what_is_removed_are_no_conflict(site):
    site.rehearse(
        site.build("viewer", "2", ["usr/bin/view", "usr/bin/edit"]), site.build("more", "1", ["usr/bin/more"])
    )
    site.rehearse(site.build("suite", "1", ["usr/bin/view"]), gone=["viewer"])


def test_two_new_packages_with_one_file(site):
    with pytest.raises(PatchingError, match="it brings /opt/x, a file of one, which the transaction brings too"):
        site.rehearse(site.build("one", "1", ["opt/x"]), site.build("two", "1", ["opt/x"]))


def test_a_diverted_file_and_a_host_that_lets_packages_overwrite_are_left_to_dpkg(site):
    taking = site.build("suite", "1", ["usr/bin/view"])
    (site.root / "var/lib/dpkg/diversions").write_text("/usr/bin/view\n/usr/bin/view.orig\nsuite\n")
    site.rehearse(taking)
    (site.root / "var/lib/dpkg/diversions").write_text("")
    (site.root / "etc/dpkg/dpkg.cfg.d").mkdir(parents=True)
    (site.root / "etc/dpkg/dpkg.cfg.d/site").write_text("# force-overwrite\n")
    with pytest.raises(PatchingError):
        site.rehearse(taking)
    (site.root / "etc/dpkg/dpkg.cfg.d/site").write_text("force-overwrite\n")
    site.rehearse(taking)


def test_a_link_to_a_folder_that_others_have_is_no_conflict(site):
    linking = site.build("suite", "1", ["usr/lib/suite/x"], links={"usr/share/icons": "../lib/icons"})
    site.rehearse(linking)
    site.unpack(linking)
    assert (site.root / "usr/share/icons").is_dir()


def test_a_configuration_file_that_its_package_gave_up_may_be_taken(site):
    (site.root / "var/lib/dpkg/info/viewer.list").write_text("/.\n/etc\n/etc/view.ini\n")
    status = site.root / "var/lib/dpkg/status"
    text = status.read_text()
    taking = site.build("suite", "1", ["etc/view.ini"])
    for mark, fits in ((" obsolete", True), ("", False)):
        status.write_text(
            text.replace("\nDescription", "\nConffiles:\n /etc/view.ini {}{}\nDescription".format("0" * 32, mark))
        )
        if fits:
            site.rehearse(taking)
        else:
            with pytest.raises(PatchingError, match=r"/etc/view\.ini, a file of viewer"):
                site.rehearse(taking)


def test_an_archive_that_is_damaged_inside_is_told_with_dpkgs_reason(site):
    path, fields = site.build("suite", "1", ["usr/bin/suite"])
    with open(path, "rb") as handle:
        content = handle.read()
    place = content.index(b"data.tar") + 60 + 30
    with open(path, "wb") as handle:
        handle.write(content[:place] + b"\x00\xff\x00\xff" + content[place + 4 :])
    with pytest.raises(PatchingError, match=r"suite_1_all\.deb: it cannot be unpacked: dpkg-deb.*data\.tar"):
        site.rehearse((path, fields))


def test_a_compression_that_this_dpkg_does_not_know(site):
    path, fields = site.build("suite", "1", ["usr/bin/suite"])
    with open(path, "rb") as handle:
        content = handle.read()
    with open(path, "wb") as handle:
        handle.write(content.replace(b"data.tar.gz ", b"data.tar.new"))
    with pytest.raises(PatchingError, match=r"it cannot be unpacked: dpkg-deb: error.*data\.tar\.new"):
        site.rehearse((path, fields))


class Mounted:
    """What statvfs says of a file system that a test cannot mount."""

    def __init__(self, flags=0, files=1000000, free=900000):
        self.f_flag, self.f_files, self.f_ffree = flags, files, free


@pytest.mark.parametrize(
    ("mounted", "told"),
    [
        (Mounted(os.ST_RDONLY), "mounted read-only, and suite brings /usr/bin/suite"),
        (Mounted(os.ST_NOEXEC), "mounted noexec"),
        (Mounted(free=disk_space.MARGIN_INODES), "room for 1024 more files"),
    ],
)
def test_a_file_system_that_dpkg_could_not_use(site, monkeypatch, mounted, told):
    suite = site.build("suite", "1", ["usr/bin/suite"])
    monkeypatch.setattr(os, "statvfs", lambda path: mounted)
    with pytest.raises(PatchingError, match=told):
        site.rehearse(suite)


def test_a_file_system_that_counts_no_files_and_one_that_apt_remounts_itself(site, monkeypatch):
    suite = site.build("suite", "1", ["usr/bin/suite"])
    monkeypatch.setattr(os, "statvfs", lambda path: Mounted(os.ST_RDONLY, files=0, free=0))
    config = site.folder / "apt.conf"
    config.write_text('DPkg::Pre-Invoke { "mount -o remount,rw /usr"; };\n')
    monkeypatch.setenv("APT_CONFIG", str(config))
    site.rehearse(suite)
