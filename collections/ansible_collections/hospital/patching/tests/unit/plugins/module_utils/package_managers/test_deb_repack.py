# SPDX-License-Identifier: GPL-3.0-or-later
"""Packing an installed package again, with the real dpkg under a root of its own."""

import hashlib
import os
import shutil
import subprocess
import sys

import pytest

from ansible_collections.hospital.patching.plugins.module_utils import deb822
from ansible_collections.hospital.patching.plugins.module_utils.dpkg_database import DpkgDatabase
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.deb_repack import Repacker
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner

pytestmark = pytest.mark.skipif(
    not (shutil.which("dpkg-deb") and os.getuid() == 0), reason="needs the real dpkg, and root to keep owners"
)

MD5 = hashlib.md5
#: Packs in a process of its own, whose locale the test chooses.
REPACK = """
import sys
sys.path[:] = sys.argv[3].split(":")
from ansible_collections.hospital.patching.plugins.module_utils.dpkg_database import DpkgDatabase
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.deb_repack import Repacker
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner
assert sys.getfilesystemencoding() == "ascii"
root, target = sys.argv[1:3]
try:
    Repacker(Runner(), root).pack(DpkgDatabase(root).present()[("viewer", "all")], target)
except PatchingError as error:
    print(error)
"""
CONTROL = """Package: viewer
Version: {version}
{architecture}Maintainer: nobody <nobody@hospital.example>
Description: a viewer
 of images
 .
 and nothing else
"""


def dpkg(root, *arguments):
    command = ["dpkg", "--root=" + str(root), "--force-not-root", "--force-confold", "--force-bad-path"]
    return subprocess.run(command + list(arguments), check=True, stdout=subprocess.PIPE).stdout.decode()


def build(folder, version, setting, architecture="Architecture: all\n"):
    tree = folder / "tree-{}".format(version)
    for path in ("DEBIAN", "etc/viewer", "usr/lib/viewer", "lib/systemd", "usr/share/doc/viewer"):
        (tree / path).mkdir(parents=True)
        (tree / path).chmod(0o755)
    (tree / "DEBIAN/control").write_text(CONTROL.format(version=version, architecture=architecture))
    (tree / "DEBIAN/conffiles").write_text("/etc/viewer/viewer.ini\n")
    (tree / "DEBIAN/md5sums").write_text("")
    (tree / "DEBIAN/postinst").write_text("#!/bin/sh\nexit 0\n")
    (tree / "DEBIAN/postinst").chmod(0o755)
    (tree / "etc/viewer/viewer.ini").write_text(setting)
    program = tree / "usr/lib/viewer/viewer"
    program.write_text("version {}\n".format(version))
    program.chmod(0o4755)
    os.chown(str(program), 0, 4)
    (tree / "usr/lib/viewer/link").symlink_to("viewer")
    (tree / "lib/systemd/viewer.service").write_text("[Unit]\n")
    (tree / "usr/share/doc/viewer/changelog").write_text("changes\n")
    sums = subprocess.run(
        "find usr lib -type f | sort | xargs md5sum", shell=True, cwd=str(tree), check=True, stdout=subprocess.PIPE
    )
    (tree / "DEBIAN/md5sums").write_bytes(sums.stdout)
    deb = folder / "viewer_{}_all.deb".format(version)
    subprocess.run(["dpkg-deb", "-Zgzip", "--build", str(tree), str(deb)], check=True, stdout=subprocess.DEVNULL)
    return deb


@pytest.fixture
def root(tmp_path):
    """A host's root with merged /usr and version 1 of the viewer installed."""
    root = tmp_path / "root"
    for path in ("var/lib/dpkg/info", "var/lib/dpkg/updates", "usr/lib", "usr/bin", "etc", "bin"):
        (root / path).mkdir(parents=True)
    (root / "lib").symlink_to("usr/lib")
    (root / "var/lib/dpkg/status").write_text("")
    return root


@pytest.fixture
def installed(root, tmp_path):
    """The same, and the original package."""
    deb = build(tmp_path, "1", "vendor\n")
    dpkg(root, "--unpack", str(deb))
    _configured(root)
    return deb


def _configured(root):
    """Say that dpkg configured it: running a maintainer script would need a whole system in the root."""
    status = root / "var/lib/dpkg/status"
    text = status.read_text().replace("ok unpacked", "ok installed")
    fresh = root / "etc/viewer/viewer.ini.dpkg-new"
    if fresh.exists():
        fresh.rename(root / "etc/viewer/viewer.ini")
        text = text.replace("newconffile", md5(root / "etc/viewer/viewer.ini"))
    status.write_text(text)


def md5(path):
    return subprocess.run(["md5sum", str(path)], check=True, stdout=subprocess.PIPE).stdout.decode().split()[0]


def repack(root, target):
    package = DpkgDatabase(str(root)).present()[("viewer", "all")]
    Repacker(Runner(), str(root)).pack(package, str(target))
    return target


def contents(deb):
    """Return mode, owner, size and path of all that a package holds, without times."""
    listed = subprocess.run(["dpkg-deb", "-c", str(deb)], check=True, stdout=subprocess.PIPE).stdout.decode()
    found = set()
    for line in listed.splitlines():
        mode, owner, size, _day, _time, path = line.split(None, 5)
        found.add((mode, owner, size, path))
    return found


def control(deb):
    text = subprocess.run(["dpkg-deb", "-f", str(deb)], check=True, stdout=subprocess.PIPE).stdout.decode()
    return list(deb822.paragraphs(text))


def extracted(deb, folder, path):
    subprocess.run(["dpkg-deb", "-x", str(deb), str(folder)], check=True)
    return (folder / path).read_text()


def test_it_holds_what_the_original_held(root, installed, tmp_path):
    again = repack(root, tmp_path / "again.deb")
    assert contents(again) == contents(installed)
    assert control(again) == control(installed)
    assert sorted(os.listdir(str(tmp_path))) == ["again.deb", "root", "tree-1", "viewer_1_all.deb"]
    unpacked = tmp_path / "control"
    subprocess.run(["dpkg-deb", "-e", str(again), str(unpacked)], check=True)
    assert sorted(os.listdir(str(unpacked))) == ["conffiles", "control", "md5sums", "postinst"]


def test_a_changed_configuration_file_stays_the_hosts_own(root, installed, tmp_path):
    """Packed with the host's text, it would count as the vendor's and be overwritten by the next version."""
    (root / "etc/viewer/viewer.ini").write_text("changed here\n")
    again = repack(root, tmp_path / "again.deb")
    packed = extracted(again, tmp_path / "x", "etc/viewer/viewer.ini")
    assert "changed here" not in packed
    assert "/etc/viewer/viewer.ini was changed on this host" in packed


def test_documentation_that_was_never_installed_is_left_out(root, installed, tmp_path):
    shutil.rmtree(str(root / "usr/share/doc"))
    again = repack(root, tmp_path / "again.deb")
    assert not any("changelog" in path for _mode, _owner, _size, path in contents(again))
    assert any(path == "./usr/lib/viewer/viewer" for _mode, _owner, _size, path in contents(again))


def test_a_diverted_file_is_found_where_it_went(root, installed, tmp_path):
    (root / "usr/lib/viewer/viewer").rename(root / "usr/lib/viewer/viewer.distrib")
    (root / "usr/lib/viewer/viewer").write_text("another package's\n")
    (root / "var/lib/dpkg/diversions").write_text("/usr/lib/viewer/viewer\n/usr/lib/viewer/viewer.distrib\nother\n")
    again = repack(root, tmp_path / "again.deb")
    assert extracted(again, tmp_path / "x", "usr/lib/viewer/viewer") == "version 1\n"


def test_a_file_that_was_changed_or_lost_cannot_be_restored(root, installed, tmp_path):
    program = root / "usr/lib/viewer/viewer"
    program.write_text("version 1, patched by hand\n")
    with pytest.raises(PatchingError, match="viewer 1: /usr/lib/viewer/viewer is not as the package brought it"):
        repack(root, tmp_path / "again.deb")
    program.unlink()
    with pytest.raises(PatchingError, match="viewer 1: /usr/lib/viewer/viewer is missing"):
        repack(root, tmp_path / "again.deb")
    program.mkdir()
    os.mkfifo(str(root / "usr/lib/viewer/fifo"))
    with (root / "var/lib/dpkg/info/viewer.list").open("a") as handle:
        handle.write("/usr/lib/viewer/fifo\n")
    with pytest.raises(PatchingError, match="fifo is neither file, folder nor link"):
        repack(root, tmp_path / "again.deb")
    assert not [name for name in os.listdir(str(tmp_path)) if "again" in name or name.startswith(".repack")]


def test_a_package_without_a_list_of_files(root, installed, tmp_path):
    (root / "var/lib/dpkg/info/viewer.list").unlink()
    with pytest.raises(PatchingError, match="dpkg has no list of its files"):
        repack(root, tmp_path / "again.deb")


def listed(root, *paths):
    """Say that the viewer brought more paths."""
    with open(str(root / "var/lib/dpkg/info/viewer.list"), "ab") as handle:
        handle.write(b"".join(os.fsencode(path) + b"\n" for path in paths))


@pytest.mark.parametrize("umask", [0o027, 0o077])
def test_the_umask_is_not_packed(root, installed, tmp_path, umask):
    info = root / "var/lib/dpkg/info/viewer.list"
    # Folders that the list leaves out have to be made too.
    info.write_text("".join(line for line in info.read_text().splitlines(True) if line not in ("/usr\n", "/etc\n")))
    (root / "etc/viewer/viewer.ini").write_text("changed here\n")
    before = os.umask(umask)
    try:
        again = repack(root, tmp_path / "again.deb")
    finally:
        os.umask(before)
    modes = [{(mode, owner, path) for mode, owner, _size, path in contents(deb)} for deb in (again, installed)]
    assert modes[0] == modes[1]


def test_a_configuration_file_with_a_blank_in_its_name(root, installed, tmp_path):
    files = {"our site.ini": "", "old site.ini": " obsolete", "gone site.ini": " remove-on-upgrade"}
    record = ""
    for name, flag in files.items():
        (root / "etc/viewer" / name).write_text("changed here\n")
        record += " /etc/viewer/{} {}{}\n".format(name, "d41d8cd98f00b204e9800998ecf8427e", flag)
        listed(root, "/etc/viewer/" + name)
    status = root / "var/lib/dpkg/status"
    status.write_text(status.read_text().replace("Conffiles:\n", "Conffiles:\n" + record))
    again = repack(root, tmp_path / "again.deb")
    assert "was changed on this host" in extracted(again, tmp_path / "x", "etc/viewer/our site.ini")
    assert sorted(os.listdir(str(tmp_path / "x/etc/viewer"))) == ["our site.ini", "viewer.ini"]


def test_a_record_of_configuration_files_that_cannot_be_read_is_told(root, installed, tmp_path):
    status = root / "var/lib/dpkg/status"
    status.write_text(status.read_text().replace("Conffiles:\n", "Conffiles:\n /etc/viewer/x sha256:12\n"))
    with pytest.raises(PatchingError, match="viewer 1: dpkg's record of its configuration files has the line"):
        repack(root, tmp_path / "again.deb")


@pytest.mark.parametrize("changed", [False, True])
def test_a_name_beyond_ascii_under_a_plain_locale(root, installed, tmp_path, changed):
    """ca-certificates has such a file; Python 3.6 knows no name of it under LC_ALL=C."""
    name = "/usr/lib/viewer/F\u0151tan\u00fas\u00edtv\u00e1ny.crt".encode("utf-8")
    with open(os.fsencode(str(root)) + name, "w") as handle:
        handle.write("certificate\n")
    with open(str(root / "var/lib/dpkg/info/viewer.list"), "ab") as handle:
        handle.write(name + b"\n")
    known = hashlib.md5(b"another\n" if changed else b"certificate\n").hexdigest()
    with open(str(root / "var/lib/dpkg/info/viewer.md5sums"), "ab") as handle:
        handle.write(known.encode() + b"  " + name[1:] + b"\n")
    found = subprocess.run(
        [sys.executable, "-c", REPACK, str(root), str(tmp_path / "again.deb"), ":".join(sys.path)],
        env=dict(os.environ, LC_ALL="C", PYTHONCOERCECLOCALE="0", PYTHONUTF8="0", PYTHONIOENCODING="utf-8"),
        check=True,
        stdout=subprocess.PIPE,
    )
    if changed:
        assert "F\u0151tan\u00fas\u00edtv\u00e1ny.crt is not as the package brought it" in found.stdout.decode("utf-8")
        return
    assert found.stdout == b""
    subprocess.run(["dpkg-deb", "-x", str(tmp_path / "again.deb"), str(tmp_path / "x")], check=True)
    with open(os.fsencode(str(tmp_path / "x")) + name) as handle:
        assert handle.read() == "certificate\n"


def _no_md5_for_security(usedforsecurity=True):
    if usedforsecurity:
        raise ValueError("disabled for FIPS")
    return MD5()


def _no_md5():
    raise ValueError("disabled for FIPS")


def test_md5_under_fips(root, installed, tmp_path, monkeypatch):
    monkeypatch.setattr(hashlib, "md5", _no_md5_for_security)
    assert contents(repack(root, tmp_path / "again.deb")) == contents(installed)
    monkeypatch.setattr(hashlib, "md5", _no_md5)
    assert contents(repack(root, tmp_path / "again.deb")) == contents(installed)
    (root / "usr/lib/viewer/viewer").write_text("patched by hand")
    with pytest.raises(PatchingError, match="viewer is not as the package brought it"):
        repack(root, tmp_path / "again.deb")


def test_a_full_disk_is_told(root, installed, tmp_path, monkeypatch):
    def full(*_arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copy2", full)
    with pytest.raises(PatchingError, match=r"viewer 1: .*No space left on device; expected an installed package"):
        repack(root, tmp_path / "again.deb")
    assert not [name for name in os.listdir(str(tmp_path)) if name.startswith(".repack")]


def test_a_package_that_is_not_in_the_status_any_more(root, installed, tmp_path):
    package = DpkgDatabase(str(root)).present()[("viewer", "all")]
    (root / "var/lib/dpkg/status").write_text("")
    with pytest.raises(PatchingError, match="dpkg does not know it any more"):
        Repacker(Runner(), str(root)).pack(package, str(tmp_path / "again.deb"))


@pytest.fixture
def moved(root, installed):
    """An empty folder of the viewer that somebody moved to another disk and linked."""
    (root / "srv/viewer").mkdir(parents=True)
    (root / "var/lib/viewer").symlink_to("../../srv/viewer")
    listed(root, "/var", "/var/lib", "/var/lib/viewer")


def test_a_link_that_no_package_explains_is_not_packed(root, moved, tmp_path):
    with pytest.raises(
        PatchingError, match="/var/lib/viewer is a link to the folder /srv/viewer, which is no package's"
    ):
        repack(root, tmp_path / "again.deb")


def test_a_folder_that_was_moved_and_linked_stays_a_folder(root, moved, tmp_path):
    (root / "var/lib/dpkg/info/other.list").write_text("/var/lib/viewer\n/var/lib/viewer/plugin\n")
    again = repack(root, tmp_path / "again.deb")
    assert ("drwxr-xr-x", "root/root", "0", "./var/lib/viewer/") in contents(again)


def test_a_link_that_the_package_brought_stays_a_link(root, installed, tmp_path):
    (root / "usr/share/doc/alias").symlink_to("viewer")
    listed(root, "/usr/share/doc/alias")
    again = repack(root, tmp_path / "again.deb")
    assert "./usr/share/doc/alias -> viewer" in {path for _mode, _owner, _size, path in contents(again)}


def test_what_this_host_never_installs_may_be_missing(root, installed, tmp_path):
    """The patterns are dpkg's own; of several the last decides."""
    configuration = root / "etc/dpkg/dpkg.cfg.d"
    configuration.mkdir(parents=True)
    (configuration / "small").write_text("# path-exclude=/lib/*\npath-exclude /lib/systemd/*\n")
    (root / "lib/systemd/viewer.service").unlink()
    again = repack(root, tmp_path / "again.deb")
    assert not any("viewer.service" in path for _mode, _owner, _size, path in contents(again))
    (root / "etc/dpkg/dpkg.cfg").write_text("path-include=/lib/systemd/*.service\n")
    with pytest.raises(PatchingError, match=r"/lib/systemd/viewer\.service is missing"):
        repack(root, tmp_path / "again.deb")


def test_several_names_of_one_file_are_packed_once(root, installed, tmp_path):
    os.link(str(root / "usr/lib/viewer/viewer"), str(root / "usr/lib/viewer/again"))
    listed(root, "/usr/lib/viewer/again")
    again = repack(root, tmp_path / "again.deb")
    paths = {path for _mode, _owner, _size, path in contents(again)}
    assert "./usr/lib/viewer/viewer link to ./usr/lib/viewer/again" in paths
    dpkg(root, "--unpack", str(again))
    assert os.stat(str(root / "usr/lib/viewer/again")).st_ino == os.stat(str(root / "usr/lib/viewer/viewer")).st_ino


def test_the_sites_own_owners_and_removed_configuration_stay_as_they_are(root, installed, tmp_path):
    """After an upgrade and the way back: dpkg-statoverride holds, and what was removed here stays removed."""
    program, setting = root / "usr/lib/viewer/viewer", root / "etc/viewer/viewer.ini"
    (root / "var/lib/dpkg/statoverride").write_text("daemon daemon 0750 /usr/lib/viewer/viewer\n")
    os.chown(str(program), 1, 1)
    program.chmod(0o750)
    setting.unlink()
    before = dpkg(root, "--verify", "viewer")
    again = repack(root, tmp_path / "again.deb")
    for deb in (build(tmp_path, "2", "vendor\n"), again):
        dpkg(root, "--force-downgrade", "--unpack", str(deb))
        (root / "var/lib/dpkg/info/viewer.postinst").unlink()  # it would need a shell in this root
        dpkg(root, "--configure", "viewer")
    found = program.stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o7777) == (1, 1, 0o750)
    assert program.read_text() == "version 1\n"
    assert not setting.exists()
    assert dpkg(root, "--verify", "viewer") == before


def test_one_architecture_of_several_is_packed_from_its_own_records(root, tmp_path):
    native = (
        subprocess.run(["dpkg", "--print-architecture"], check=True, stdout=subprocess.PIPE).stdout.decode().strip()
    )
    deb = build(tmp_path, "1", "vendor\n", "Architecture: {}\nMulti-Arch: same\n".format(native))
    dpkg(root, "--force-architecture", "--unpack", str(deb))
    _configured(root)
    assert (root / "var/lib/dpkg/info/viewer:{}.list".format(native)).exists()
    package = DpkgDatabase(str(root)).present()[("viewer", native)]
    Repacker(Runner(), str(root)).pack(package, str(tmp_path / "again.deb"))
    assert contents(tmp_path / "again.deb") == contents(deb)
    assert control(tmp_path / "again.deb") == control(deb)
