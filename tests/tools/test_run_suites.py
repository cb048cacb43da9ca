# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of the output says what failed: whoever reads it may have nothing else."""

import sys

from tests.support.playbook import ROOT

sys.path.insert(0, str(ROOT / "tools"))

from run_suites import Outcome, Suite, print_table, telling_lines


def log_of(folder, name, text):
    (folder / f"{name}.log").write_text(text, encoding="utf-8")


def test_pytests_reasons_and_tests_are_told_and_nothing_else(tmp_path):
    lines = ["tests/a.py ...E", "\x1b[31mE   OSError: busy\x1b[0m", "ok", "ERROR tests/a.py::test_b", "1 error"]
    log_of(tmp_path, "snapshots", "\n".join(lines))
    assert telling_lines(tmp_path / "snapshots.log") == ["E   OSError: busy", "ERROR tests/a.py::test_b"]


def test_of_other_suites_the_last_lines_are_told(tmp_path):
    log_of(tmp_path, "docs", "".join(f"line {number}\n" for number in range(100)))
    assert telling_lines(tmp_path / "docs.log")[-1] == "line 99"
    assert len(telling_lines(tmp_path / "docs.log")) < 20


def test_a_suite_that_never_ran_has_no_log_to_tell(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("run_suites.LOGS", tmp_path)
    log_of(tmp_path, "night", "FAILED tests/night.py::test_of_an_earlier_run\n")
    log_of(tmp_path, "docs", "FAILED tests/docs.py::test_of_this_run\n")
    print_table(
        [
            Outcome(Suite("night", 1, []), ["the lab did not start"], 0, {}),
            Outcome(Suite("docs", 1, []), ["tools/docs.sh"], 2, {"failed": 1}),
        ]
    )
    said = capsys.readouterr().out
    assert "test_of_this_run" in said
    assert "earlier" not in said
    assert said.rstrip().endswith("===== 1 failed in 2.00s =====")
