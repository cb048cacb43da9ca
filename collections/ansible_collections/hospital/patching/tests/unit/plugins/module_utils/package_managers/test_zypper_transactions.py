# SPDX-License-Identifier: GPL-3.0-or-later
"""How zypper is asked for a transaction, what it answers, its marks and its lock."""

import os
import pathlib
import subprocess
import sys

import pytest

from ansible_collections.hospital.patching.plugins.module_utils import package_lock, zypp_history
from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import (
    rpm_scripts,
    zypper_install,
    zypper_lock,
    zypper_marks,
    zypper_repository,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import InstallRequest
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.rpm_installed import RpmInstalled
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.zypper_install import (
    ZypperTransaction,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.zypper_repository import (
    ZypperRepository,
)
from ansible_collections.hospital.patching.plugins.module_utils.rpm_database import RpmPackage
from ansible_collections.hospital.patching.plugins.module_utils.runner import Result, Runner


def package(name, version):
    return RpmPackage(name, 0, version, "1", "noarch", None, None, 1, 1)


INSTALLED = RpmInstalled(
    [package("hospital-forms", "3.0"), package("kernel-default", "1"), package("kernel-default", "2")]
)


def entry(name, old, new):
    return {"name": name, "arch": "noarch", "from": old, "to": new}


TODO = [
    entry("hospital-fonts", None, "1.0-1"),
    entry("hospital-forms", "3.0-1", "1:3.1-1"),
    entry("hospital-old", "1-1", None),
    entry("kernel-default", "2-1", "1-1"),
]


def test_what_zypper_is_asked_for():
    assert zypper_repository.specs(TODO, INSTALLED) == [
        "hospital-fonts.noarch=1.0-1",
        "hospital-forms.noarch=1:3.1-1",
        "!hospital-old.noarch=1-1",
        "!kernel-default.noarch=2-1",
    ]


STEPS = [
    ("hospital-fonts", "noarch", None, "1.0-1"),
    ("hospital-forms", "noarch", "3.0-1", "1:3.1-1"),
    ("hospital-old", "noarch", "1-1", None),
    ("kernel-default", "noarch", "2-1", None),
]


def test_the_same_steps_are_no_difference():
    assert zypper_repository.differences(TODO, STEPS, INSTALLED) == []


def test_more_and_less_are_told():
    found = STEPS[1:] + [("hospital-common", "noarch", "1.0-1", None), ("vim", "x86_64", None, "9-1")]
    assert zypper_repository.differences(TODO, found, INSTALLED) == [
        "zypper would also remove hospital-common:noarch",
        "zypper would also install vim:x86_64 9-1",
        "zypper would leave hospital-fonts:noarch alone",
    ]


class Zypper:
    """A zypper that answers with a recorded document."""

    def __init__(self, out, rc=0):
        self.out, self.rc, self.asked = out, rc, []

    def run(self, args, **_options):
        self.asked.append(args)
        return Result(args, self.rc, self.out, "")


def test_the_folder_is_all_that_zypper_sees(tmp_path, recorded):
    zypper = Zypper(recorded("zypper_update.xml"))
    folder = ZypperRepository(Host(zypper, Clock(), "/", str(tmp_path)), str(tmp_path / "stage"))
    folder.create()
    folder.index()
    steps = folder.would_do([TODO[1]], INSTALLED)
    assert ("alpha", "noarch", "1:1.0-1", "1:1.1-1") in steps
    definitions = tmp_path / "stage/zypper/repos.d"
    assert [path.name for path in definitions.iterdir()] == ["hospital-patching.repo"]
    assert "baseurl=dir://{}/stage/rpms\n".format(tmp_path) in (definitions / "hospital-patching.repo").read_text()
    for args in zypper.asked:
        assert args[args.index("--reposd-dir") + 1] == str(definitions)
    assert "--dry-run" in zypper.asked[-1]
    assert "--no-refresh" in zypper.asked[-1]


def test_a_transaction_that_cannot_be_resolved_says_why(tmp_path):
    answer = """<?xml version='1.0'?><stream><prompt id="1">
<description>Problem: hospital-viewer-1.0-1.noarch requires hospital-common, but this requirement cannot be provided
  deleted providers: hospital-common-1.0-1.noarch
 Solution 1: deinstallation of hospital-viewer-1.0-1.noarch
</description><text>Choose from above solutions by number or cancel</text></prompt></stream>"""
    folder = ZypperRepository(Host(Zypper(answer, rc=4), Clock(), "/", str(tmp_path)), str(tmp_path))
    with pytest.raises(PatchingError, match=r"^zypper install: Problem: hospital-viewer-1.0-1.noarch requires"):
        folder.would_do(TODO, INSTALLED)


def test_marks_are_written_as_libzypp_reads_them(tmp_path, recorded):
    path = tmp_path / zypper_marks.AUTOMATIC
    path.parent.mkdir(parents=True)
    path.write_text(recorded("zypp_auto_installed.txt"))
    before = zypp_history.automatic(str(tmp_path))
    zypper_marks.change(str(tmp_path), ["hospital-fonts"], [])
    assert zypp_history.automatic(str(tmp_path)) == before | {"hospital-fonts"}
    zypper_marks.change(str(tmp_path), [], ["hospital-fonts"])
    assert zypp_history.automatic(str(tmp_path)) == before
    assert path.read_text().split("\n")[0] == recorded("zypp_auto_installed.txt").split("\n")[0]
    assert (path.stat().st_mode & 0o777, sorted(os.listdir(str(path.parent)))) == (0o644, ["AutoInstalled"])


def test_a_host_without_marks_gets_them(tmp_path):
    zypper_marks.change(str(tmp_path), ["hospital-fonts"], [])
    assert zypp_history.automatic(str(tmp_path)) == {"hospital-fonts"}


class Impatient(Clock):
    """A clock on which each look takes a second and sleeping takes no time."""

    def __init__(self):
        self.now_s = 0

    def monotonic(self):
        self.now_s += 1
        return self.now_s

    def sleep(self, _seconds):
        return None


@pytest.fixture
def root(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "var/lib/rpm").mkdir(parents=True)
    (tmp_path / "var/lib/rpm/rpmdb.sqlite").write_text("")
    return tmp_path


def test_another_zypper_is_waited_for_and_named(root):
    # A program that calls itself zypper, and says when it has been started as a whole.
    other = subprocess.Popen(
        ["zypper", "-c", "print('here', flush=True); input()"],
        executable=sys.executable,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert other.stdout.readline() == b"here\n"
        (root / "run/zypp.pid").write_text("{}\n".format(other.pid))
        with pytest.raises(PatchingError, match=r"^/run/zypp.pid: held by process {} \(zypper -c".format(other.pid)):
            package_lock.wait_until_free(str(root), 3, Impatient(), zypper_lock.holders)
    finally:
        other.communicate(b"\n")
    package_lock.wait_until_free(str(root), 3, Impatient(), zypper_lock.holders)


@pytest.mark.parametrize("text", ["", "no number", "0", str(os.getpid()), "1"])
def test_a_number_that_is_nobodys_holds_nothing(root, text):
    (root / "run/zypp.pid").write_text(text)
    assert zypper_lock.holders(str(root)) == []


def test_rpm_itself_is_waited_for(root):
    lock = root / "var/lib/rpm/.rpm.lock"
    lock.write_text("")
    script = (
        "import fcntl,sys; f=open(sys.argv[1],'r+'); fcntl.lockf(f, fcntl.LOCK_EX); print('held', flush=True); input()"
    )
    other = subprocess.Popen([sys.executable, "-c", script, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert other.stdout.readline() == b"held\n"
        assert zypper_lock.holders(str(root)) == [("var/lib/rpm/.rpm.lock", other.pid)]
    finally:
        other.communicate(b"\n")
    assert zypper_lock.holders(str(root)) == []


@pytest.fixture
def work(tmp_path):
    host = Host(Runner(), Clock(), str(tmp_path), str(tmp_path / "state"))
    request = InstallRequest("20261126T010000Z-ab12cd34", {"digest": "sha256:" + "0" * 64}, 600, 60, False)
    folder = ZypperRepository(host, str(tmp_path / "stage"))
    folder.create()
    return ZypperTransaction(host, request, folder, str(tmp_path))


@pytest.mark.parametrize(("code", "seen"), [(0, None), (102, None), (103, None), (4, "exit 4"), (107, "exit 107")])
def test_what_a_reboot_is_owed_for_is_done(work, code, seen):
    asked = ["sh", "-c", zypper_install.COUNTED_AS_DONE, "zypper", "sh", "-c", "exit {}".format(code)]
    if seen is None:
        work.logged(asked, "zypper install")
        return
    with pytest.raises(PatchingError, match=r"^zypper install: " + seen):
        work.logged(asked, "zypper install")


def test_a_package_that_rpm_was_at_when_it_was_killed_is_installed_again(work):
    new = entry("hospital-forms", "2.0-1", "3.0-1")
    other = entry("hospital-fonts", None, "1.0-1")
    work.entries = [new, other]
    rpm_scripts.keep(work.record_dir, rpm_scripts.begun(work.entries))
    # What did not arrive has no scripts to make up for.
    assert work.interrupted(INSTALLED) == ["hospital-forms"]


def test_a_script_that_failed_is_kept_until_it_ends_well(work):
    new = entry("hospital-forms", "2.0-1", "3.0-1")
    work.entries = [new]
    said = "echo 'warning: %post(hospital-forms-3.0-1.noarch) scriptlet failed, exit status 3'"
    with pytest.raises(PatchingError, match=r"%post of hospital-forms-3.0-1.noarch failed \(exit status 3\)"):
        work.watched(["sh", "-c", said], "zypper install", [new])
    assert work.interrupted(INSTALLED) == ["hospital-forms"]
    work.watched(["true"], "rpm --upgrade --replacepkgs", [new])
    assert work.interrupted(INSTALLED) == []


def test_only_what_arrived_is_installed_again_and_a_kernel_beside_the_older_ones(work, monkeypatch):
    forms, kernel = entry("hospital-forms", "2.0-1", "3.0-1"), entry("kernel-default", "1-1", "2-1")
    work.entries = [forms, kernel, entry("hospital-fonts", None, "1.0-1")]
    work.look = lambda: INSTALLED
    work.folder.check = lambda _entries: None
    rpm_scripts.keep(work.record_dir, rpm_scripts.begun(work.entries))
    asked, noted = [], []

    def logged(command, _name):
        asked.append([os.path.basename(word) for word in command])
        noted.append([item["package"] for item in rpm_scripts.kept(work.record_dir)])

    pathlib.Path(work.record_dir, "install.log").touch()
    monkeypatch.setattr(work, "logged", logged)
    work.repair()
    paths = [os.path.basename(work.folder.path(one["name"], one["to"], one["arch"])) for one in (kernel, forms)]
    assert asked == [
        ["rpm", "--install", "--replacepkgs", "--nosignature", paths[0]],
        ["rpm", "--upgrade", "--replacepkgs", "--oldpackage", "--nosignature", paths[1]],
    ]
    assert noted == [["kernel-default-2-1.noarch", "hospital-forms-3.0-1.noarch"], ["hospital-forms-3.0-1.noarch"]]
    assert rpm_scripts.kept(work.record_dir) == []


def test_a_package_that_changed_beside_the_transaction_is_told(work):
    work.look = lambda: RpmInstalled([package("hospital-forms", "3.1"), package("kernel-default", "2")])
    with pytest.raises(PatchingError, match=r"kernel-default:noarch 1-1 was changed as well"):
        work.refuse_more(INSTALLED, [entry("hospital-forms", "3.0-1", "3.1-1")])
