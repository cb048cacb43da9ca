# SPDX-License-Identifier: GPL-3.0-or-later
"""What installing exactly needs to know of rpm: what is installed, which scripts failed, whose configuration it is."""

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import (
    rpm_config,
    rpm_scripts,
    rpm_verify,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.rpm_installed import (
    RpmInstalled,
    RpmMarks,
)
from ansible_collections.hospital.patching.plugins.module_utils.rpm_database import RpmPackage
from ansible_collections.hospital.patching.plugins.module_utils.runner import Result


def package(name, version, arch="x86_64", epoch=0, installed_s=100):
    return RpmPackage(name, epoch, version, "1", arch, None, None, 1, installed_s)


def entry(name, old, new, arch="x86_64"):
    return {"name": name, "arch": arch, "from": old, "to": new}


INSTALLED = RpmInstalled(
    [
        package("gpg-pubkey", "53535bd7", arch=None),
        package("viewer", "1.0"),
        package("twice", "1.0"),
        package("twice", "1.1"),
        package("kernel-default", "6.4"),
        package("kernel-default", "6.10"),
        package("fonts", "2.0", arch="noarch", epoch=1),
        package("libc", "2.0"),
        package("libc", "2.0", arch="i686"),
    ]
)


@pytest.mark.parametrize(
    ("asked", "version", "broken"),
    [
        (entry("viewer", "1.0-1", "1.1-1"), "1.0-1", False),
        (entry("viewer", "0.9-1", "1.0-1"), "1.0-1", False),
        (entry("viewer", "0.8-1", "0.9-1"), "1.0-1", False),
        (entry("nothing", None, "1.0-1"), None, False),
        # What a killed rpm leaves is still to do, there and back; a kernel is done when the new one is there.
        (entry("twice", "1.0-1", "1.1-1"), "1.1-1", True),
        (entry("twice", "1.1-1", "1.0-1"), "1.1-1", False),
        (entry("kernel-default", "6.4-1", "6.10-1"), "6.10-1", False),
        (entry("kernel-default", "6.10-1", "6.4-1"), "6.10-1", False),
        # A package that becomes one for every architecture, or of the other architecture of two.
        (entry("fonts", "1:2.0-1", "1:2.1-1", arch="x86_64"), "1:2.0-1", False),
        (entry("libc", "2.0-1", "2.1-1", arch="i686"), "2.0-1", False),
        (entry("libc", "2.0-1", "2.1-1", arch="s390x"), None, False),
    ],
)
def test_what_an_entry_is_about(asked, version, broken):
    found = INSTALLED.find(asked)
    assert (found and found.version, bool(found and found.broken)) == (version, broken)


def test_marks_and_locks_are_of_names(tmp_path):
    (tmp_path / "etc/zypp").mkdir(parents=True)
    (tmp_path / "etc/zypp/locks").write_text("type: package\nmatch_type: glob\nsolvable_name: fon*\n")
    marks = RpmMarks(str(tmp_path), INSTALLED, ["viewer", "gone"])
    assert (marks.automatic(), marks.holds()) == ({"viewer"}, {"fonts"})
    assert "gpg-pubkey" not in marks.here()
    assert marks.plain("viewer:x86_64") == "viewer"


#: As rpm 4.18 printed it.
LOG = """
warning: %post(hospital-notes-3:2-1.noarch) scriptlet failed, exit status 3
warning: %post(hospital-notes-3:2-1.noarch) scriptlet failed, exit status 3
error: lua script failed: [string "%postun(old-1-1.noarch)"]:1: the ward is closed
"""


def test_scripts_that_failed_are_found_and_kept(tmp_path):
    failed = rpm_scripts.failures(LOG)
    assert rpm_scripts.told(failed) == (
        "%post of hospital-notes-3:2-1.noarch failed (exit status 3), "
        "%postun of old-1-1.noarch failed (the ward is closed)"
    )
    notes = entry("hospital-notes", "1-1", "3:2-1", arch="noarch")
    assert rpm_scripts.of_entries(failed, [notes, entry("old", "1-1", None, arch="noarch")]) == [notes]
    rpm_scripts.keep(str(tmp_path), failed)
    assert rpm_scripts.kept(str(tmp_path)) == failed
    rpm_scripts.keep(str(tmp_path), [])
    assert rpm_scripts.kept(str(tmp_path)) == []
    assert rpm_scripts.of_entries(rpm_scripts.begun([notes]), [notes]) == [notes]


class Rpm:
    """Answers rpm's questions from what a test says."""

    def __init__(self, answer):
        self.answer = answer
        self.asked = []

    def run(self, args, **_options):
        self.asked.append(args)
        return Result(args, 0, self.answer, "")


def test_the_hosts_own_text_is_put_back_where_it_was_moved_from(tmp_path):
    etc = tmp_path / "etc"
    etc.mkdir()
    for name, text in (("a", "new"), ("a.rpmsave", "ours"), ("b", "new"), ("b.rpmsave", "other package's")):
        (etc / name).write_text(text)
    for name, text in (("old", "new"), ("old.rpmsave", "from last year")):
        (etc / name).write_text(text)
    rpm = Rpm("/etc/a\n/etc/old\n(contains no files)\n")
    host = Host(rpm, Clock(), str(tmp_path), str(tmp_path))
    before = {"conffile_proposals": [str(etc / "old.rpmsave")]}
    assert rpm_config.put_back(host, before, ["viewer"]) == [str(etc / "a")]
    assert [(etc / name).read_text() for name in ("a", "b", "old")] == ["ours", "new", "new"]
    assert not (etc / "a.rpmsave").exists()
    assert rpm_config.put_back(host, None, ["viewer"]) == []


#: As rpm 4.18 printed it, and by rpm(8) for the link.
VERIFIED = """S.5....T.  c /etc/hospital-notes/kept
..5......    /usr/lib/hospital-notes/program
.M...UG..    /usr/lib/hospital-notes/again
....L....    /usr/lib/hospital-notes/link
missing     /usr/lib/hospital-notes/gone
missing   d /usr/share/doc/hospital-notes/README
Unsatisfied dependencies for hospital-viewer-1.1-1.noarch:
\thospital-common is needed by (installed) hospital-viewer-1.1-1.noarch
"""


def test_what_rpm_verifies():
    found = rpm_verify.findings(VERIFIED)
    assert [item["subject"] for item in found] == [
        "/usr/lib/hospital-notes/program",
        "/usr/lib/hospital-notes/link",
        "/usr/lib/hospital-notes/gone",
        "rpm --verify",
        "rpm --verify",
    ]


def test_only_what_was_installed_since_is_verified(tmp_path):
    host = Host(Rpm("missing     /usr/bin/viewer\n"), Clock(), "/", str(tmp_path))
    old = RpmInstalled([package("viewer", "1.0", installed_s=1000), package("fonts", "1.0", installed_s=3000)])
    before = {"time": "1970-01-01T00:33:20Z"}  # second 2000
    entries = [entry("viewer", "0.9-1", "1.0-1"), entry("fonts", None, "1.0-1")]
    found = rpm_verify.health(host, old, entries, before, str(tmp_path))
    assert host.runner.asked == [["rpm", "--verify", "fonts"]]
    assert [item["subject"] for item in found] == ["/usr/bin/viewer"]
    twice = [entry("twice", "1.0-1", "1.1-1")]
    assert [item["subject"] for item in rpm_verify.health(host, INSTALLED, twice, None, str(tmp_path))] == [
        "twice:x86_64"
    ]
