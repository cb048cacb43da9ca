# SPDX-License-Identifier: GPL-3.0-or-later
"""A host's numbers of earlier readings: bounded, never trusted when damaged, and what is usual by them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import figure_history
from ansible_collections.hospital.patching.plugins.plugin_utils.figure_history import FigureHistory

TIME = "2026-11-22T08:00:00Z"
LATENCY = ("page", ("latency_ms", ""))


def page(latency_ms: int, verdict: str = "ok", name: str = "page") -> dict[str, Any]:
    return {"name": name, "verdict": verdict, "value": {"latency_ms": latency_ms}}


def disk(free_percent: int) -> dict[str, Any]:
    return {"name": "disks", "verdict": "ok", "value": {"disks": {"/srv": {"free_percent": free_percent}}}}


def known(*latencies: int) -> FigureHistory:
    history = FigureHistory()
    for latency_ms in latencies:
        history = history.with_reading(TIME, "run 1", [page(latency_ms), disk(100 - latency_ms)])
    return history


def test_what_was_read_is_kept_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "figures" / "ris1.json"
    assert FigureHistory.read(path) == FigureHistory()
    history = known(12, 14)
    history.write(path, "ris1")
    assert FigureHistory.read(path) == history
    assert json.loads(path.read_text())["readings"][0] == {
        "time": TIME,
        "by": "run 1",
        "figures": {"page": [["latency_ms", "", 12]], "disks": [["disk_free_percent", "/srv", 88]]},
    }


def test_only_healthy_readings_with_numbers_teach_anything() -> None:
    assert FigureHistory().with_reading(TIME, "r", [page(5, "failed"), page(6, "inconclusive")]) == FigureHistory()
    assert FigureHistory().with_reading(TIME, "r", [{"name": "a", "verdict": "ok", "value": None}]) == FigureHistory()


def test_usual_is_the_worst_of_few_and_not_the_worst_tenth_of_many() -> None:
    assert known(1, 2, 3, 4).usual() == {}
    assert known(9, 2, 3, 4, 1).usual()[LATENCY] == 9
    many = known(*range(1, 11))
    assert many.usual()[LATENCY] == 9
    assert many.usual()["disks", ("disk_free_percent", "/srv")] == 91  # less is worse


def test_a_counter_is_never_usual() -> None:
    history = FigureHistory()
    for _time in range(9):
        unit = {"name": "ris", "verdict": "ok", "value": {"restarts": {"ris.service": 5}}}
        history = history.with_reading(TIME, "run 1", [unit])
    assert history.usual() == {}


def test_it_is_bounded_in_readings_numbers_and_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [reading["figures"]["page"][0][2] for reading in known(*range(70)).readings] == list(range(10, 70))
    many = FigureHistory().with_reading(TIME, "r", [page(1, name=str(number)) for number in range(300)])
    assert len(many.readings[0]["figures"]) == figure_history.READING_FIGURES
    monkeypatch.setattr(figure_history, "BYTES", 2000)
    path = tmp_path / "ris1.json"
    known(*range(70)).write(path, "ris1")
    kept = FigureHistory.read(path).readings
    assert sum(len(json.dumps(reading)) for reading in kept) <= 2000
    assert kept[-1]["figures"]["page"][0][2] == 69


def test_what_changed_is_told_with_its_trend() -> None:
    found = known(12, 14, 13, 15, 11, 10).changed([page(12), disk(50), page(3, name="gone")], [page(40), disk(49)])
    assert found == [
        {
            "probe": "page",
            "figure": "latency_ms",
            "of": "",
            "unit": "ms",
            "before": 12,
            "after": 40,
            "usual": 15,
            "earlier": [12, 14, 13, 15, 11, 10],
        },
        {
            "probe": "disks",
            "figure": "disk_free_percent",
            "of": "/srv",
            "unit": "%",
            "before": 50,
            "after": 49,
            "usual": 85,
            "earlier": [88, 86, 87, 85, 89, 90],
        },
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "[]",
        '{"schema": 2, "readings": []}',
        '{"schema": 1, "readings": 5}',
        '{"schema": 1, "readings": [{"time": "", "by": "", "figures": {"page": [["latency_ms", "", "12"]]}}]}',
        '{"schema": 1, "readings": [{"time": "", "by": "", "figures": []}]}',
        '{"schema": 1, "readings": [{"figures": {}}]}',
    ],
)
def test_a_damaged_history_is_refused_by_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "ris1.json"
    path.write_text(text)
    with pytest.raises(PatchingError) as refusal:
        FigureHistory.read(path)
    assert str(path) in refusal.value.subject
    assert refusal.value.next_step


def test_a_history_that_may_not_be_looked_at_is_refused_by_name(tmp_path: Path) -> None:
    # A name that is too long stands for all that stat(2) refuses: the tests may run as root, whom nothing is denied.
    with pytest.raises(PatchingError, match="a file that can be read"):
        FigureHistory.read(tmp_path / ("x" * 300))


def test_a_number_that_this_version_does_not_know_is_kept_and_not_used(tmp_path: Path) -> None:
    path = tmp_path / "ris1.json"
    reading = {"time": TIME, "by": "run 1", "figures": {"page": [["heat", "", 12]]}}
    path.write_text(json.dumps({"schema": 1, "readings": [reading] * 9}))
    history = FigureHistory.read(path)
    assert history.usual() == {}
    assert len(history.with_reading(TIME, "run 2", [page(5)]).readings) == 10
