# SPDX-License-Identifier: GPL-3.0-or-later
"""What the way back of a zypper host refuses before anything is touched."""

import os

import pytest

from ansible_collections.hospital.patching.plugins.module_utils import transaction
from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import (
    transaction_work,
    zypper_lock,
    zypper_rollback,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import InstallRequest
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.zypper_repository import (
    ZypperRepository,
)
from ansible_collections.hospital.patching.plugins.module_utils.runner import Result

#: As zypper 1.14.42 printed it.
PROBLEM = """<?xml version='1.0'?><stream><prompt id="1">
<description>Problem: hospital-forms-1:3.1-1.noarch requires hospital-fonts, but this requirement cannot be provided
  deleted providers: hospital-fonts-1.0-1.noarch
 Solution 1: deinstallation of hospital-forms-1:3.1-1.noarch
</description><text>Choose from above solutions by number or cancel</text></prompt></stream>"""
MORE = """<?xml version='1.0'?><stream><install-summary>
<to-downgrade><solvable type="package" name="hospital-forms" edition="1:3.0-1" arch="noarch" edition-old="1:3.1-1"/>
</to-downgrade><to-remove><solvable type="package" name="hospital-fonts" edition="1.0-1" arch="noarch"/></to-remove>
</install-summary></stream>"""
#: name, epoch, version, release, architecture, source, vendor, size, time (rpm_database.QUERY_FORMAT).
INSTALLED = [("hospital-forms", "1", "3.1"), ("hospital-fonts", "0", "1.0")]


class Commands:
    """rpm's list of packages, and one answer of zypper to every resolution."""

    def __init__(self, answer, rc):
        self.answer, self.rc, self.changed = answer, rc, []

    def run(self, args, **_options):
        if args[:2] == ["rpm", "-qa"]:
            rows = [
                "\x1f".join([name, epoch, version, "1", "noarch", "(none)", "(none)", "1", "1"]) + "\x1e"
                for name, epoch, version in INSTALLED
            ]
            return Result(args, 0, "".join(rows), "")
        if args[0] == "zypper" and "refresh" in args:
            return Result(args, 0, "<?xml version='1.0'?><stream/>", "")
        if args[0] == "zypper" and "--dry-run" in args:
            return Result(args, self.rc, self.answer, "")
        self.changed.append(args)
        return Result(args, 0, "", "")


@pytest.fixture
def host(tmp_path):
    (tmp_path / "var/tmp").mkdir(parents=True)
    return Host(Commands(PROBLEM, 4), Clock(), str(tmp_path), str(tmp_path / "state"))


ENTRIES = [
    {"name": "hospital-fonts", "arch": "noarch", "from": None, "to": "1.0-1", "sha256": "0", "automatic": True},
    {"name": "hospital-forms", "arch": "noarch", "from": "1:3.0-1", "to": "1:3.1-1", "sha256": "0", "automatic": False},
]


def asked(host, preserve=True):
    wanted = transaction.build("zypp1", "zypper", None, ENTRIES)
    folder = ZypperRepository(host, transaction_work.preserved_dir(host, wanted))
    folder.create()
    if preserve:
        with open(folder.path("hospital-forms", "1:3.0-1", "noarch"), "w") as handle:
            handle.write("an rpm")
    return InstallRequest("20261126T010000Z-ab12cd34", wanted, 600, 60, False)


@pytest.mark.parametrize("check", [True, False])
def test_a_part_that_the_rest_needs_is_refused(host, check):
    with pytest.raises(
        PatchingError, match=r"^way back of hospital-fonts: Problem: hospital-forms.*Next: roll back all of"
    ):
        zypper_rollback.rollback(host, asked(host)._replace(check=check), ["hospital-fonts"])
    assert os.listdir(os.path.join(host.root, "var/tmp")) == []
    assert host.runner.changed == []


@pytest.mark.parametrize("check", [True, False])
def test_a_held_database_is_waited_for_before_zypper_is_asked(host, monkeypatch, check):
    monkeypatch.setattr(zypper_lock, "holders", lambda _root: [("run/zypp.pid", 1)])
    with pytest.raises(PatchingError, match=r"^/run/zypp.pid: held by process 1 .* for longer than 0 s"):
        zypper_rollback.rollback(host, asked(host)._replace(check=check, lock_timeout_s=0), [])
    assert host.runner.changed == []


def test_a_way_back_that_would_do_more_is_refused(host):
    host.runner.answer, host.runner.rc = MORE, 0
    with pytest.raises(PatchingError, match=r"^way back of hospital-forms: zypper would also remove hospital-fonts"):
        zypper_rollback.rollback(host, asked(host), ["hospital-forms"])
    assert host.runner.changed == []


def test_a_version_that_was_not_preserved_is_refused(host):
    with pytest.raises(PatchingError, match=r"^hospital-forms:noarch: 1:3.0-1 was not preserved"):
        zypper_rollback.rollback(host, asked(host, preserve=False), [])
    assert host.runner.changed == []
