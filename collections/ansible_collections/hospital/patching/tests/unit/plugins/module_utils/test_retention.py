# SPDX-License-Identifier: GPL-3.0-or-later
"""Retention: what a way back still needs is never removed, what nobody needs is, and all of it is told."""

import hashlib
import json
import os
import random
from datetime import datetime, timedelta, timezone

import pytest

from ansible_collections.hospital.patching.plugins.module_utils import retention
from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.journal import Journal
from ansible_collections.hospital.patching.plugins.module_utils.third_party.etc_before import EtcBefore

START = datetime(2026, 1, 4, 1, 0, tzinfo=timezone.utc)
EMPTY = {"removed": [], "freed_bytes": 0, "kept": []}


class Days(Clock):
    """A clock that stands still until a test moves it by days."""

    def __init__(self):
        self.day = 0.0

    def now(self):
        return START + timedelta(days=self.day)


class Site:
    """One host with its journal and its folders, and the months that pass over it."""

    def __init__(self, state_dir):
        self.clock = Days()
        self.host = Host(None, self.clock, "/", state_dir)
        self.journal = Journal(state_dir, self.clock)

    def run_id(self, number):
        return "{}-{:08x}".format(self.clock.now().strftime("%Y%m%dT%H%M%SZ"), number)

    def stage(self, number, run_id=None, **detail):
        """Stage transaction ``number`` today; return its digest."""
        digest = "sha256:" + hashlib.sha256(str(number).encode()).hexdigest()
        for kind, folder in (("stage", "debs"), ("preserved", "debs")):
            path = os.path.join(self.host.state_dir, kind, digest[7:19], folder)
            os.makedirs(path, exist_ok=True)
            with open(os.path.join(path, "openssl.deb"), "wb") as handle:
                handle.write(b"x" * 10000)
        self.note(run_id or self.run_id(number), "stage", "done", digest, **detail)
        return digest

    def note(self, run_id, step, event, digest, **detail):
        self.journal.append(run_id, step, event, transaction=digest, **detail)

    def install(self, number, event="done"):
        """Stage and install transaction ``number`` today, held meanwhile."""
        run_id, digest = self.run_id(number), self.stage(number)
        self.journal.hold(run_id, {})
        self.note(run_id, "install", "begin", digest)
        os.makedirs(os.path.join(self.host.state_dir, "etc"), exist_ok=True)
        with open(self.etc(digest), "wb") as handle:
            handle.write(b"x" * 5000)
        if event != "begin":
            self.note(run_id, "install", event, digest)
        self.journal.release(run_id, {})
        return digest

    def etc(self, digest):
        return os.path.join(self.host.state_dir, "etc", "etc-before-install-{}.tar".format(digest[7:19]))

    def has(self, digest):
        """Return which kinds are there of a transaction."""
        found = [kind for kind in ("stage", "preserved") if os.path.isdir(self.folder(kind, digest))]
        return found + (["etc"] if os.path.exists(self.etc(digest)) else [])

    def folder(self, kind, digest):
        return os.path.join(self.host.state_dir, kind, digest[7:19])

    def apply(self, days=62, check=False, controller_time="", run_id="20990101T000000Z-ffffffff"):
        return retention.apply(self.host, retention.Retention(run_id, days, controller_time, check))


@pytest.fixture
def site(tmp_path):
    return Site(str(tmp_path / "state"))


def disk_bytes(state_dir):
    total = 0
    for directory, names, files in os.walk(state_dir):
        for name in names + files:
            if name != "journal.jsonl":
                total += os.lstat(os.path.join(directory, name)).st_blocks * 512
    return total


def test_what_no_way_back_needs_is_removed_told_and_journalled(site):
    old = site.install(1)
    site.clock.day = 30
    newer = site.install(2)
    site.clock.day = 63
    before = disk_bytes(site.host.state_dir)
    result = site.apply()
    assert (site.has(old), site.has(newer)) == ([], ["stage", "preserved", "etc"])
    assert [item["path"] for item in result["removed"]] == [
        site.folder("preserved", old),
        site.folder("stage", old),
        site.etc(old),
    ]
    assert result["freed_bytes"] == before - disk_bytes(site.host.state_dir) > 25000
    assert result["kept"] == []
    last = site.journal.read()[-2:]
    assert [(record["step"], record["event"]) for record in last] == [("stage", "note")] * 2
    assert last[0]["detail"]["retention"]["removing"] == [item["path"] for item in result["removed"]]
    assert last[1]["detail"]["retention"]["removed"] == result["removed"]
    length = len(site.journal.read())
    assert site.apply() == EMPTY  # a second time there is nothing to do or to journal
    assert len(site.journal.read()) == length


def test_what_declared_software_found_in_etc_goes_with_its_transaction(site, tmp_path):
    old = site.install(1)
    host = site.host._replace(root=str(tmp_path))
    for step in ("install", "rollback"):
        EtcBefore(host, {"digest": old}, step).take()
    site.clock.day = 63
    site.install(2)
    assert site.apply()["kept"] == []
    assert os.listdir(os.path.dirname(site.etc(old))) == ["etc-before-install-d4735e3a265e.tar"]


def test_check_mode_removes_and_writes_nothing(site):
    old = site.install(1)
    site.clock.day = 70
    site.install(2)
    with open(site.journal.path, "rb") as handle:
        before = handle.read()
    told = site.apply(check=True)
    assert site.has(old) == ["stage", "preserved", "etc"]
    with open(site.journal.path, "rb") as handle:
        assert handle.read() == before
    assert site.apply() == told


def test_the_days_of_the_setting_count(site):
    old = site.install(1)
    site.clock.day = 30
    site.install(2)
    assert site.apply(days=31) == EMPTY
    assert [item["transaction"] for item in site.apply(days=30)["removed"]] == [old[7:19]] * 3
    with pytest.raises(PatchingError, match=r"patching_preserved_keep_days: 0; expected a whole number from 1"):
        site.apply(days=0)


def test_the_newest_finished_run_stays_whatever_its_age(site):
    only = site.install(1)
    site.clock.day = 3000
    assert site.apply() == EMPTY
    assert site.has(only) == ["stage", "preserved", "etc"]


def test_where_the_newest_was_taken_back_the_one_before_it_stays_too(site):
    oldest, standing = site.install(1), site.install(2)
    undone = site.install(3)
    site.note(site.run_id(4), "rollback", "begin", undone)
    site.note(site.run_id(4), "rollback", "done", undone)
    site.clock.day = 3000
    site.apply()
    assert (site.has(oldest), len(site.has(standing)), len(site.has(undone))) == ([], 3, 3)


@pytest.mark.parametrize("event", ["begin", "failed"])
def test_what_did_not_end_stays_whatever_its_age(site, event):
    half = site.install(1, event)
    site.install(2)
    site.clock.day = 3000
    site.apply()
    assert site.has(half) == ["stage", "preserved", "etc"]
    site.note(site.run_id(3), "rollback", "done", half)  # a person took it back at last
    site.clock.day = 6000
    site.install(4)
    site.apply()
    assert site.has(half) == []


def test_a_rollback_that_did_not_end_stays_whatever_its_age(site):
    half = site.install(1)
    site.install(2)
    site.note(site.run_id(3), "rollback", "failed", half)
    site.clock.day = 3000
    site.apply()
    assert site.has(half) == ["stage", "preserved", "etc"]


def test_while_a_run_holds_the_host_nothing_is_removed(site):
    old = site.install(1)
    site.clock.day = 100
    site.install(2)
    site.journal.hold("20260501T010000Z-cccccccc", {})
    result = site.apply()
    reason = "run 20260501T010000Z-cccccccc holds this host"
    assert result == dict(EMPTY, kept=[{"path": site.host.state_dir, "reason": reason}])
    assert len(site.has(old)) == 3


def test_what_is_staged_for_a_window_to_come_stays(site):
    waits = site.stage(1, window_end="2026-05-03T04:00:00Z")  # 119 days later
    site.clock.day = 1
    site.install(2)
    site.clock.day = 180
    assert site.apply() == EMPTY
    site.clock.day = 182
    site.apply()
    assert site.has(waits) == []


def test_what_this_run_has_staged_stays(site):
    mine = site.stage(1, run_id="20260104T010000Z-aaaaaaaa")
    site.clock.day = 3000
    site.install(2)
    site.apply(run_id="20260104T010000Z-aaaaaaaa")
    assert site.has(mine) == ["stage", "preserved"]


def test_a_clock_that_is_wrong_makes_nothing_old(site):
    old = site.install(1)
    site.install(2)
    site.clock.day = 5000
    assert site.apply(controller_time="2026-02-01T00:00:00Z") == EMPTY
    assert site.has(old) == ["stage", "preserved", "etc"]


def test_a_journal_that_was_written_with_a_clock_behind_makes_nothing_old(site):
    ahead = "20260601T010000Z-aaaaaaaa"  # the controller's clock names runs
    mine = site.stage(1, run_id=ahead)
    site.install(2)
    site.clock.day = 180
    assert site.apply() == EMPTY
    assert site.has(mine) == ["stage", "preserved"]


@pytest.mark.parametrize("damage", [b"no json\n", b'{"schema": 9, "event": "done", "run_id": "r"}\n'])
def test_with_a_journal_that_cannot_be_read_all_is_kept_and_told(site, damage):
    old = site.install(1)
    site.clock.day = 100
    site.install(2)
    with open(site.journal.path, "rb") as handle:
        lines = handle.read()
    with open(site.journal.path, "wb") as handle:
        handle.write(damage + lines)
    result = site.apply()
    assert (result["removed"], len(site.has(old))) == ([], 3)
    assert [item["path"] for item in result["kept"]] == [site.host.state_dir]
    assert "nobody can tell what is needed" in result["kept"][0]["reason"]


@pytest.mark.parametrize("wrong", [{"time": "yesterday"}, {"detail": {"transaction": "none"}}, {"detail": "text"}])
def test_a_record_that_makes_no_sense_keeps_all(site, wrong):
    site.install(1)
    site.clock.day = 100
    site.install(2)
    record = dict(site.journal.read()[0], **wrong)
    with open(site.journal.path, "ab") as handle:
        handle.write(json.dumps(record).encode() + b"\n")
    digest = site.journal.read()[0]["detail"]["transaction"]
    result = site.apply()
    assert (result["removed"], len(site.has(digest))) == ([], 3)
    assert len(result["kept"]) == 1


def test_what_the_journal_does_not_name_or_nobody_knows_is_kept_and_told(site, tmp_path):
    old = site.install(1)
    site.clock.day = 100
    site.install(2)
    foreign = os.path.join(site.host.state_dir, "preserved", "0" * 12)
    os.makedirs(foreign)
    notes = os.path.join(site.host.state_dir, "etc", "notes.txt")
    with open(notes, "w") as handle:
        handle.write("mine")
    result = site.apply()
    assert site.has(old) == []
    assert {item["path"] for item in result["kept"]} == {foreign, notes}
    assert os.path.isdir(foreign)
    assert os.path.exists(notes)


def test_a_link_keeps_its_transaction_and_what_it_points_to(site, tmp_path):
    old = site.install(1)
    site.clock.day = 100
    site.install(2)
    moved = str(tmp_path / "elsewhere")
    os.rename(site.folder("preserved", old), moved)
    os.symlink(moved, site.folder("preserved", old))
    result = site.apply()
    assert result["removed"] == []
    assert result["kept"] == [{"path": site.folder("preserved", old), "reason": "it is a link to another place"}]
    assert os.listdir(moved) == ["debs"]
    assert site.has(old) == ["stage", "preserved", "etc"]


def test_a_folder_that_is_none_is_told(site):
    site.install(1)
    site.clock.day = 100
    site.install(2)
    os.rename(os.path.join(site.host.state_dir, "stage"), os.path.join(site.host.state_dir, "stage.moved"))
    with open(os.path.join(site.host.state_dir, "stage"), "w") as handle:
        handle.write("")
    told = site.apply()["kept"]
    assert [item["path"] for item in told] == [os.path.join(site.host.state_dir, "stage")]
    assert "it cannot be read" in told[0]["reason"]


def test_what_cannot_be_removed_is_told_and_not_counted(site, monkeypatch):
    old = site.install(1)
    site.clock.day = 100
    site.install(2)
    unlink = os.unlink

    def refuse(path, *others, **more):
        if "etc-before" in str(path):
            raise OSError(5, "Input/output error")
        unlink(path, *others, **more)

    monkeypatch.setattr(os, "unlink", refuse)
    result = site.apply()
    assert site.has(old) == ["etc"]
    assert [item["path"] for item in result["kept"]] == [site.etc(old)]
    assert site.etc(old) not in [item["path"] for item in result["removed"]]


def test_a_full_disk_is_made_room_on_all_the_same(site, monkeypatch):
    old = site.install(1)
    site.clock.day = 100
    site.install(2)
    append = Journal.append

    def full(self, *arguments, **detail):
        if site.has(old):
            raise OSError(28, "No space left on device")
        return append(self, *arguments, **detail)

    monkeypatch.setattr(Journal, "append", full)
    assert len(site.apply()["removed"]) == 3
    assert site.has(old) == []
    assert "removed" in site.journal.read()[-1]["detail"]["retention"]


def test_a_host_that_nothing_was_staged_on_stays_empty(site):
    assert site.apply() == EMPTY
    assert not os.path.exists(site.host.state_dir)


@pytest.mark.parametrize("seed", range(25))
def test_over_years_nothing_goes_that_a_way_back_needs(tmp_path, seed):
    """Any history: what is needed is said here anew, from what was done, not from the journal."""
    chance = random.Random(seed)
    site = Site(str(tmp_path / "state"))
    days = chance.choice([1, 10, 31, 62])
    used, unfinished, done, undone, gone = {}, set(), [], set(), set()
    for number in range(30):
        site.clock.day += chance.choice([0, 1, 7, 20, 31, 70])
        kind = chance.choice(["stage", "stage_for_later", "done", "done", "failed", "begin", "back", "half_back"])
        now = site.clock.day
        if kind == "stage_for_later":
            end = now + chance.choice([5, 100])
            stamp = (START + timedelta(days=end)).strftime("%Y-%m-%dT%H:%M:%SZ")
            used[site.stage(number, window_end=stamp)] = end
        elif kind == "stage":
            used[site.stage(number)] = now
        elif kind in ("back", "half_back"):
            there = [digest for digest in done if digest not in undone | gone]
            if not there:
                continue
            digest = there[-1]
            site.note(site.run_id(number), "rollback", "done" if kind == "back" else "failed", digest)
            used[digest] = now
            if kind == "back":
                undone.add(digest)
                unfinished.discard(digest)
            else:
                unfinished.add(digest)
        else:
            digest = site.install(number, kind)
            used[digest] = now
            done.extend([digest] if kind == "done" else [])
            unfinished.update([] if kind == "done" else [digest])
        result = site.apply(days)
        going = {digest for digest in used if digest[7:19] in {item["transaction"] for item in result["removed"]}}
        standing = [digest for digest in done if digest not in undone]
        needed = unfinished | set(done[-1:]) | set(standing[-1:])
        needed |= {digest for digest, day in used.items() if now - day < days}
        assert not needed & going
        gone |= going
        assert all("preserved" in site.has(digest) and "stage" in site.has(digest) for digest in needed - gone)
        assert all(not site.has(digest) for digest in set(used) - needed)  # and the disk does not fill
        assert result["kept"] == []
