# SPDX-License-Identifier: GPL-3.0-or-later
"""What dpkg and apt have recorded, fed with the files of a Debian 12 host."""

import os
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.hospital.patching.plugins.module_utils import deb822
from ansible_collections.hospital.patching.plugins.module_utils.dpkg_database import (
    DpkgDatabase,
    holds,
    native_architecture,
    parse_extended_states,
    parse_status,
)
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError

RECORDED = os.path.join(os.path.dirname(__file__), "recorded")


def recorded(name):
    with open(os.path.join(RECORDED, name), encoding="utf-8") as handle:
        return handle.read()


@pytest.fixture
def root(tmp_path):
    (tmp_path / "var/lib/dpkg/updates").mkdir(parents=True)
    (tmp_path / "var/lib/dpkg/info").mkdir()
    (tmp_path / "var/lib/apt").mkdir()
    shutil.copy(os.path.join(RECORDED, "dpkg_status.txt"), str(tmp_path / "var/lib/dpkg/status"))
    shutil.copy(os.path.join(RECORDED, "apt_extended_states.txt"), str(tmp_path / "var/lib/apt/extended_states"))
    return tmp_path


def edit(root, old, new):
    path = root / "var/lib/dpkg/status"
    path.write_text(path.read_text().replace(old, new))


def test_all_packages_are_read(root):
    present = DpkgDatabase(str(root)).present()
    assert sorted(name for name, _arch in present) == ["bash", "dpkg", "libc6", "libssl3", "openssl", "tzdata"]
    package = present[("libssl3", "amd64")]
    assert (package.version, package.status, package.want) == ("3.0.20-1~deb12u2", "installed", "install")
    assert (package.source, package.source_version) == ("openssl", "3.0.20-1~deb12u2")
    assert package.installed_bytes > 1024
    assert present[("bash", "amd64")].source_version == "5.2.15-2"


def test_marks_by_architecture(root):
    database = DpkgDatabase(str(root))
    present = database.present()
    assert native_architecture(present) == "amd64"
    assert database.automatic(present) == ["libssl3:amd64", "openssl:amd64"]


def test_a_package_for_all_architectures_is_marked_under_the_native_one(root):
    with (root / "var/lib/apt/extended_states").open("a") as handle:
        handle.write("Package: tzdata\nArchitecture: amd64\nAuto-Installed: 1\n\n")
    database = DpkgDatabase(str(root))
    assert "tzdata:all" in database.automatic(database.present())


def test_manual_packages_may_be_listed_too():
    assert parse_extended_states("Package: a\nArchitecture: amd64\nAuto-Installed: 0\n") == set()


def test_holds(root):
    edit(root, "Package: bash\nEssential: yes\nStatus: install", "Package: bash\nEssential: yes\nStatus: hold")
    assert holds(DpkgDatabase(str(root)).present()) == ["bash:amd64"]


def test_a_whole_host_has_nothing_unfinished(root):
    database = DpkgDatabase(str(root))
    assert database.interrupted(database.present()) == []


def test_what_an_interruption_leaves(root):
    edit(root, "Package: tzdata\nStatus: install ok installed", "Package: tzdata\nStatus: install ok half-configured")
    (root / "var/lib/dpkg/updates/0001").write_text("")
    database = DpkgDatabase(str(root))
    assert database.interrupted(database.present()) == ["tzdata is half-configured", "1 records not merged"]


def test_a_removed_package_is_not_present(root):
    edit(root, "Package: tzdata\nStatus: install ok installed", "Package: tzdata\nStatus: deinstall ok config-files")
    database = DpkgDatabase(str(root))
    assert ("tzdata", "all") not in database.present()
    assert "tzdata" in [package.name for package in database.read()[0]]


def test_a_damaged_status_file_is_refused_but_read(root):
    edit(
        root,
        "Package: tzdata\nStatus: install ok installed",
        "Packa\udcffge tzdata\nStatus: inst".encode("utf-8", "replace").decode(),
    )
    database = DpkgDatabase(str(root))
    packages, problems = database.read()
    assert len(packages) == 5
    assert len(problems) == 1
    with pytest.raises(PatchingError, match="1 damaged paragraphs"):
        database.present()


def test_a_broken_encoding_is_no_traceback(root):
    path = root / "var/lib/dpkg/status"
    path.write_bytes(path.read_bytes().replace(b"GNU Bourne", b"\xff\xfe"))
    assert len(DpkgDatabase(str(root)).present()) == 6


def test_a_version_is_needed():
    packages, problems = parse_status("Package: a\nStatus: install ok installed\n")
    assert packages == []
    assert problems == ["a is installed without a version"]


def test_no_status_file(tmp_path):
    with pytest.raises(PatchingError, match="not readable"):
        DpkgDatabase(str(tmp_path)).read()


def test_files_of_a_package(root):
    (root / "var/lib/dpkg/info/libssl3:amd64.list").write_text("/.\n/usr/lib/x\n")
    (root / "var/lib/dpkg/info/tzdata.list").write_text("/usr/share/zoneinfo\n")
    database = DpkgDatabase(str(root))
    assert database.files("libssl3", "amd64") == ["/.", "/usr/lib/x"]
    assert database.files("tzdata", "all") == ["/usr/share/zoneinfo"]
    assert database.files("nothing", "all") == []


def test_removed_packages_as_dpkg_writes_them():
    packages, problems = parse_status(recorded("dpkg_status_removed.txt"))
    assert problems == []
    assert [(package.name, package.want, package.status, package.version) for package in packages] == [
        ("kept", "hold", "installed", "1:2.0-1"),
        ("removed", "deinstall", "config-files", "1:2.0-1"),
    ]
    assert (packages[0].source, packages[0].source_version) == ("src", "1.9")


FIELD = st.sampled_from(
    ["Package", "Status", "Version", "Architecture", "Source", "Installed-Size", "X-Package", "Pack"]
)
VALUE = st.sampled_from(
    ["a", "install ok installed", "hold ok config-files", "1:2", "b (3)", "7", "", "Package: x", "\xff"]
)
LINES = st.one_of(
    st.builds("{}: {}".format, FIELD, VALUE),
    st.builds("{}:{}".format, FIELD, VALUE),
    st.builds(" {}: {}".format, FIELD, VALUE),
    st.sampled_from(["rubbish", " .", "", "Status: install ok installed", "Package: a"]),
)


@given(st.lists(LINES, max_size=30))
def test_searching_fields_equals_splitting_paragraphs(lines):
    """Each paragraph with its first of a repeated field, by the slow parser."""
    text = "\n".join(lines)
    expected = []
    for fields in deb822.paragraphs("\n\n".join(_first_of_each(block) for block in text.split("\n\n"))):
        words = fields.get("Status", "").split()
        if fields.get("Package", "").split("\n")[0] and len(words) == 3:
            expected.append((fields["Package"], words[0], words[2], fields.get("Version", "")))
    found = [(package.name, package.want, package.status, package.version) for package in parse_status(text)[0]]
    assert found == [entry for entry in expected if entry[3] or entry[2] == "config-files"]


@given(st.binary(max_size=200), st.integers(0, 6000))
def test_rubbish_costs_at_most_the_paragraphs_that_it_meets(rubbish, place):
    text = recorded("dpkg_status.txt").encode("utf-8")
    packages, problems = parse_status((text[:place] + rubbish + text[place:]).decode("utf-8", "replace"))
    assert len(packages) + len(problems) >= 5


def _first_of_each(block):
    seen, kept = set(), []
    for line in block.split("\n"):
        name = line.partition(":")[0]
        if name not in seen and line[:1] != " ":
            kept.append(line)
        seen.add(name)
    return "\n".join(kept)


@pytest.mark.parametrize(("size", "expected"), [("7", 7168), ("", 0), ("-1", 0), ("\u0667", 0), ("9" * 5000, 0)])
def test_a_size_that_is_no_number(size, expected):
    text = "Package: a\nStatus: install ok installed\nVersion: 1\nInstalled-Size: {}\n".format(size)
    assert parse_status(text)[0][0].installed_bytes == expected


@pytest.mark.parametrize(
    ("text", "native"),
    [
        ("Package: dpkg\nArchitecture: arm64\n\nPackage: x\nArchitecture: all\n", "arm64"),
        ("Package: x\nArchitecture: all\n\nPackage: dpkg\nArchitecture: arm64", "arm64"),
        ("Package: dpkg-dev\nArchitecture: all\n", ""),
        ("Package: dpkg\n\nPackage: x\nArchitecture: all\n", ""),
        ("", ""),
    ],
)
def test_the_native_architecture_alone(root, text, native):
    (root / "var/lib/dpkg/status").write_text(text)
    assert DpkgDatabase(str(root)).native() == native


def test_when_a_package_was_unpacked(root):
    for name, seconds in (("libssl3:amd64.list", 1000), ("libssl3.list", 1), ("tzdata.list", 2000)):
        (root / "var/lib/dpkg/info" / name).write_text("")
        os.utime(str(root / "var/lib/dpkg/info" / name), (0, seconds))
    database = DpkgDatabase(str(root))
    assert database.written("libssl3", "amd64") == 1000
    assert database.written("tzdata", "all") == 2000
    assert database.written("nothing", "all") is None
    assert database.written("a\x00b", "all") is None
