# SPDX-License-Identifier: GPL-3.0-or-later
"""Who holds the package database."""

import subprocess
import sys

import pytest

from ansible_collections.hospital.patching.plugins.module_utils import package_lock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError

HOLD = """
import fcntl, sys
handle = open(sys.argv[1], "w")
fcntl.lockf(handle, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def root(tmp_path):
    (tmp_path / "var/lib/dpkg").mkdir(parents=True)
    return tmp_path


@pytest.fixture
def holding(root):
    """Another process that holds dpkg's lock as apt does."""
    path = root / "var/lib/dpkg/lock-frontend"
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, universal_newlines=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    if process.poll() is None:
        process.communicate()


def test_a_free_database_is_not_waited_for(root, sleepless_clock):
    package_lock.wait_until_free(str(root), 10, sleepless_clock, package_lock.dpkg_holders)
    (root / "var/lib/dpkg/lock").write_text("")
    package_lock.wait_until_free(str(root), 10, sleepless_clock, package_lock.dpkg_holders)
    assert sleepless_clock.elapsed == 0


def test_the_holder_is_named(root, holding, sleepless_clock):
    with pytest.raises(PatchingError) as caught:
        package_lock.wait_until_free(str(root), 5, sleepless_clock, package_lock.dpkg_holders)
    assert caught.value.subject == "/var/lib/dpkg/lock-frontend"
    assert "held by process {} (".format(holding.pid) in caught.value.seen
    assert "for longer than 5 s" in caught.value.seen
    assert sleepless_clock.elapsed == 5


def test_waiting_ends_when_the_holder_does(root, holding, sleepless_clock):
    sleepless_clock.sleep = lambda _seconds: holding.communicate()
    package_lock.wait_until_free(str(root), 5, sleepless_clock, package_lock.dpkg_holders)


def test_a_command_that_is_gone_is_unknown():
    assert package_lock.command_of(2**22 + 1) == "unknown"
