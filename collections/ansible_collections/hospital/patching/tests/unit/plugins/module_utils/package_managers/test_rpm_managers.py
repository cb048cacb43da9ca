# SPDX-License-Identifier: GPL-3.0-or-later
"""dnf and zypper as package managers: which hosts are theirs, what they refuse, and whose updates are the system's."""

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import rpm_origins, rpm_pending
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import this_host
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.dnf import Dnf
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
        (["usr/bin/dnf5"], Dnf),
        (["usr/bin/zypper", "etc/zypp/repos.d/oss.repo"], Zypper),
        (["usr/bin/zypper", "etc/zypp/repos.d/oss.repo", "usr/bin/dnf"], Zypper),
        (["usr/bin/zypper", "usr/bin/dnf"], Dnf),
    ],
)
def test_a_host_is_known_by_its_files(tmp_path, database, tools, kind):
    make(tmp_path, database, *tools)
    assert type(select("auto", this_host()._replace(root=str(tmp_path)))) is kind


@pytest.mark.parametrize("kind", [Dnf, Zypper])
def test_a_tool_without_a_database_runs_nothing(tmp_path, kind):
    make(tmp_path, "usr/bin/dnf", "usr/bin/zypper", "etc/zypp/repos.d/oss.repo")
    assert not kind.present(str(tmp_path))


@pytest.mark.parametrize("kind", [Dnf, Zypper])
@pytest.mark.parametrize("call", ["stage", "install", "verify", "rollback"])
def test_what_would_patch_is_refused(tmp_path, kind, call):
    manager = kind(this_host(str(tmp_path)))
    arguments = {"stage": [None], "install": [None], "verify": [{}, "to", []], "rollback": [None, []]}[call]
    with pytest.raises(PatchingError, match=r"does not patch them yet.*patching_policy to observed"):
        getattr(manager, call)(*arguments)


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
