# SPDX-License-Identifier: GPL-3.0-or-later
"""Journals and evidence that are damaged, foreign or cannot be written: nothing is lost, nobody is disrupted."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support import lab
from tests.support.expect import four_parts, version
from tests.support.killing import Controller
from tests.support.night import PORTALS, Night, as_found

JOURNAL = "/var/lib/hospital-patching/journal.jsonl"


def record(**changed: object) -> str:
    """Return one line of a journal."""
    whole = {
        "schema": 1,
        "time": "2026-11-22T01:00:03Z",
        "run_id": "20261122T010000Z-ab12cd34",
        "step": "lock",
        "event": "note",
        "detail": {},
    }
    return json.dumps({**whole, **changed}) + "\n"


#: What lies in a host's journal, and what the refusal has to name.
JOURNALS = {
    "corrupted": (record() + "no record at all\n" + record(), "line 2"),
    "newer": (record(schema=2), "schema 2"),
    "claimed": (record(event="held", detail={"controller": "elsewhere"}), "held by run 20261122T010000Z-ab12cd34"),
    "put_back": (record(step="snapshot", event="snapshot_pending"), "snapshot_pending"),
}


@contextmanager
def journal_of(host: str, text: str) -> Iterator[None]:
    """Replace a host's journal for a while."""
    before = lab.exec(host, f"cat {JOURNAL}")
    lab.write(host, JOURNAL, text)
    try:
        yield
        assert lab.exec(host, f"cat {JOURNAL}") == text, "a journal that was not understood was written to"
    finally:
        lab.write(host, JOURNAL, before)


def untouched(host: str) -> str:
    """Return what is installed and runs on a host, whatever its journal says."""
    return lab.exec(host, "dpkg-query -W; systemctl show --property ActiveEnterTimestamp ehr-portal nginx")


@pytest.mark.parametrize("damage", JOURNALS)
def test_a_host_whose_journal_cannot_be_trusted_is_refused(damage, staged):
    text, named = JOURNALS[damage]
    before = {host: untouched(host) for host in PORTALS}
    with journal_of("portal1", text):
        played = staged.play("patch")
    assert played.rc != 0
    assert staged.outcomes() == {"portal1": "refused", "portal2": "not_started"}
    assert named in staged.reason("portal1")
    four_parts(staged.reason("portal1"))
    assert {host: untouched(host) for host in PORTALS} == before


@pytest.mark.slow
def test_nobody_is_taken_out_beside_a_host_whose_journal_cannot_be_read(staged):
    before = {host: untouched(host) for host in PORTALS}
    with journal_of("portal2", JOURNALS["newer"][0]):
        played = staged.play("patch")
    assert played.rc != 0
    assert staged.outcomes() == dict.fromkeys(PORTALS, "not_started")
    assert "portal2 (cannot be read" in staged.reason("portal1")
    assert "schema 2" in staged.reason("portal1")
    assert {host: untouched(host) for host in PORTALS} == before
    assert "held 0 times" in as_found("portal1")


def test_a_torn_last_line_loses_nothing(staged):
    """As a power failure leaves it in the middle of a record."""
    lab.exec("portal1", f"printf '%s' '{record()[:40]}' >> {JOURNAL}")
    checked = staged.play("patch", "--check")
    assert checked.rc == 0, checked.stdout


def test_a_controller_whose_clock_is_wrong_holds_no_host(staged):
    """By its clock windows open and soak ends; the host's own says that it is an hour ahead."""
    before = {host: as_found(host) for host in PORTALS}
    controller = Controller(staged, through=("faketime", "-f", "+1h"))
    assert controller.wait() != 0
    assert staged.outcomes() == {"portal1": "refused", "portal2": "not_started"}
    assert "clock of controller" in staged.reason("portal1")
    four_parts(staged.reason("portal1"))
    assert {host: as_found(host) for host in PORTALS} == before


@pytest.fixture
def small_disk(staged, tmp_path) -> Iterator[Night]:
    """A night that was staged, whose evidence has a file system of its own."""
    folder = tmp_path / "small_disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)], check=True)
    shutil.copytree(staged.evidence, folder, dirs_exist_ok=True)
    night = Night(folder)
    night.plan = staged.plan
    yield night
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_evidence_that_cannot_be_written_stops_a_run_before_it_begins(small_disk):
    night = small_disk
    before = {host: as_found(host) for host in PORTALS}
    subprocess.run(["mount", "-o", "remount,ro", str(night.evidence)], check=True)
    played = night.play("patch")
    assert played.rc != 0
    message = " ".join(played.messages())
    assert str(night.evidence) in message
    four_parts(message)
    assert {host: as_found(host) for host in PORTALS} == before


@pytest.mark.slow
def test_evidence_that_fills_up_in_mid_run_stops_it_and_loses_nothing(small_disk):
    """The host in flight goes no further than what could be recorded; with room again the same plan finishes it."""
    night = small_disk
    controller = Controller(night)
    assert controller.until(controller.recorded("portal1", "drain"))
    filler = night.evidence / "filler"
    subprocess.run(["dd", "if=/dev/zero", f"of={filler}", "bs=64k"], check=False, capture_output=True)
    assert controller.wait() != 0
    four_parts(controller.output())
    assert "No space left" in controller.output()
    assert version("portal2") == "1.0.0"
    filler.unlink()
    assert "held 1 times" in as_found("portal1"), "it may be returned only by who can record it"
    resumed = night.play("patch")
    assert resumed.rc == 0, resumed.stdout
    assert night.outcomes() == dict.fromkeys(PORTALS, "patched")
    for host in PORTALS:
        assert version(host) == "1.1.0"
        assert lab.in_service(host)
        assert "held 0 times" in as_found(host)
