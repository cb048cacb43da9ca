# SPDX-License-Identifier: GPL-3.0-or-later
"""Resolved transactions, fed with a package list that apt 2.6 wrote."""

import re

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.apt_resolve import (
    AptResolver,
    by_version,
    parse_changes,
    target,
)
from ansible_collections.hospital.patching.plugins.module_utils.runner import Result


class Apt:
    def __init__(self, rc=0, out="", err=""):
        self.result = (rc, out, err)

    def run(self, args, **_others):
        return Result(args, *self.result)


def test_the_list_of_apt(recorded):
    changes = parse_changes(recorded("apt_package_list.json"))
    assert [(change.name, change.arch, change.current, change.to) for change in changes] == [
        ("hello", "amd64", None, "2.10-3"),
        ("libssl3", "amd64", "3.0.20-1~deb12u2", "3.0.22-1~deb12u2"),
        ("libwrap0", "amd64", "7.6.q-32", None),
        ("openssh-server", "amd64", "1:9.2p1-2+deb12u10", None),
        ("openssl", "amd64", "3.0.20-1~deb12u2", "3.0.22-1~deb12u2"),
        ("tzdata", "all", "2026b-0+deb12u1", "2026f-0+deb12u1"),
    ]
    assert changes[1].origins[0]["label"] == "Debian-Security"
    assert changes[2].origins == []


def test_a_list_without_a_version_is_refused():
    with pytest.raises(PatchingError, match="no version for upgrade"):
        parse_changes('[{"name": "a", "mode": "upgrade", "versions": {}}]')


def test_targets():
    assert target("a", "amd64", "1:2") == "a:amd64=1:2"
    assert target("a", "i386", None) == "a:i386-"
    assert target("a", "all", "2") == "a=2"


@pytest.mark.parametrize(
    "why", ["apt : Depends: adduser but it is not going", "ehr-portal : Conflicts: hostname but 3.23+nmu1 is to be"]
)
def test_what_apt_cannot_resolve_is_told_with_its_reason(why, tmp_path):
    out = "The following packages have unmet dependencies:\n {} installed\n".format(why)
    apt = Apt(100, out, "E: Unable to correct problems, you have held broken packages.\n")
    with pytest.raises(PatchingError, match=r"held broken packages\.; " + re.escape(why)):
        AptResolver(apt, [], str(tmp_path)).install(["adduser-"])


def test_an_apt_without_hooks_is_told(tmp_path):
    with pytest.raises(PatchingError, match="its JSON hook gave no package list"):
        AptResolver(Apt(), [], str(tmp_path)).upgrade_all()


def test_nothing_asked_starts_nothing(tmp_path):
    resolver = AptResolver(None, [], str(tmp_path))
    assert resolver.install([]) == []
    assert resolver.show([]) == []


def test_only_what_a_repository_has_counts():
    repository = {"Package": "a", "Architecture": "all", "Version": "1", "Filename": "pool/a"}
    assert by_version([repository, {"Package": "b", "Version": "1"}]) == {("a", "all", "1"): repository}
