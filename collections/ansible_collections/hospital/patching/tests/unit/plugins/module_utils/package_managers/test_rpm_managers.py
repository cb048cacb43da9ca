# SPDX-License-Identifier: GPL-3.0-or-later
"""dnf and zypper as package managers: which hosts are theirs, and whose updates are the system's."""

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.host import this_host
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import rpm_origins, rpm_pending
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.dnf import Dnf
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.dnf5 import Dnf5
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.registry import select
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.zypper import Zypper


def make(root, *paths):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text("")


@pytest.mark.parametrize(
    "database", ["var/lib/rpm/Packages", "var/lib/rpm/rpmdb.sqlite", "usr/lib/sysimage/rpm/Packages.db"]
)
@pytest.mark.parametrize(
    ("tools", "kind"),
    [
        (["usr/bin/dnf"], Dnf),
        (["usr/bin/dnf5"], Dnf5),
        (["usr/bin/zypper", "etc/zypp/repos.d/oss.repo"], Zypper),
        (["usr/bin/zypper", "etc/zypp/repos.d/oss.repo", "usr/bin/dnf"], Zypper),
        (["usr/bin/zypper", "usr/bin/dnf"], Dnf),
    ],
)
def test_a_host_is_known_by_its_files(tmp_path, database, tools, kind):
    make(tmp_path, database, *tools)
    assert select("auto", this_host()._replace(root=str(tmp_path))).NAME == kind.NAME


@pytest.mark.parametrize("kind", [Dnf, Dnf5, Zypper])
def test_a_tool_without_a_database_runs_nothing(tmp_path, kind):
    make(tmp_path, "usr/bin/dnf", "usr/bin/dnf5", "usr/bin/zypper", "etc/zypp/repos.d/oss.repo")
    assert not kind.present(str(tmp_path))


@pytest.mark.parametrize(
    ("name", "vendor", "os_vendor", "repository", "expected"),
    [
        ("openssl-libs", "Red Hat, Inc.", "Red Hat, Inc.", "anything-the-mirror-says", "os"),
        ("nagios", "Fedora Project", "Rocky Enterprise Software Foundation", "epel", "third_party"),
        ("nagios", "Fedora Project", "Rocky Enterprise Software Foundation", "baseos", "third_party"),
        ("firefox", "Red Hat, Inc.", "Red Hat, Inc.", "appstream", "third_party"),
        ("java-17-openjdk-headless", "Red Hat, Inc.", "Red Hat, Inc.", "appstream", "third_party"),
        ("javapackages-filesystem", "Red Hat, Inc.", "Red Hat, Inc.", "appstream", "os"),
        ("glibc", None, "X", "baseos", "os"),
        ("glibc", "X", None, "rhel-9-for-x86_64-baseos-rpms", "os"),
        ("pacs", None, "X", "vendor-imaging", "third_party"),
        ("oldname", None, "X", None, "os"),
    ],
)
def test_the_vendor_of_the_release_decides(name, vendor, os_vendor, repository, expected):
    assert rpm_origins.update_class(name, vendor, os_vendor, repository) == expected


def test_a_login_in_an_address_is_left_out():
    assert rpm_pending.repository("a", "", "https://me:secret@x/y", True)["uri"] == "https://***@x/y"


CHANGE = {
    "name": "a",
    "arch": "noarch",
    "from": "1-1",
    "to": "2-1",
    "repository": "baseos",
    "vendor": "X",
    "source_rpm": None,
    "source_rpm_from": None,
    "issued_s": None,
    "built_s": None,
    "replaces": False,
}


@pytest.mark.parametrize(
    ("issued", "built", "expected"),
    [
        (86400, 0, ("1970-01-02T00:00:00Z", "advisory")),
        (None, 951782400, ("2000-02-29T00:00:00Z", "build")),
        (10**18, 86400, ("1970-01-02T00:00:00Z", "build")),  # no date of a calendar
        (None, 10**18, (None, None)),
        (None, None, (None, None)),
    ],
)
def test_the_advisory_goes_before_the_build(issued, built, expected):
    update = rpm_pending.update(dict(CHANGE, issued_s=issued, built_s=built), "X")
    assert (update["published"], update["published_by"]) == expected


@pytest.mark.parametrize(
    ("new", "old", "expected"),
    [
        ("openssl-3.0.7-2.el9.src.rpm", "openssl-3.0.1-1.el9.src.rpm", ("openssl", "3.0.1-1.el9", "3.0.7-2.el9")),
        ("java-1-1.nosrc.rpm", None, ("java", None, "1-1")),
        (None, "old-name-1-1.src.rpm", ("old-name", "1-1", None)),
        ("(none)", "odd.src.rpm", (None, None, None)),
        (None, None, (None, None, None)),
    ],
)
def test_the_source_is_read_from_its_file_name(new, old, expected):
    update = rpm_pending.update(dict(CHANGE, source_rpm=new, source_rpm_from=old), "X")
    assert (update["source"], update["source_from"], update["source_to"]) == expected


def test_what_replaces_another_package_is_asked_for_as_an_upgrade_and_shown_as_new():
    update = rpm_pending.update(dict(CHANGE, **{"from": None, "replaces": True}), "X")
    assert (update["kind"], rpm_pending.finished(update)["kind"]) == ("upgrade", "new_install")
