# SPDX-License-Identifier: GPL-3.0-or-later
"""policy-rc.d is in place while packages are installed, and only then."""

import os
import subprocess

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.policy_rc_d import MARKER, PolicyRcD


@pytest.fixture
def root(tmp_path):
    (tmp_path / "usr/sbin").mkdir(parents=True)
    return tmp_path


def test_ours_forbids_and_goes(root):
    path = root / "usr/sbin/policy-rc.d"
    with PolicyRcD(str(root)) as policy:
        assert policy.owner == "ours"
        assert subprocess.run([str(path), "nginx", "start"], check=False).returncode == 101
    assert not path.exists()


def test_ours_goes_when_the_work_fails(root):
    with pytest.raises(ValueError, match="x"), PolicyRcD(str(root)):
        raise ValueError("x")
    assert not (root / "usr/sbin/policy-rc.d").exists()


def test_the_sites_own_is_honoured(root):
    path = root / "usr/sbin/policy-rc.d"
    path.write_text("#!/bin/sh\nexit 0\n")
    with PolicyRcD(str(root)) as policy:
        assert policy.owner == "site"
    assert path.read_text() == "#!/bin/sh\nexit 0\n"
    assert PolicyRcD(str(root)).remove() is False


def test_one_that_a_crash_left_is_recognised(root):
    path = root / "usr/sbin/policy-rc.d"
    path.write_text("#!/bin/sh\n{}\nexit 101\n".format(MARKER))
    assert PolicyRcD(str(root)).is_ours()
    assert PolicyRcD(str(root)).remove() is True
    assert not os.path.exists(str(path))
