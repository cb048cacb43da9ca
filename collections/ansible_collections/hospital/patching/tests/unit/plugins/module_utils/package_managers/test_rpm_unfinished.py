# SPDX-License-Identifier: GPL-3.0-or-later
"""What rpm has begun and not finished is installed again."""

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import rpm_unfinished
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.transaction_work import (
    State,
    split,
    version_problems,
)

ENTRY = {"name": "agent", "arch": "noarch", "from": "1.0-1", "to": "1.1-1"}
OTHER = dict(ENTRY, name="words")


def at_target(entry):
    return State(entry["to"], "installed", False)


def note(tmp_path, text):
    (tmp_path / "rpm-unfinished.jsonl").write_text(text)


def test_nothing_is_unfinished_on_a_host_that_never_began(tmp_path):
    assert rpm_unfinished.read(str(tmp_path)) == set()
    assert split([ENTRY], rpm_unfinished.finder(str(tmp_path), at_target)) == ([], [ENTRY])


def test_what_was_begun_is_still_to_do_and_a_problem(tmp_path):
    note(tmp_path, '["agent", "noarch"]\n')
    find = rpm_unfinished.finder(str(tmp_path), at_target)
    assert split([ENTRY, OTHER], find) == ([ENTRY], [OTHER])
    assert [problem["subject"] for problem in version_problems([ENTRY, OTHER], find)] == ["agent:noarch"]
    assert rpm_unfinished.of_entries(str(tmp_path), [ENTRY, OTHER]) == ["agent:noarch"]


def test_a_package_that_is_not_there_is_not_broken(tmp_path):
    note(tmp_path, '["agent", "noarch"]\n')
    assert rpm_unfinished.finder(str(tmp_path), lambda _entry: None)(ENTRY) is None


def test_a_version_of_somebody_else_is_not_overwritten(tmp_path):
    note(tmp_path, '["agent", "noarch"]\n')
    find = rpm_unfinished.finder(str(tmp_path), lambda _entry: State("1.2-1", "installed", False))
    for entry in (ENTRY, dict(ENTRY, **{"from": None})):
        with pytest.raises(PatchingError, match=r"agent:noarch: 1\.2-1 is installed"):
            split([entry], find)


@pytest.mark.parametrize(("version", "todo"), [("1.0-1", True), ("1.1-1", True), ("1.2-1", False)])
def test_what_is_broken_is_to_do_at_its_own_versions_only(version, todo):
    def find(_entry):
        return State(version, "half-configured", True)

    if todo:
        assert split([ENTRY], find) == ([ENTRY], [])
        return
    with pytest.raises(PatchingError, match=r"agent:noarch: 1\.2-1 is installed"):
        split([ENTRY], find)


def test_what_dpkg_kept_the_settings_of_is_completed_at_its_old_version():
    new = dict(ENTRY, **{"from": None})
    assert split([new], lambda _entry: State("0.9-1", "half-installed", True)) == ([new], [])


def test_a_line_that_was_cut_off_was_not_begun(tmp_path):
    note(tmp_path, '["agent", "noarch"]\nrubbish\n["words", "noar')
    assert rpm_unfinished.read(str(tmp_path)) == {("agent", "noarch")}


def test_what_is_finished_is_forgotten(tmp_path):
    rpm_unfinished.keep(str(tmp_path), [("b", "noarch"), ("a", "x86_64")])
    assert rpm_unfinished.read(str(tmp_path)) == {("a", "x86_64"), ("b", "noarch")}
    rpm_unfinished.keep(str(tmp_path), [])
    rpm_unfinished.keep(str(tmp_path), [])
    assert list(tmp_path.iterdir()) == []
