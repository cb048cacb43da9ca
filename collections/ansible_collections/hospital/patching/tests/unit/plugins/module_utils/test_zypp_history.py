# SPDX-License-Identifier: GPL-3.0-or-later
"""libzypp's files, as zypper 1.14 wrote them."""

import os
import shutil

import pytest

from ansible_collections.hospital.patching.plugins.module_utils import zypp_history

RECORDED = os.path.join(os.path.dirname(__file__), "recorded")


@pytest.fixture
def root(tmp_path):
    for name, path in (
        ("zypp_history.txt", "var/log/zypp/history"),
        ("zypp_auto_installed.txt", "var/lib/zypp/AutoInstalled"),
    ):
        (tmp_path / path).parent.mkdir(parents=True)
        shutil.copy(os.path.join(RECORDED, name), str(tmp_path / path))
    return tmp_path


def test_recorded_files(root):
    assert zypp_history.origins(str(root)) == {
        ("libviewer", "2:0.9~rc1-1.el9", "noarch"): "hospital-z",
        ("weak", "1.0-1", "noarch"): "hospital-z",
        ("viewer", "1.2-3.el9", "noarch"): "hospital-z",
    }
    assert zypp_history.automatic(str(root)) == {"libviewer"}


def test_the_last_installation_counts(root):
    with (root / "var/log/zypp/history").open("ab") as handle:
        handle.write(b"2026-11-26 01:00:00|install|weak|1.0-1|noarch|root@host|other|0|\n")
        handle.write(
            b"2026-11-26 01:00:00|install|\xff|trunc\n# a|install|c|d|e|f|g|\n2026-11-26 01:00:00|remove |viewer"
        )
    assert zypp_history.origins(str(root))[("weak", "1.0-1", "noarch")] == "other"
    assert len(zypp_history.origins(str(root))) == 3


def test_of_a_huge_history_the_end_is_read(root, monkeypatch):
    monkeypatch.setattr(zypp_history, "_HISTORY_BYTES", 200)
    assert zypp_history.origins(str(root)) == {("viewer", "1.2-3.el9", "noarch"): "hospital-z"}


def test_without_files_nobody_knows(tmp_path):
    assert zypp_history.origins(str(tmp_path)) == {}
    assert zypp_history.automatic(str(tmp_path)) is None
