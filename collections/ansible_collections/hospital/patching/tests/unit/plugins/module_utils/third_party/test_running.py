# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that must not run, looked for among the processes of a host."""

import os

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.third_party.running import running


@pytest.fixture
def proc(tmp_path):
    def process(pid, command, exe, words):
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "comm").write_text(command + "\n")
        (tmp_path / str(pid) / "cmdline").write_text("\0".join(words) + "\0")
        (tmp_path / str(pid) / "exe").symlink_to(exe)

    process(20, "viewer", "/opt/viewer/bin/viewer", ["/opt/viewer/bin/viewer", "--all"])
    process(21, "averylongnameth", "/opt/a/averylongnamethatiscut", ["averylongnamethatiscut"])
    return tmp_path


@pytest.mark.parametrize(
    ("item", "found"),
    [
        ("/opt/viewer/bin/viewer", ["viewer (20)"]),
        ("/opt/viewer/", ["viewer (20)"]),
        ("/opt/view", []),
        ("viewer", ["viewer (20)"]),
        ("averylongnamethatiscut", ["averylongnameth (21)"]),
        ("other", []),
    ],
)
@pytest.mark.parametrize("may_look", [True, False])
def test_by_path_folder_and_name(proc, monkeypatch, item, found, may_look):
    """Where root may not look at a process, its command line is believed."""

    def readlink(path):
        raise PermissionError(13, "Permission denied", path)

    if not may_look:
        monkeypatch.setattr(os, "readlink", readlink)
    assert running([item], str(proc)) == found
