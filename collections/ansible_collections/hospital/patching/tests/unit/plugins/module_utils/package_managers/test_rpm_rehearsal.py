# SPDX-License-Identifier: GPL-3.0-or-later
"""The rehearsal of the way back on a copy of rpm's database; the real rpm does it in the lab."""

import os
from unittest import mock

import pytest

from ansible_collections.hospital.patching.plugins.module_utils import disk_space
from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import rpm_rehearsal
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.package_folder import RpmFolder
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.rpm_rehearsal import way_back
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.zypper_stage import ZypperStage
from ansible_collections.hospital.patching.plugins.module_utils.runner import Result

ENTRIES = [
    {"name": "agent", "arch": "noarch", "from": "1:1.0-1", "to": "1:1.1-1"},
    {"name": "kernel-core", "arch": "x86_64", "from": "5-1", "to": "6-1"},
    {"name": "labels", "arch": "noarch", "from": "1-1", "to": None},
    {"name": "words", "arch": "noarch", "from": None, "to": "1-1"},
]


class Rpm:
    """Notes what rpm is asked, and that it is asked of a copy."""

    def __init__(self):
        self.asked = []
        self.test = Result([], 0, "", "")

    def run(self, args, check=True, **_others):
        assert args[:2] == ["rpm", "--dbpath"]
        assert os.listdir(args[2]) == ["rpmdb.sqlite"]
        self.asked.append([os.path.basename(word) for word in args[3:] if not word.startswith("--")])
        return self.test if "--test" in args else Result(args, 0, "", "")


@pytest.fixture
def rpm(tmp_path):
    for name in ("var/lib/rpm", "var/tmp"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("rpmdb.sqlite", ".rpm.lock"):
        (tmp_path / "var/lib/rpm" / name).write_text("x")
    return Rpm()


@pytest.fixture
def rehearse(rpm, tmp_path):
    stage, preserved = RpmFolder(str(tmp_path / "stage")), RpmFolder(str(tmp_path / "preserved"))
    preserved.create()
    for entry in ENTRIES:
        if entry["from"]:
            with open(preserved.path(entry["name"], entry["from"], entry["arch"]), "w", encoding="utf-8"):
                pass
    return lambda: way_back(Host(rpm, Clock(), str(tmp_path), "s"), ENTRIES, stage, preserved)


def test_the_update_is_recorded_in_the_copy_and_the_way_back_tested(rpm, rehearse, tmp_path):
    assert rehearse() is True
    assert rpm.asked == [
        ["labels-1-1.noarch"],
        ["agent-1%3a1.1-1.noarch.rpm", "words-1-1.noarch.rpm"],
        ["words-1-1.noarch"],
        ["agent-1%3a1.0-1.noarch.rpm", "labels-1-1.noarch.rpm"],
    ]
    assert os.listdir(tmp_path / "var/tmp") == []


def test_a_way_back_that_rpm_refuses_is_refused(rpm, rehearse):
    rpm.test = Result([], 1, "", "error: Failed dependencies:\n\tlib < 2 is needed by agent")
    with pytest.raises(PatchingError, match=r"cannot put the installed versions back: .* lib < 2 is needed by agent"):
        rehearse()


def test_without_room_for_a_copy_it_is_left_out(rpm, rehearse, monkeypatch):
    monkeypatch.setattr(disk_space, "free_bytes", lambda _mount: 1024)
    assert (rehearse(), rpm.asked) == (False, [])


def test_without_a_database_it_is_left_out(rpm, rehearse, tmp_path):
    os.unlink(tmp_path / "var/lib/rpm/rpmdb.sqlite")
    assert rehearse() is False


@pytest.mark.parametrize(("lost", "tried"), [([], False), ([{"name": "agent"}], None)])
def test_zyppers_stage_says_whether_it_was_tested(monkeypatch, lost, tried):
    monkeypatch.setattr(rpm_rehearsal, "way_back", lambda *_asked: False)
    stage = ZypperStage.__new__(ZypperStage)
    stage.host, stage.stage, stage.preserved, stage.described = None, mock.Mock(), mock.Mock(), {}
    monkeypatch.setattr(stage, "fetch_new", lambda _todo: 0)
    monkeypatch.setattr(stage, "rehearse", lambda _todo: None)
    monkeypatch.setattr(stage, "preserve", lambda _todo: ([], lost, 0))
    assert stage.make({"entries": []}, {})["way_back_tried"] is tried
