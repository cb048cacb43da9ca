# SPDX-License-Identifier: GPL-3.0-or-later
"""Packing an installed rpm again, with the real rpm under a root of its own."""

import os
import shutil
import subprocess

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import rpm_header, rpm_repack
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.rpm_repack import Repacker
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner

pytestmark = pytest.mark.skipif(
    not (shutil.which("rpmbuild") and shutil.which("rpmdb") and os.getuid() == 0),
    reason="needs rpm and rpmbuild, and root for a root of its own",
)

#: Scripts are Lua, which rpm runs by itself: the root has no shell.
SPEC = """
Name: viewer
Version: {version}
Release: 1
Epoch: 2
Summary: a viewer
License: GPL-3.0-or-later
AutoReqProv: no
Provides: images = 3
%description
a viewer of images
%install
cd %{{buildroot}}
mkdir -p etc/viewer usr/lib/viewer usr/share/doc/viewer
echo 'kept {version}' > etc/viewer/kept
echo 'saved {version}' > etc/viewer/saved
echo same > etc/viewer/same
echo 'program {version}' > usr/lib/viewer/program
ln usr/lib/viewer/program usr/lib/viewer/again
ln -s program usr/lib/viewer/link
echo state > usr/lib/viewer/state
echo 'documents' > usr/share/doc/viewer/README
%files
%config(noreplace) /etc/viewer/kept
%config /etc/viewer/saved
%config /etc/viewer/same
%dir %attr(2750,root,root) /usr/lib/viewer
%attr(4755,root,root) /usr/lib/viewer/program
%attr(4755,root,root) /usr/lib/viewer/again
/usr/lib/viewer/link
%caps(cap_net_raw=ep) %verify(not filedigest) /usr/lib/viewer/state
%doc /usr/share/doc/viewer/README
%ghost /usr/lib/viewer/cache
%post -p <lua>
print("installed")
%triggerin -p <lua> -- other
print("triggered")
%transfiletriggerin -p <lua> -- /usr/share/none
print("triggered by a file")
"""
PACKAGE = ("viewer", "x86_64", "2:1-1")
PROGRAM = "usr/lib/viewer/program"


def run(*command):
    return subprocess.run(
        [str(word) for word in command], check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ).stdout.decode()


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Versions 1 and 2 of a package."""
    work = tmp_path_factory.mktemp("built")
    specs = []
    for version in ("1", "2"):
        specs.append(work / "{}.spec".format(version))
        specs[-1].write_text(SPEC.format(version=version))
    options = {"_topdir": work, "_dbpath": work / "db", "__os_install_post": "%{nil}", "_build_id_links": "none"}
    defines = [word for item in options.items() for word in ("--define", "{} {}".format(*item))]
    run("rpmbuild", "-bb", "--quiet", "--target", "x86_64", *defines, *specs)
    return {version: work / "RPMS/x86_64/viewer-{}-1.x86_64.rpm".format(version) for version in ("1", "2")}


class Host:
    """A root with an rpm database."""

    def __init__(self, root):
        self.root = root
        (root / "var/lib/rpm").mkdir(parents=True)

    def rpm(self, *arguments):
        return run("rpm", "--root", self.root, "--dbpath", "/var/lib/rpm", "--nosignature", *arguments)

    def differs(self):
        command = ["rpm", "--root", str(self.root), "--dbpath", "/var/lib/rpm", "-V", "viewer"]
        found = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False).stdout
        return found.decode().split("\n")[:-1]

    def repack(self, target):
        Repacker(Runner(), str(self.root)).repack(*PACKAGE, str(target))
        return target

    def text(self, name):
        return (self.root / name).read_text().strip()


@pytest.fixture
def host(tmp_path, built):
    """A host with version 1."""
    host = Host(tmp_path / "root")
    host.rpm("-U", built["1"])
    return host


def test_what_is_packed_again_is_the_package(tmp_path, built, host):
    again = host.repack(tmp_path / "again.rpm")
    checked = run("rpm", "-Kv", "--nosignature", again).split("\n")
    assert [line.strip() for line in checked if "digest" in line] == [
        "Header SHA256 digest: OK",
        "Payload SHA256 digest: OK",
    ]
    asked = ("--dump", "--scripts", "--triggers", "--filetriggers", "--provides", "--requires", "--filecaps", "--info")
    for question in asked:
        assert run("rpm", "-qp", question, again) == run("rpm", "-qp", question, built["1"])
    host.rpm("-U", built["2"])
    assert host.text(PROGRAM) == "program 2"
    host.rpm("-U", "--oldpackage", again)
    assert host.rpm("-q", "viewer").strip() == "viewer-1-1.x86_64"
    assert host.differs() == []
    assert host.text(PROGRAM) == "program 1"
    program = (host.root / PROGRAM).stat()
    assert (program.st_nlink, program.st_mode & 0o7777) == (2, 0o4755)
    assert os.readlink(str(host.root / "usr/lib/viewer/link")) == "program"


def test_the_hosts_own_text_stays_and_rpm_still_knows_the_vendors(tmp_path, built, host):
    for name in ("kept", "saved", "same"):
        (host.root / "etc/viewer" / name).write_text("ours\n")
    vendors = run("rpm", "-qp", "--qf", "[%{FILENAMES} %{FILEDIGESTS}\n]", built["1"])
    again = host.repack(tmp_path / "again.rpm")
    host.rpm("-U", built["2"])
    os.rename(str(host.root / "etc/viewer/saved.rpmsave"), str(host.root / "etc/viewer/saved"))
    host.rpm("-U", "--oldpackage", again)
    assert {host.text("etc/viewer/" + name) for name in ("kept", "saved", "same")} == {"ours"}
    assert host.rpm("-q", "--qf", "[%{FILENAMES} %{FILEDIGESTS}\n]", "viewer") == vendors
    assert host.differs() == []
    # A later update takes it for the host's, and leaves it alone or beside the vendor's.
    for name in ("kept", "saved", "same"):
        (host.root / "etc/viewer" / name).write_text("ours\n")
    host.rpm("-U", built["2"])
    assert (host.text("etc/viewer/kept"), host.text("etc/viewer/kept.rpmnew")) == ("ours", "kept 2")
    assert (host.text("etc/viewer/saved"), host.text("etc/viewer/saved.rpmsave")) == ("saved 2", "ours")
    assert host.text("etc/viewer/same") == "ours"


def test_documents_and_what_may_change_are_left_out(tmp_path, built, host):
    os.unlink(str(host.root / "usr/share/doc/viewer/README"))
    (host.root / "usr/lib/viewer/state").write_text("another state\n")
    again = host.repack(tmp_path / "again.rpm")
    host.rpm("-U", built["2"])
    host.rpm("-U", "--oldpackage", again)
    assert host.differs() == []


def test_files_of_which_the_header_alone_knows_the_size(tmp_path, built, host):
    """Packages with files of 4 GiB have another payload; a small one in that form stands for them."""
    exported = ["rpmdb", "--dbpath", str(host.root / "var/lib/rpm"), "--exportdb"]
    entries, _added = rpm_header.parse(subprocess.run(exported, stdout=subprocess.PIPE, check=True).stdout)
    sizes = rpm_header.numbers_of(rpm_header.by_tag(entries)[rpm_repack.FILE_SIZES])
    long = rpm_header.integers(rpm_repack.LONG_FILE_SIZES, sizes, rpm_header.INT64)
    kept = [entry for entry in entries if entry.tag != rpm_repack.FILE_SIZES]
    large = rpm_header.build(sorted(kept + [long], key=lambda entry: entry.tag), rpm_header.IMMUTABLE)
    rpm_repack._Package("viewer", str(host.root), large).write(str(tmp_path), str(tmp_path / "large.rpm"))
    host.rpm("-e", "viewer")
    host.rpm("-U", tmp_path / "large.rpm")
    assert host.text("usr/lib/viewer/again") == "program 1"
    assert host.differs() == []


@pytest.mark.parametrize("name", [PROGRAM, "usr/lib/viewer/link"])
def test_a_changed_program_is_refused(tmp_path, host, name):
    os.unlink(str(host.root / name))
    (host.root / name).write_text("program 3\n")
    if name == PROGRAM:
        (host.root / "usr/lib/viewer/again").write_text("program 3\n")
    refusal = r"^viewer 2:1-1.x86_64: /usr/lib/viewer/\w+ is not as the package brought it.*Next: reinstall it"
    with pytest.raises(PatchingError, match=refusal):
        host.repack(tmp_path / "again.rpm")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["root"]


@pytest.mark.parametrize("name", ["usr/lib/viewer/state", "usr/lib/viewer/link"])
def test_a_missing_file_is_refused_unless_it_may_be_anything(tmp_path, host, name):
    os.unlink(str(host.root / name))
    if name.endswith("state"):
        assert host.repack(tmp_path / "again.rpm").exists()
        return
    with pytest.raises(PatchingError, match=r"^viewer 2:1-1.x86_64: /usr/lib/viewer/link is missing"):
        host.repack(tmp_path / "again.rpm")


def test_one_of_two_hard_links_is_enough(tmp_path, host):
    os.unlink(str(host.root / PROGRAM))
    again = host.repack(tmp_path / "again.rpm")
    host.rpm("-U", "--replacepkgs", again)
    assert (host.differs(), host.text(PROGRAM)) == ([], "program 1")


def test_another_version_is_not_packed(tmp_path, host):
    with pytest.raises(PatchingError, match=r"^viewer 2:9-1.x86_64: rpm's database does not have it"):
        Repacker(Runner(), str(host.root)).repack("viewer", "x86_64", "2:9-1", str(tmp_path / "again.rpm"))


class WithoutExport(Runner):
    """A host whose rpm is too old for ``rpmdb --exportdb``."""

    def stream(self, args, timeout_s=300):
        return super().stream(["false"], timeout_s)


def test_a_host_whose_headers_cannot_be_read_is_told(tmp_path, host):
    with pytest.raises(PatchingError, match=r"no Python of the system has rpm's bindings \(python3-rpm\).*exportdb"):
        Repacker(WithoutExport(), str(host.root)).repack(*PACKAGE, str(tmp_path / "again.rpm"))


@pytest.mark.parametrize(
    ("damage", "seen"),
    [
        (lambda blob: blob[:40], "damaged header"),
        (lambda blob: blob.replace(b"\0\0\0\x3f\0\0\0\x07", b"\0\0\0\x3d\0\0\0\x07", 1), "no immutable region"),
        (lambda blob: blob[:36] + b"\x7f" + blob[37:], "damaged header"),
        (lambda blob: blob[:44] + b"\x7f" + blob[45:], "damaged header"),
    ],
)
def test_a_damaged_header_is_refused(damage, seen):
    entry = rpm_header.strings(1000, [b"viewer"], rpm_header.STRING)
    whole = rpm_header.build([entry], rpm_header.IMMUTABLE)
    assert rpm_header.parse(whole) == ([entry], [])
    with pytest.raises(ValueError, match=seen):
        rpm_header.parse(damage(whole))
