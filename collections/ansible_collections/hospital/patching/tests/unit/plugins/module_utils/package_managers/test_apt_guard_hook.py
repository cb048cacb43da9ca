# SPDX-License-Identifier: GPL-3.0-or-later
"""The guard compares apt's list of actions with the transaction; it is fed a list that apt wrote."""

import json
import os
import subprocess
import sys

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.package_managers import apt_guard_hook
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.apt_resolve import source_of

EXPECTED = {
    "openssh-server:amd64": None,
    "libwrap0:amd64": None,
    "tzdata:all": "2026f-0+deb12u1",
    "hello:amd64": "2.10-3",
    "libssl3:amd64": "3.0.22-1~deb12u2",
    "openssl:amd64": "3.0.22-1~deb12u2",
}


def compare(text, expected):
    found, configured = apt_guard_hook.actions(text)
    return apt_guard_hook.differences(found, configured, expected)


def test_the_same_actions_pass(recorded):
    assert compare(recorded("apt_pre_install_version_3.txt"), EXPECTED) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hello:amd64": None}, "hello:amd64 would be set to 2.10-3, not to None"),
        ({"hello:amd64": "2.10-2"}, "hello:amd64 would be set to 2.10-3, not to 2.10-2"),
        ({"bash:amd64": "5.2"}, "bash:amd64 would be left alone"),
        ({"libwrap0:amd64": "7.6"}, "libwrap0:amd64 would be set to None, not to 7.6"),
    ],
)
def test_any_difference_is_told(recorded, change, message):
    assert compare(recorded("apt_pre_install_version_3.txt"), dict(EXPECTED, **change)) == [message]


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("hello:amd64", "hello:amd64 would be set to 2.10-3"),
        ("openssh-server:amd64", "openssh-server:amd64 would be removed"),
    ],
)
def test_what_nobody_approved_is_told(recorded, missing, message):
    expected = {key: value for key, value in EXPECTED.items() if key != missing}
    assert compare(recorded("apt_pre_install_version_3.txt"), expected) == [message]


def test_what_was_unpacked_before_is_only_configured():
    text = "VERSION 3\n\na 2 amd64 none = 2 amd64 none **CONFIGURE**\n"
    assert compare(text, {"a:amd64": "2"}) == []
    assert compare(text, {}) == []


@pytest.mark.parametrize(
    "text", ["", "/var/cache/apt/archives/a.deb\n", "VERSION 2\n\na - < 1 **CONFIGURE**\n", "VERSION 3\n\na b c\n"]
)
def test_anything_unreadable_is_refused(text):
    with pytest.raises(ValueError, match=r"apt speaks|unreadable line"):
        apt_guard_hook.actions(text)


@pytest.mark.parametrize(("expected", "status"), [(EXPECTED, 0), ({}, 1)])
def test_the_script_ends_with_1_on_any_difference(tmp_path, recorded, expected, status):
    script, wanted, answer = tmp_path / "guard.py", tmp_path / "expected.json", tmp_path / "answer.json"
    script.write_text(source_of(apt_guard_hook))
    wanted.write_text(json.dumps(expected))
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as handle:
        handle.write(recorded("apt_pre_install_version_3.txt"))
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(script), str(wanted), str(answer)],
        env=dict(os.environ, APT_HOOK_INFO_FD=str(reading)),
        pass_fds=[reading],
        check=False,
    )
    os.close(reading)
    assert done.returncode == status
    assert bool(json.loads(answer.read_text())) == bool(status)
