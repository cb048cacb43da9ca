# SPDX-License-Identifier: GPL-3.0-or-later
"""The other types: dpkg, rpm, flatpak and snap as doubles of their command lines, installers and pip for real."""

import hashlib
import os
import subprocess
import sys
import zipfile

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import EVERYTHING
from ansible_collections.hospital.patching.plugins.module_utils.runner import Result
from ansible_collections.hospital.patching.plugins.module_utils.third_party import registry
from ansible_collections.hospital.patching.plugins.module_utils.third_party.staging import way_back_lacks

OLD, NEW = "1" * 64, "2" * 64


@pytest.fixture
def vendor(tmp_path):
    """Return the entry of a version whose installer writes it to a file; a broken one writes half of it and fails."""
    place = tmp_path / "viewer/version"

    def entry(version, broken=False, **more):
        ends = "echo half > $1; exit 3" if broken else f"mkdir -p $(dirname $1); echo 'v{version}' > $1"
        source = tmp_path / f"setup-{version}"
        source.write_text(f'#!/bin/sh\n[ "$2" = --silent ] || exit 9\n{ends}\n')
        return {
            "name": "viewer",
            "type": "installer",
            "version": version,
            "source": str(source),
            "sha256": hashlib.sha256(source.read_bytes()).hexdigest(),
            "detect": {"file": str(place), "pattern": "v([0-9]+)"},
            "install": ["{file}", str(place), "--silent"],
            "uninstall": ["rm", str(place)],
            **more,
        }

    entry.place = place
    return entry


def test_a_vendors_installer_goes_forth_and_back_by_the_kept_installer(night, vendor):
    night.to(vendor("1"))
    staged = night.stage(vendor("2"))
    assert staged["preserved"][0]["sha256"] == vendor("1")["sha256"]
    night.install(staged["transaction"])
    assert vendor.place.read_text() == "v2\n"
    night.rollback(staged["transaction"])
    assert vendor.place.read_text() == "v1\n"


def test_what_was_installed_by_hand_has_no_way_back_unless_the_entry_names_one(night, vendor):
    vendor.place.parent.mkdir()
    vendor.place.write_text("v1\n")
    assert night.stage(vendor("2"))["not_preserved"] == [
        {"name": "viewer", "arch": "any", "version": "1", "reason": "its file is not kept on the host"}
    ]
    previous = {key: vendor("1")[key] for key in ("version", "source", "sha256")}
    assert night.stage(vendor("2", previous=previous))["not_preserved"] == []
    without = {key: value for key, value in vendor("2").items() if key != "uninstall"}
    vendor.place.unlink()
    assert night.stage(without)["not_preserved"][0]["reason"] == "it has no command to uninstall it"


def test_a_vendors_installer_that_breaks_off_is_told_and_taken_back(night, vendor):
    night.to(vendor("1"))
    todo = night.stage(vendor("2", broken=True))["transaction"]
    with pytest.raises(PatchingError, match="exit 3"):
        night.install(todo)
    vendor.place.unlink()  # a half-done version may be no version
    night.rollback(todo)
    assert vendor.place.read_text() == "v1\n"


@pytest.mark.parametrize("more", [{}, {"uninstall_first": True}])
def test_a_broken_version_that_does_not_say_which_it_is_keeps_nothing_from_going_back(night, vendor, more):
    night.to(vendor("1", **more))
    todo = night.with_a_package(night.stage(vendor("2", broken=True, **more))["transaction"])
    with pytest.raises(PatchingError, match="exit 3"):
        night.install(todo)
    assert vendor.place.read_text() == "half\n"
    night.rollback(todo)
    assert vendor.place.read_text() == "v1\n"
    assert night.packages.asked[-1] == ("rollback", [])


def test_an_entry_that_cannot_go_back_is_told_after_the_rest_went_back(night, vendor, tmp_path):
    viewer = tmp_path / f"viewer{os.getpid()}"  # another run of this test beside this one has another name
    viewer.symlink_to("/bin/sleep")
    night.to(vendor("1", not_running=[viewer.name]))
    todo = night.with_a_package(night.stage(vendor("2", not_running=[viewer.name]))["transaction"])
    night.install(todo)
    sleeper = subprocess.Popen([viewer, "60"])
    try:
        with pytest.raises(PatchingError, match=r"running: .* everything else was put back"):
            night.rollback(todo)
        assert night.packages.asked[-1] == ("rollback", [])
        assert night.packages.journal.read()[-1]["event"] == "failed"
        with pytest.raises(PatchingError, match="nothing was changed"):
            night.rollback(todo, ["viewer"])
    finally:
        sleeper.kill()
        sleeper.wait()
    night.rollback(todo)
    assert vendor.place.read_text() == "v1\n"


def test_an_entry_whose_way_back_fails_keeps_no_other_from_going_back(night, vendor, java, tmp_path):
    night.to(java("17.0.1"), vendor("1"))
    todo = night.to(java("17.0.2"), vendor("2"))
    (kept,) = tmp_path.glob("state/software/viewer/1/file")
    kept.write_text("#!/bin/sh\nexit 3\n")
    with pytest.raises(PatchingError, match=r"exit 3.* everything else was put back"):
        night.rollback(todo)  # the software in reverse, so the viewer is the first
    assert os.path.basename(os.readlink(str(tmp_path / "java/current"))) == "17.0.1"
    assert night.packages.journal.read()[-1]["event"] == "failed"


class CommandLine:
    """A double: answers by what a command's words contain, and remembers what it was asked."""

    def __init__(self, **answers):
        self.answers = answers
        self.ran = []

    def run(self, args, **_options):
        self.ran.append(" ".join(args))
        for words, (status, text) in self.answers.items():
            if words.replace("_", " ") in self.ran[-1]:
                return Result(args, status, *(("", text) if status else (text, "")))
        return Result(args, 0, "", "")


def built(host, runner, **spec):
    return registry.build(host._replace(runner=runner), {"absent": False, **spec})


def test_a_flatpak_is_pulled_before_and_deployed_without_a_network(host):
    runner = CommandLine(show_commit=(0, OLD + "\n"), **{"--show-commit": (0, OLD + "\n")})
    one = built(host, runner, name="viewer", type="flatpak", application="org.v.Viewer", version=NEW)
    assert one.installed() == OLD
    one.stage(NEW, "")
    one.become(NEW)
    assert "--no-deploy" in runner.ran[1]
    assert "--no-pull" in runner.ran[2]
    assert all(f"--commit={NEW} org.v.Viewer" in said for said in runner.ran[1:])


#: `snap list hello` of snapd 2.57, as its manual shows it.
SNAP_LIST = """Name   Version  Rev  Tracking       Publisher   Notes
hello  2.10     42   latest/stable  canonical*  -
"""
#: What they say where nothing is installed (snapd's cmd_list.go, flatpak's flatpak-dir.c), and where they cannot tell.
NO_SNAP = "error: no matching snaps installed\n"
NO_FLATPAK = "error: org.v.Viewer/*unspecified*/*unspecified* not installed\n"
NO_SNAPD = "error: cannot communicate with server: Get http://localhost/v2/snaps: no such file\n"


def test_a_snap_is_installed_from_its_file_and_reverted(host, tmp_path):
    runner = CommandLine(snap_list=(0, SNAP_LIST))
    one = built(host, runner, name="hello", type="snap", version="43")
    assert one.installed() == "42"
    assert "hello_43.snap is missing" in one.lacking("43")
    one.stage("43", "")
    file = tmp_path / "state/software/hello/43/hello_43.snap"
    file.touch()
    assert one.lacking("43") is None
    one.become("43")
    one.become("42")
    assert runner.ran[-2:] == [f"snap install {file}", "snap revert --revision=42 hello"]


@pytest.mark.parametrize(
    ("entry", "answers", "version"),
    [
        ({"type": "snap", "name": "hello"}, {"snap_list": (0, SNAP_LIST)}, "42"),
        (
            {"type": "flatpak", "name": "viewer", "application": "org.v.Viewer"},
            {"--show-commit": (0, OLD + "\n")},
            OLD,
        ),
    ],
)
def test_a_snap_or_flatpak_that_is_removed_is_not_called_preserved(night, entry, answers, version):
    runner = CommandLine(**answers)
    night.packages.host = night.packages.host._replace(runner=runner)
    staged = night.stage(dict(entry, absent=True))
    assert staged["preserved"] == []
    (lost,) = staged["not_preserved"]
    assert (lost["name"], lost["version"]) == (entry["name"], version)
    assert "removed" in lost["reason"]
    assert way_back_lacks(night.packages.host, staged["transaction"]["entries"][0]) == lost["reason"]
    runner.answers = {" list ": (1, NO_SNAP), " info ": (1, NO_FLATPAK)}  # it is gone
    with pytest.raises(PatchingError, match=r"removed; .* use the snapshot"):
        night.rollback(staged["transaction"])


#: By rpm 4.18, whose database was overwritten; the last line on stdout, as where nothing is installed.
BROKEN_RPMDB = """error: sqlite failure: CREATE TABLE IF NOT EXISTS 'Packages': file is not a database
error: cannot open Packages index using sqlite - No such file or directory (2)
error: cannot open Packages database in /var/lib/rpm
package viewer is not installed
"""
VIEWER_OF = {
    "rpm": {"name": "viewer", "type": "rpm", "version": "2-1"},
    "snap": {"name": "viewer", "type": "snap", "version": "43"},
    "flatpak": {"name": "viewer", "type": "flatpak", "application": "org.v.Viewer", "version": NEW},
}


@pytest.mark.parametrize(
    ("kind", "absent", "untold"),
    [
        ("rpm", (1, "package viewer is not installed\n"), (1, BROKEN_RPMDB)),
        ("snap", (1, NO_SNAP), (1, NO_SNAPD)),
        ("snap", (1, NO_SNAP), (0, "")),
        ("flatpak", (1, NO_FLATPAK), (1, "error: While opening repository /var/lib/flatpak/repo: not a repository\n")),
        ("flatpak", (1, NO_FLATPAK), (0, "")),
    ],
)
def test_only_what_is_said_to_be_absent_is_taken_for_absent(host, kind, absent, untold):
    assert built(host, CommandLine(**{" ": absent}), **VIEWER_OF[kind]).installed() is None
    with pytest.raises(PatchingError, match=r"software viewer: .* ended with"):
        built(host, CommandLine(**{" ": untold}), **VIEWER_OF[kind]).installed()


def test_a_deb_that_dpkg_left_half_done_is_neither_installed_nor_absent(host):
    status = os.path.join(host.root, "var/lib/dpkg/status")
    os.makedirs(os.path.dirname(status))
    text = "Package: viewer\nStatus: install ok {}\nArchitecture: all\nVersion: 2\n\n"
    one = built(host, CommandLine(), name="viewer", type="deb", version="2")
    for state, version in (("installed", "2"), ("triggers-pending", "2"), ("config-files", None)):
        with open(status, "w", encoding="utf-8") as handle:
            handle.write(text.format(state))
        assert one.installed() == version
    with open(status, "w", encoding="utf-8") as handle:
        handle.write(text.format("half-configured"))
    with pytest.raises(PatchingError, match="viewer is half-configured"):
        one.installed()


@pytest.mark.parametrize("how", ["file", "command"])
def test_a_detection_whose_optional_group_matched_nothing_is_not_taken_for_absent(night, vendor, how):
    night.to(vendor("1"))
    vendor.place.write_text("v\n")
    detect = {"file": str(vendor.place)} if how == "file" else {"command": ["cat", str(vendor.place)]}
    entry = vendor("2", detect=dict(detect, pattern="v([0-9]+)?"))
    found = night.joined(entry).pending(EVERYTHING)
    assert found["updates"] == []
    assert "software viewer: " in found["problems"][0]
    assert "not tell a version" in found["problems"][0]
    gone = {key: value for key, value in entry.items() if key not in ("version", "source", "sha256")}
    assert night.joined(dict(gone, absent=True)).pending(EVERYTHING)["updates"] == []
    vendor.place.write_text("v1\n")
    todo = night.stage(entry)["transaction"]
    vendor.place.write_text("v\n")
    with pytest.raises(PatchingError, match=r"software viewer: .*not tell a version"):
        night.install(todo)
    assert night.joined().verify(todo, "from", [])["verdict"] == "failed"


def test_an_rpm_file_has_to_be_what_its_entry_says(host):
    runner = CommandLine(**{"-qp": (0, "viewer 0:2-1"), "-q ": (0, "0:1-1\n")})
    one = built(host, runner, name="viewer", type="rpm", version="2-1")
    assert one.installed() == "1-1"
    one.rehearse("2-1", "/srv/file")
    assert "--test" in runner.ran[-1]
    with pytest.raises(PatchingError, match="viewer 0:2-1; expected viewer 3-1"):
        one.rehearse("3-1", "/srv/file")


#: `apt-get -s install ./viewer.deb` of apt 2.6, where another package would go.
SIMULATED = "Inst viewer [1] (2 local-deb [all])\nRemv pacs-client [7]\nConf viewer (2 local-deb [all])\n"


def test_a_deb_file_that_would_change_other_packages_is_refused(host, tmp_path):
    runner = CommandLine(**{"-f": (0, "Package: viewer\nVersion: 2\n"), "-s -q": (0, SIMULATED)})
    one = built(host, runner, name="viewer", type="deb", version="2")
    (tmp_path / "file").touch()
    with pytest.raises(PatchingError, match="it would also change pacs-client"):
        one.rehearse("2", str(tmp_path / "file"))


@pytest.fixture
def wheelhouse(make_archive, tmp_path):
    """Return the archive of one wheel whose program prints its version, made by hand as PEP 427 says."""

    def make(version):
        wheel = tmp_path / f"tool-{version}-py3-none-any.whl"
        info = f"tool-{version}.dist-info"
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr("tool.py", f"def main():\n    print('{version}')\n")
            archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: tool\nVersion: {version}\n")
            archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            archive.writestr(f"{info}/entry_points.txt", "[console_scripts]\ntool = tool:main\n")
            archive.writestr(f"{info}/RECORD", "")
        path = tmp_path / f"wheels-{version}.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.write(wheel, wheel.name)
        return str(path), hashlib.sha256(path.read_bytes()).hexdigest()

    return make


@pytest.mark.slow
def test_a_python_environment_is_made_beside_and_switched_to(night, wheelhouse, tmp_path):
    def tool(version):
        source, sha256 = wheelhouse(version)
        return {
            "name": "tool",
            "type": "pip",
            "version": version,
            "source": source,
            "sha256": sha256,
            "root": str(tmp_path / "tool"),
            "link": str(tmp_path / "tool/current"),
            "python": sys.executable,
            "probe": {"command": ["bin/tool"], "pattern": "^{version}$"},
        }

    def says():
        command = [str(tmp_path / "tool/current/bin/tool")]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, universal_newlines=True).stdout

    night.to(tool("1.0"))
    todo = night.stage(tool("2.0"))["transaction"]
    assert says() == "1.0\n"
    night.install(todo)
    assert says() == "2.0\n"
    night.rollback(todo)
    assert says() == "1.0\n"
    with pytest.raises(PatchingError, match="No matching distribution"):
        night.stage(dict(tool("2.0"), version="3.0"))
    assert not (tmp_path / "tool/3.0").exists()
