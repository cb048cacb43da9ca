# SPDX-License-Identifier: GPL-3.0-or-later
"""The probe ``log``: what is new is found wherever rotation put it, and no line of it is kept."""

import bz2
import gzip
import os
import shutil

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.probes import log, registry

BAD = "ERROR patient Mustermann\n"


class Log:
    """A log that an application writes and logrotate puts aside, and the probe's readings of it."""

    def __init__(self, folder, context):
        self.path = folder / "app.log"
        self.context = context
        self.before = None
        self.path.write_text("start\nERROR old\n")

    def append(self, text, path=None):
        with open(str(path or self.path), "a") as handle:
            handle.write(text)

    def rotate(self, name="app.log.1"):
        self.path.rename(self.path.with_name(name))
        self.path.write_text("")

    def age(self, name, seconds):
        os.utime(str(self.path.with_name(name)), (seconds, seconds))

    def read(self, **options):
        definition = dict({"path": str(self.path), "line_regexp": "ERROR"}, name="l", type="log", **options)
        since = [self.before] if self.before else []
        (probe,) = registry.build_all([definition], False, self.context, since)
        return probe.read()

    def note(self):
        self.before = self.read()
        assert self.before["verdict"] == "ok"


@pytest.fixture
def written(tmp_path, make_context):
    return Log(tmp_path, make_context())


@pytest.fixture
def noted(written):
    """A log whose end was noted."""
    written.note()
    return written


def test_what_was_there_before_does_not_count(noted):
    noted.append("fine\n")
    result = noted.read()
    assert (result["verdict"], result["value"]["matches"]) == ("ok", 0)


def test_new_matches_are_counted_and_no_line_is_kept(noted):
    noted.append("fine\n" + BAD + "fine\n" + BAD)
    result = noted.read()
    assert (result["verdict"], result["value"]["matches"], result["value"]["lines"]) == ("failed", 2, [2, 4])
    assert "line 2, 4" in result["detail"]
    assert "Mustermann" not in str(result)
    assert noted.read(limit=2)["verdict"] == "ok"


def test_a_line_without_its_end_counts(noted):
    noted.append(BAD.strip())
    assert noted.read()["value"]["matches"] == 1


def test_a_rotated_log_is_read_to_its_end_and_on(noted):
    noted.append(BAD)
    noted.rotate()
    noted.append("fine\n" + BAD)
    result = noted.read()
    assert (result["value"]["lines"], result["value"]["parts"]) == ([1, 3], 2)


def test_one_that_was_rotated_twice_is_read_whole(noted):
    noted.append(BAD)
    noted.rotate("app.log.2")
    noted.append(BAD)
    noted.rotate("app.log.1")
    noted.age("app.log.2", 1000)
    noted.age("app.log.1", 2000)
    assert noted.read()["value"]["lines"] == [1, 2]


@pytest.mark.parametrize("other", ["app-audit.log", "app.error.log", "app.log-errors", "app.2026-11-22.out"])
def test_another_log_beside_it_is_none_of_its_parts(noted, other):
    noted.append(BAD, noted.path.with_name(other))
    noted.rotate()
    noted.age("app.log.1", 1000)
    result = noted.read()
    assert (result["verdict"], result["value"]["matches"]) == ("ok", 0)


@pytest.mark.parametrize(
    "name", ["app.log.1", "app.log-20261122", "app-2026-11-22T02:00.log", "app.log.old", "app.log1"]
)
def test_parts_are_known_by_their_names(noted, name):
    noted.rotate("app.log.2")
    noted.append(BAD)
    noted.rotate(name)
    noted.age("app.log.2", 1000)
    noted.age(name, 2000)
    assert noted.read()["value"]["lines"] == [1]


@pytest.mark.parametrize(("opened", "ending"), [(gzip.open, "gz"), (bz2.open, "bz2")])
def test_one_that_was_compressed_is_read(noted, opened, ending):
    noted.append(BAD)
    aside = noted.path.with_name("app-20261122.log." + ending)
    with opened(str(aside), "wb") as handle:
        handle.write(noted.path.read_bytes())
    noted.path.unlink()
    noted.path.write_text("fine\n")
    assert noted.read()["value"]["lines"] == [1]


def test_an_older_one_that_begins_in_the_same_way_is_not_taken_for_it(noted):
    for days, new in ((1, BAD), (2, "fine\n")):
        name = "app.log.{}.gz".format(3 - days)
        with gzip.open(str(noted.path.with_name(name)), "wb") as handle:
            handle.write(noted.path.read_bytes() + new.encode())
        noted.age(name, days * 86400)
    noted.path.unlink()
    noted.path.write_text("fine\n")
    assert noted.read()["value"]["lines"] == []


def test_what_is_compressed_is_not_read_for_longer_than_the_time_limit(noted, monkeypatch):
    with gzip.open(str(noted.path.with_name("app.log.1.gz")), "wb") as handle:
        handle.write(b"fine\n" * 100)
    noted.before["value"]["offset"] = 10**12
    noted.path.unlink()
    noted.path.write_text("fine\n")
    monkeypatch.setattr(log, "CHUNK", 10)

    class Hurrying(Clock):
        """Every look at it takes a second."""

        seconds = 0

        def monotonic(self):
            self.seconds += 1
            return self.seconds

    noted.context = noted.context._replace(clock=Hurrying())
    result = noted.read(timeout_s=5)
    assert (result["verdict"], result["detail"]) == ("inconclusive", "what is new was not read within 5 s")


def test_one_that_was_copied_and_truncated_is_read(noted):
    noted.append(BAD)
    shutil.copy(str(noted.path), str(noted.path.with_name("app.log.1")))
    noted.path.write_text("")
    noted.append("fine\n" * 20 + BAD)  # longer than before already
    assert noted.read()["value"]["lines"] == [1, 22]


@pytest.mark.parametrize("rest", ["", "fine\n" * 20])
def test_one_that_was_truncated_and_is_lost_is_inconclusive(noted, rest):
    noted.append(BAD)
    noted.path.write_text(rest)
    result = noted.read()
    assert result["verdict"] == "inconclusive"
    assert "rotated or truncated" in result["detail"]


def test_a_match_counts_although_another_part_is_lost(noted):
    noted.path.unlink()
    noted.path.write_text(BAD)
    assert noted.read()["verdict"] == "failed"


def test_older_logs_are_not_read_again(noted):
    old = noted.path.with_name("app.log.2")
    old.write_text(BAD * 3)
    noted.age("app.log.2", 1000)
    noted.rotate()
    assert noted.read()["value"]["matches"] == 0


def test_another_log_beside_it_is_not_read(noted):
    noted.path.with_name("billing.log").write_text(BAD)
    noted.rotate()
    noted.path.with_name("application.log").write_text(BAD)
    assert noted.read()["value"]["matches"] == 0


def test_one_whose_inode_is_another_after_a_reboot_is_the_same_log(noted):
    noted.before["value"]["inode"] += 1000000
    noted.append("fine\n" + BAD)
    result = noted.read()
    assert (result["value"]["lines"], result["value"]["parts"]) == ([2], 1)


def test_an_empty_log_is_a_beginning_too(written):
    written.path.write_text("")
    written.note()
    written.append(BAD)
    written.rotate()
    assert written.read()["value"]["matches"] == 1


def test_one_that_is_read_again_without_a_reading_before_counts_from_the_first(written, make_context):
    definition = {"name": "l", "type": "log", "path": str(written.path), "line_regexp": "ERROR"}
    probe = registry.build(definition, make_context())
    assert probe.read()["verdict"] == "ok"
    written.append(BAD)
    assert probe.read()["verdict"] == "failed"


@pytest.mark.parametrize("before", [None, {}, {"inode": 1}, {"inode": "a", "offset": 1, "mark": 1}, [1]])
def test_a_reading_from_before_that_holds_no_end_is_none(written, before):
    written.before = {"name": "l", "type": "log", "value": before}
    written.append(BAD)
    assert written.read()["verdict"] == "ok"


def test_what_is_no_log_is_inconclusive(written, tmp_path):
    os.mkfifo(str(tmp_path / "pipe"))
    for path in (tmp_path / "pipe", tmp_path, tmp_path / "missing"):
        written.path = path
        assert written.read()["verdict"] == "inconclusive"


def test_more_than_can_be_read_is_inconclusive(noted, monkeypatch):
    monkeypatch.setattr(log, "NEW_LIMIT", 1000)
    noted.append("fine\n" * 300)
    assert noted.read()["verdict"] == "inconclusive"


def test_a_damaged_log_beside_it_is_passed_over(noted):
    noted.path.with_name("app.log.2.gz").write_bytes(b"\x1f\x8b nonsense")
    noted.append(BAD)
    noted.rotate()
    assert noted.read()["verdict"] in ("failed", "inconclusive")


def test_the_mark_is_too_small_to_tell_a_line(noted):
    assert 0 <= noted.before["value"]["mark"] < 65536


@pytest.mark.parametrize(
    "options",
    [
        {"path": "/var/log/a"},
        {"path": "a.log", "line_regexp": "x"},
        {"path": "/var/log/", "line_regexp": "x"},
        {"path": "/var/log/a", "line_regexp": "("},
        {"path": "/var/log/a", "line_regexp": "x", "limit": -1},
        {"path": "/var/log/a", "pattern": "x"},
    ],
)
def test_a_bad_definition_is_refused(options):
    with pytest.raises(PatchingError):
        registry.check(dict(options, name="l", type="log"))
