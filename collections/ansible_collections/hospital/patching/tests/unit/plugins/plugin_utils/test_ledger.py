# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import errno
import json
import os
import random
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.canonical import canonical_json, digest
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import ledger as ledger_module
from ansible_collections.hospital.patching.plugins.plugin_utils.ledger import GENESIS, Head, Ledger, verify

RUN = "20261122T080000Z-ab12cd34"


class Clock:
    def stamp(self):
        return "2026-11-22T08:00:00Z"


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path / RUN / "ledger.jsonl", Clock())


@pytest.fixture
def filled(ledger):
    for number in range(6):
        ledger.append(RUN, "install", "done", host=f"db{number}", detail={"number": number})
    return ledger


def lines(ledger):
    return ledger.path.read_bytes().splitlines(keepends=True)


def rewrite(ledger, content):
    ledger.path.write_bytes(b"".join(content))


def rehashed(line, **change):
    record = json.loads(line) | change
    body = {key: value for key, value in record.items() if key != "hash"}
    return canonical_json(body | {"hash": digest(body)}).encode() + b"\n"


def test_nothing_is_there_until_the_first_record(ledger):
    assert ledger.read() == []
    assert ledger.head() == Head(0, GENESIS)
    assert verify(ledger.path) == []
    assert not ledger.path.parent.exists()


def test_records_are_chained_from_zeros(filled):
    records = filled.read()
    assert [record["seq"] for record in records] == [1, 2, 3, 4, 5, 6]
    assert records[0]["previous"] == GENESIS
    assert all(one["hash"] == other["previous"] for one, other in pairwise(records))
    assert verify(filled.path, filled.head()) == []


def test_a_record_returned_is_the_record_kept(ledger):
    assert ledger.append(RUN, "gate", "refused", host="db1", detail={"reason": "Fenster zu"}) == ledger.read()[0]


@pytest.mark.parametrize("number", range(6))
def test_a_changed_record_is_found(filled, number):
    content = lines(filled)
    content[number] = content[number].replace(b'"done"', b'"note"')
    rewrite(filled, content)
    assert any("changed" in finding.problem and finding.line == number + 1 for finding in verify(filled.path))
    with pytest.raises(PatchingError, match="hash fits"):
        filled.read()


@pytest.mark.parametrize("number", range(5))
def test_a_changed_record_with_a_new_hash_is_found_at_the_next(filled, number):
    content = lines(filled)
    content[number] = rehashed(content[number], event="note")
    rewrite(filled, content)
    assert [finding.line for finding in verify(filled.path)] == [number + 2]


def test_the_last_record_with_a_new_hash_is_found_against_the_head(filled):
    head, content = filled.head(), lines(filled)
    content[5] = rehashed(content[5], event="note")
    rewrite(filled, content)
    assert verify(filled.path) == []
    assert len(verify(filled.path, head)) == 1


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"event":"done"', b'"event":"failed","event":"done"'),
        (b'"number":5', b'"number":0,"number":5'),
        (b'"event":"done"', b'"event": "done"'),
        (b'"db5"', b'"\\u0064b5"'),
        (b"}\n", b"} \n"),
    ],
    ids=["a key twice", "a key twice within", "white space", "an escape", "white space behind it"],
)
def test_a_record_that_reads_the_same_but_is_written_otherwise_is_found(filled, old, new):
    content = lines(filled)
    content[5] = content[5].replace(old, new)
    rewrite(filled, content)
    (finding,) = verify(filled.path, Head(6, json.loads(content[5])["hash"]))
    assert (finding.line, finding.problem) == (6, "it is not written as the ledger writes it, so it was changed")
    for act in (filled.read, filled.last, lambda: filled.append(RUN, "return", "done")):
        with pytest.raises(PatchingError, match="it was changed"):
            act()


@pytest.mark.parametrize("number", range(5))
def test_a_dropped_record_is_found(filled, number):
    content = lines(filled)
    del content[number]
    rewrite(filled, content)
    assert verify(filled.path)


@pytest.mark.parametrize("number", range(5))
def test_reordered_records_are_found(filled, number):
    content = lines(filled)
    content[number], content[number + 1] = content[number + 1], content[number]
    rewrite(filled, content)
    assert verify(filled.path)


def test_a_doubled_record_is_found(filled):
    content = lines(filled)
    rewrite(filled, [*content, content[-1]])
    assert verify(filled.path)


@pytest.mark.parametrize("kept", range(6))
def test_records_cut_off_at_the_end_are_found_against_the_head(filled, kept):
    head = filled.head()
    rewrite(filled, lines(filled)[:kept])
    findings = verify(filled.path, head)
    assert [finding.problem for finding in findings] == [f"6 records were sealed, {kept} are left: the end was cut off"]


def test_records_added_after_sealing_are_found(filled):
    head = filled.head()
    filled.append(RUN, "record", "note")
    assert verify(filled.path, head)


@pytest.mark.parametrize("line", [b"not json\n", b"{}\n", b"[1]\n", b"\xff\xfe\n", b"\n"])
def test_a_line_that_is_no_record_is_found(filled, line):
    content = lines(filled)
    content[2] = line
    rewrite(filled, content)
    assert any(finding.line == 3 for finding in verify(filled.path))
    with pytest.raises(PatchingError, match="line 3"):
        filled.read()


def test_a_torn_last_line_is_left_out_then_cut_and_the_cut_is_on_record(filled):
    with filled.path.open("ab") as handle:
        handle.write(b'{"torn":')
    assert len(filled.read()) == 6
    assert [finding.problem for finding in verify(filled.path)] == ["the last line is torn"]
    filled.append(RUN, "return", "done", host="db1")
    assert filled.read()[6]["detail"] == {"torn_line_bytes": 8}
    assert verify(filled.path) == []


def test_nothing_is_added_behind_a_damaged_record(filled):
    rewrite(filled, [*lines(filled)[:-1], b"not json\n"])
    with pytest.raises(PatchingError, match="the last record"):
        filled.append(RUN, "return", "done")


def test_long_records_are_read_back_from_the_end(ledger):
    for size in (1, 20_000, 9_000, 100_000, 1):
        ledger.append(RUN, "install", "done", detail={"log": "ä" * size})
    assert verify(ledger.path) == []
    assert len(ledger.read()) == 5


@pytest.mark.parametrize(
    ("step", "event", "detail"),
    [
        ("instal", "done", {}),
        ("install", "finished", {}),
        ("record", "outcome", {}),
        ("record", "outcome", {"outcome": "fine", "reason": ""}),
        ("install", "done", {"seconds": 1.5}),
        ("install", "done", {"path": object()}),
    ],
)
def test_a_record_that_does_not_fit_is_refused_and_not_written(ledger, step, event, detail):
    with pytest.raises(PatchingError):
        ledger.append(RUN, step, event, host="db1", detail=detail)
    assert ledger.read() == []


def test_a_run_id_of_another_form_is_refused(ledger):
    with pytest.raises(PatchingError, match="run_id"):
        ledger.append("tonight", "install", "done")


def test_a_ledger_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(PatchingError, match="without evidence nothing more is done"):
        Ledger(tmp_path / "file" / "ledger.jsonl", Clock()).append(RUN, "install", "done")


def test_a_full_disk_is_refused(ledger, monkeypatch):
    def full(_descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(PatchingError, match="make room"):
        ledger.append(RUN, "install", "done")


WRITER = """
import sys
from itertools import pairwise
from pathlib import Path
from ansible_collections.hospital.patching.plugins.plugin_utils.ledger import Ledger
writer = int(sys.argv[2])
for number in range(10):
    detail = {"number": number, "log": "x" * (writer * 3000)}
    Ledger(Path(sys.argv[1])).append("20261122T080000Z-ab12cd34", "install", "done", f"db{writer}", detail)
"""


def test_many_processes_append_to_one_chain(ledger):
    collections = Path(ledger_module.__file__).parents[5]
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(ledger.path), str(writer)],
            env={**os.environ, "PYTHONPATH": str(collections)},
        )
        for writer in range(4)
    ]
    assert [writer.wait(timeout=120) for writer in writers] == [0] * 4
    records = ledger.read()
    assert verify(ledger.path, ledger.head()) == []
    for writer in range(4):
        assert [one["detail"]["number"] for one in records if one["host"] == f"db{writer}"] == list(range(10))


def test_no_random_damage_of_one_byte_goes_unnoticed(filled):
    shuffler, head, original = random.Random(6), filled.head(), filled.path.read_bytes()
    for _attempt in range(300):
        position = shuffler.randrange(len(original))
        damaged = bytearray(original)
        damaged[position] ^= 1 << shuffler.randrange(8)
        filled.path.write_bytes(bytes(damaged))
        assert verify(filled.path, head), f"byte {position}"
