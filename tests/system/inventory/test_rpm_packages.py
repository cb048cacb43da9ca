# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's rpm packages are the same bytes each time, and its advisories name what is on offer."""

from __future__ import annotations

import hashlib
from xml.etree import ElementTree

from hospital_lab import rpm_packages

from tests.support import lab


def test_the_same_table_makes_the_same_files(tmp_path):
    first, second = (rpm_packages.build(rpm_packages.OFFERED, tmp_path / name) for name in ("first", "second"))
    assert [path.name for path in first] == [package.file_name for package in rpm_packages.OFFERED]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_every_advisory_names_a_package_on_offer(tmp_path):
    rpm_packages.write_updateinfo(rpm_packages.ADVISORIES, tmp_path / "updateinfo.xml")
    files = {node.text for node in ElementTree.parse(tmp_path / "updateinfo.xml").iter("filename")}
    assert files < {package.file_name for package in rpm_packages.OFFERED}
    assert not files & {package.file_name for package in rpm_packages.INSTALLED}


def test_no_host_has_the_private_key():
    key = lab.folder() / "package-signing.key"
    content, size = hashlib.sha256(key.read_bytes()).hexdigest(), key.stat().st_size
    for host in ("rpm1", "zypp1"):
        same_size = f"find / /srv/rpm -xdev -type f -size {size}c -exec sha256sum {{}} +"
        assert content not in lab.exec(host, same_size)
