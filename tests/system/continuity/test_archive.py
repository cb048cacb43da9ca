# SPDX-License-Identifier: GPL-3.0-or-later
"""Two nodes of an archive of images: devices do not notice that one of them leaves, or that the databases change."""

from __future__ import annotations

import pytest

from tests.support import archive, database_pair, lab
from tests.support.clinical import Account
from tests.support.night import Night
from tests.support.playbook import HOSPITAL_INVENTORY

pytestmark = pytest.mark.slow
NOTHING = Account(frozenset(), frozenset(), frozenset())


def said(host: str, command: str) -> str:
    """What a command of the site prints; its exit status is the last word."""
    return lab.exec(host, f"{command} 2>&1; echo $?")


def see_that_nothing_was_lost(modalities) -> None:
    print(modalities)
    assert modalities.failed == []
    assert archive.accounts(modalities.acknowledged) == dict.fromkeys(archive.NODES, NOTHING)


def test_a_node_leaves_restarts_and_comes_back(modalities):
    with modalities:
        modalities.goes_on()
        for node in archive.NODES:
            assert said(node, "pacs-users leave") == "0\n"
            assert archive.reaches_its_index(node), "its own probes are answered"
            lab.exec(node, "systemctl restart orthanc")
            modalities.goes_on()
            assert said(node, "pacs-users return") == "0\n"
        modalities.goes_on()
    see_that_nothing_was_lost(modalities)


def test_the_last_node_does_not_leave(modalities):
    assert said("pacs2", "pacs-users leave") == "0\n"
    try:
        left = said("pacs1", "pacs-users leave")
        assert left.startswith("no other node serves everywhere, nobody was moved: lb1 says")
        assert left.endswith("\n1\n")
    finally:
        assert said("pacs2", "pacs-users return") == "0\n"
    assert archive.in_place()


def test_the_databases_change_places_and_back_without_a_lost_image(modalities):
    with modalities:
        modalities.goes_on()
        for old, new in (("db1", "db2"), ("db2", "db1")):
            left = said(old, "ehr-database leave")
            assert left.endswith(f"{new} writes, {old} follows\n0\n"), left
            modalities.goes_on()
            assert lab.exec(old, "ehr-database follows") == f"{old} follows\n"
    see_that_nothing_was_lost(modalities)


def test_patients_are_read_while_the_databases_change_places(readers):
    with readers:
        readers.goes_on()
        for old in database_pair.DATABASES:
            assert said(old, "ehr-database leave").endswith("\n0\n")
            readers.goes_on()
            lab.exec(old, "ehr-database follows")
    print(readers)
    assert readers.failed == []
    assert readers.misread == []


def test_both_nodes_are_patched_and_no_image_fails(modalities, tmp_path):
    archive.as_built()
    night = Night(tmp_path / "evidence", hosts="archive")
    night.inventory = HOSPITAL_INVENTORY
    plan = night.ready()
    assert sorted(wave["hosts"] for wave in plan["waves"]) == [["pacs1"], ["pacs2"]]
    with modalities:
        modalities.goes_on()
        patched = night.play("patch")
        modalities.goes_on()
    assert patched.rc == 0, patched.stdout
    assert night.outcomes() == dict.fromkeys(archive.NODES, "patched")
    see_that_nothing_was_lost(modalities)
    assert archive.in_place()
