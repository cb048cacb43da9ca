# SPDX-License-Identifier: GPL-3.0-or-later
"""Which operating system this is."""

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.software.os_identity import (
    parse_os_release,
    read_os_release,
)

DEBIAN = """PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
NAME="Debian GNU/Linux"
VERSION_ID="12"
VERSION_CODENAME=bookworm
ID=debian
# a comment
BUG_REPORT_URL="https://bugs.debian.org/"
"""


def test_debian(tmp_path):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").write_text(DEBIAN)
    assert read_os_release(str(tmp_path)) == {
        "id": "debian",
        "version_id": "12",
        "codename": "bookworm",
        "pretty_name": "Debian GNU/Linux 12 (bookworm)",
    }


def test_the_vendors_copy_serves_too(tmp_path):
    (tmp_path / "usr/lib").mkdir(parents=True)
    (tmp_path / "usr/lib/os-release").write_text("ID='rhel'\n")
    assert read_os_release(str(tmp_path))["id"] == "rhel"


def test_nothing_is_no_error(tmp_path):
    assert read_os_release(str(tmp_path))["id"] == ""


@pytest.mark.parametrize("text", ['ID="unclosed\n', "rubbish\n", "#ID=x\n", "\xff\n"])
def test_damage_is_passed_over(text):
    assert parse_os_release(text + "VERSION_ID=1\n") == {"VERSION_ID": "1"}
