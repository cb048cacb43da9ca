# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os

import pytest

from ansible_collections.hospital.patching.plugins.plugin_utils import halt_files
from ansible_collections.hospital.patching.plugins.plugin_utils.runs import Run
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import PLAN_ID


@pytest.fixture
def path(tmp_path):
    return tmp_path / "freeze"


def test_no_file_tells_nothing(path):
    assert halt_files.told_by(path) is None


def test_its_first_line_is_the_reason(path):
    path.write_text("hospital on diversion\nuntil 04:00\n", encoding="utf-8")
    assert halt_files.told_by(path) == f"{path} says: hospital on diversion"


@pytest.mark.parametrize("content", ["", "\n", " \t\r\n", "\x00\x07"])
def test_a_file_without_a_reason_is_there_all_the_same(path, content):
    path.write_text(content, encoding="utf-8")
    assert halt_files.told_by(path) == f"{path} is there and gives no reason"


def test_what_a_terminal_would_obey_is_removed_and_a_long_line_is_cut(path):
    path.write_bytes("\x1b[2J\x1b]0;x\x07to\tstop\u202e\u200b\x9b ".encode() + b"\xff" + b"a" * 5000)
    told = halt_files.told_by(path).removeprefix(f"{path} says: ")
    assert told.startswith("[2J]0;xto stop \N{REPLACEMENT CHARACTER}aaa")
    assert told.isprintable()
    assert len(told) == halt_files.LONGEST


def test_a_folder_of_that_name_counts_as_there(path):
    path.mkdir()
    assert "which counts as there" in halt_files.told_by(path)


def test_a_missing_folder_a_folder_that_is_none_and_a_dangling_link_count_as_there(path, tmp_path):
    assert "its folder is missing" in halt_files.told_by(tmp_path / "share" / "freeze")
    (tmp_path / "file").touch()
    assert "Not a directory" in halt_files.told_by(tmp_path / "file" / "freeze")
    path.symlink_to(tmp_path / "nothing")
    assert "leads nowhere" in halt_files.told_by(path)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert "which counts as there" in halt_files.told_by(tmp_path / "loop")


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), OSError(116, "Stale file handle")])
def test_a_file_that_cannot_be_read_counts_as_there(path, monkeypatch, error):
    def refuse(*_arguments):
        raise error

    monkeypatch.setattr(os, "open", refuse)
    assert halt_files.told_by(path) == f"{path} cannot be read ({error.strerror}), which counts as there"


def test_a_named_pipe_is_not_waited_for(path):
    os.mkfifo(path)
    assert halt_files.told_by(path) == f"{path} is there and gives no reason"


def test_a_run_knows_its_stop_file_and_where_the_freeze_file_is(tmp_path):
    run = Run(str(tmp_path), PLAN_ID)
    run.stop_path.parent.mkdir()
    named = tmp_path / "elsewhere"
    assert (run.stop_requested(), run.frozen(None), run.frozen(str(named))) == (None, None, None)
    run.stop_path.write_text("theatre list is late\n", encoding="utf-8")
    (tmp_path / "freeze").write_text("mass casualty\n", encoding="utf-8")
    assert run.stop_requested() == f"{run.stop_path} says: theatre list is late"
    assert run.frozen(None) == f"{tmp_path / 'freeze'} says: mass casualty"
    assert run.frozen(str(named)) is None
    named.touch()
    assert run.frozen(str(named)) == f"{named} is there and gives no reason"
