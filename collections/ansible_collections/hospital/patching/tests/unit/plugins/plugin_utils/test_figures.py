# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers before and after: equal ones never fail a host, worse ones never help it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.hospital.patching.plugins.plugin_utils import figures
from ansible_collections.hospital.patching.plugins.plugin_utils.figures import (
    BY_NAME,
    FIGURES,
    TIERS,
    Figure,
    Numbers,
    Threshold,
    figures_of,
    judge,
    read_thresholds,
)
from ansible_collections.hospital.patching.plugins.plugin_utils.health import compare, fit_to_start, notes

WEIGHTS = ("ok", "told", "failed")
NUMBER = st.integers(0, 10**12)
ANY_FIGURE = st.sampled_from(FIGURES)
#: One that fell is better.
ANY_LEVEL = st.sampled_from([figure for figure in FIGURES if not figure.is_counter])


PERCENT = st.none() | st.integers(0, 100)
#: Any that a site may set.
THRESHOLDS = st.builds(Threshold, st.integers(0, 1000), PERCENT, PERCENT, PERCENT)


def result(type_: str, value: Any, verdict: str = "ok", name: str = "x") -> dict[str, Any]:
    return {"name": name, "type": type_, "target": type_, "verdict": verdict, "detail": "it is so", "value": value}


@given(threshold=THRESHOLDS, figure=ANY_FIGURE, number=NUMBER, usual=st.none() | NUMBER)
def test_a_number_that_is_equal_is_never_told_nor_failed(
    threshold: Threshold, figure: Figure, number: int, usual: int | None
) -> None:
    assert judge(figure, threshold, number, number, usual) == "ok"


@given(threshold=THRESHOLDS, figure=ANY_LEVEL, before=NUMBER, after=st.tuples(NUMBER, NUMBER), usual=st.none() | NUMBER)
def test_a_worse_number_never_weighs_less(
    threshold: Threshold, figure: Figure, before: int, after: tuple[int, int], usual: int | None
) -> None:
    better, worse = sorted(after, key=figure.amount)
    weights = [WEIGHTS.index(judge(figure, threshold, before, one, usual)) for one in (better, worse)]
    assert weights[0] <= weights[1]


@given(threshold=THRESHOLDS, figure=ANY_LEVEL, before=st.tuples(NUMBER, NUMBER), after=NUMBER, usual=st.none() | NUMBER)
def test_what_was_worse_before_is_never_blamed_more(
    threshold: Threshold, figure: Figure, before: tuple[int, int], after: int, usual: int | None
) -> None:
    better, worse = sorted(before, key=figure.amount)
    blamed = [WEIGHTS.index(judge(figure, threshold, one, after, usual)) for one in (better, worse)]
    assert blamed[0] >= blamed[1]
    without = judge(figure, threshold, better, after)
    assert WEIGHTS.index(judge(figure, threshold, better, after, worse)) <= WEIGHTS.index(without)


@given(figure=ANY_LEVEL, before=NUMBER, after=NUMBER)
def test_a_number_that_became_better_is_ok(figure: Figure, before: int, after: int) -> None:
    if figure.amount(after) <= figure.amount(before):
        assert judge(figure, figure.threshold(1), before, after) == "ok"


@given(figure=ANY_FIGURE, before=NUMBER, after=NUMBER)
def test_a_tier_that_matters_more_is_never_judged_more_mildly(figure: Figure, before: int, after: int) -> None:
    weights = [WEIGHTS.index(judge(figure, figure.threshold(tier), before, after)) for tier in TIERS]
    assert weights == sorted(weights, reverse=True)


VALUES = st.fixed_dictionaries(
    {},
    optional={
        "latency_ms": NUMBER,
        "load_percent": NUMBER,
        "available_percent": st.integers(0, 100),
        "swap_used_percent": st.integers(0, 100),
        "offset_ms": st.none() | NUMBER,
        "lag_bytes": NUMBER,
        "failed_units": st.integers(0, 9),
        "restarts": st.dictionaries(st.sampled_from(["a.service", "b.service"]), st.integers(0, 9)),
        "disks": st.dictionaries(
            st.sampled_from(["/", "/srv"]), st.fixed_dictionaries({"free_percent": st.integers(0, 100)})
        ),
    },
)


@given(value=VALUES, verdict=st.sampled_from(["ok", "failed", "inconclusive"]), tier=st.sampled_from(TIERS))
def test_a_host_whose_numbers_are_equal_to_before_is_never_failed(value: Any, verdict: str, tier: int) -> None:
    one = [result("x", value, verdict)]
    assert compare(one, one, Numbers.of(tier)).verdict != "failed"


@given(before=VALUES, after=VALUES, tier=st.sampled_from(TIERS))
def test_every_failure_names_the_number_and_both_readings(before: Any, after: Any, tier: int) -> None:
    compared = compare([result("x", before)], [result("x", after)], Numbers.of(tier))
    for finding in compared.findings:
        assert " was " in finding["finding"]
        assert any(name in finding["finding"] for name in BY_NAME)


@pytest.mark.parametrize(
    ("name", "tier", "before", "after", "expected"),
    [
        ("latency_ms", 1, 12, 500, "ok"),
        ("latency_ms", 1, 12, 513, "failed"),
        ("latency_ms", 4, 12, 5000, "ok"),
        ("latency_ms", 1, 900, 1900, "told"),
        ("latency_ms", 1, 900, 2800, "failed"),
        ("restarts", 1, 0, 1, "failed"),
        ("restarts", 3, 0, 1, "ok"),
        ("restarts", 3, 0, 2, "failed"),
        ("restarts", 1, 9, 0, "ok"),
        ("restarts", 1, 9, 3, "failed"),  # the patch started it anew, and it died three times since
        ("restarts", 3, 9, 1, "ok"),
        ("restarts", 3, 9, 9, "ok"),
        ("failed_units", 1, 0, 3, "told"),
        ("load_percent", 1, 20, 120, "ok"),
        ("load_percent", 1, 20, 121, "failed"),
        ("memory_available_percent", 3, 60, 6, "told"),
        ("memory_available_percent", 3, 60, 4, "failed"),
        ("memory_available_percent", 3, 4, 1, "ok"),
        ("disk_free_percent", 1, 40, 9, "failed"),
        ("disk_free_percent", 1, 9, 2, "told"),
        ("disk_free_percent", 1, 40, 39, "ok"),
        ("clock_offset_ms", 2, 0, 101, "failed"),
        ("replication_lag_ms", 1, 0, 5001, "failed"),
    ],
)
def test_the_defaults(name: str, tier: int, before: int, after: int, expected: str) -> None:
    figure = BY_NAME[name]
    assert judge(figure, figure.threshold(tier), before, after) == expected


def test_what_is_usual_for_the_host_excuses_a_number_but_no_counter() -> None:
    latency, restarts = BY_NAME["latency_ms"], BY_NAME["restarts"]
    assert judge(latency, latency.threshold(1), 12, 900) == "failed"
    assert judge(latency, latency.threshold(1), 12, 900, usual=600) == "ok"
    assert judge(restarts, restarts.threshold(1), 0, 1, usual=5) == "failed"


def test_numbers_are_read_from_every_kind_of_value() -> None:
    disks = {"/srv": {"free_percent": 40, "inodes_free_percent": None, "free_bytes": 5}}
    assert figures_of(result("disk", {"disks": disks})) == {("disk_free_percent", "/srv"): 40}
    assert figures_of(result("systemd", {"failed_units": 1, "restarts": {"a.service": 2}})) == {
        ("failed_units", ""): 1,
        ("restarts", "a.service"): 2,
    }
    assert figures_of(result("time", {"offset_ms": None, "synchronised": True})) == {}
    assert figures_of(result("http", {"latency_ms": 12, "status": 200})) == {("latency_ms", ""): 12}


@pytest.mark.parametrize("value", [None, "x", [1], {"latency_ms": "12"}, {"latency_ms": True}, {"disks": {"/": 5}}])
def test_what_holds_no_number_has_none(value: Any) -> None:
    assert figures_of(result("http", value)) == {}


def test_a_worse_number_is_found_beside_what_a_probe_says() -> None:
    before = result("systemd", {"restarts": {"ris.service": 0}})
    after = result("systemd", {"restarts": {"ris.service": 4}})
    compared = compare([before], [after])
    assert compared.verdict == "failed"
    assert compared.findings[0]["finding"] == "restarts of ris.service was 0 and is 4 restarts now"


@pytest.mark.parametrize("now", ["ok", "failed"])
def test_how_quickly_a_broken_service_answered_before_is_nothing_to_compare_with(now: str) -> None:
    before = [result("http", {"latency_ms": 2, "status": 503}, "failed")]
    after = [result("http", {"latency_ms": 9000, "status": 200}, now)]
    assert compare(before, after, Numbers.of(1)).verdict == "ok"
    loaded = [result("load", {"load_percent": 20}, "failed")], [result("load", {"load_percent": 900}, now)]
    assert compare(*loaded, Numbers.of(1)).verdict == "failed"


def test_a_number_that_is_only_told_leaves_the_verdict() -> None:
    compared = compare([result("load", {"load_percent": 100})], [result("load", {"load_percent": 300})])
    assert compared.verdict == "ok"
    assert [finding["verdict"] for finding in compared.findings] == ["ok"]


def test_what_the_site_changes_counts() -> None:
    changed: dict[str, dict[str, int | None]] = {"latency_ms": {"noise": 10, "failed_percent": 50}}
    before, after = [result("http", {"latency_ms": 12})], [result("http", {"latency_ms": 30})]
    assert compare(before, after, Numbers.of(3, changed)).verdict == "failed"
    assert compare(before, after, Numbers.of(3)).verdict == "ok"


def test_a_disk_that_is_full_before_is_a_reason_unless_the_site_says_otherwise() -> None:
    full = [result("disk", {"disks": {"/srv": {"free_percent": 2}}}, name="disks")]
    reason = fit_to_start(full)
    assert reason is not None
    assert "disk_free_percent of /srv is 2 %, the limit is 5" in reason
    assert fit_to_start(full, ["disks"]) is None
    assert notes(full, ["disks"]) == ["disks: disk_free_percent of /srv is 2 %, the limit is 5 (before the update)"]
    assert compare(full, full).findings == []
    usual = {("disks", ("disk_free_percent", "/srv")): 3}
    assert fit_to_start(full, numbers=Numbers.of(3, usual=usual)) is None


def test_what_a_site_changes_is_read_by_tier_and_figure() -> None:
    assert read_thresholds({1: {"latency_ms": {"noise": 5, "limit": None}}}) == {
        "1": {"latency_ms": {"noise": 5, "limit": None}}
    }


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("tight", "a mapping of tiers 1 to 4"),
        ({5: {}}, "5 is none of 1, 2, 3, 4"),
        ({1: []}, "figures of tier 1"),
        ({1: {"latency": {}}}, "latency is none of latency_ms"),
        ({1: {"latency_ms": 5}}, "noise, told_percent"),
        ({1: {"latency_ms": {"max": 5}}}, "max is none of noise"),
        ({1: {"latency_ms": {"noise": None}}}, "for noise of latency_ms a whole number"),
        ({1: {"latency_ms": {"limit": -1}}}, "for limit of latency_ms a whole number"),
        ({1: {"latency_ms": {"limit": True}}}, "for limit of latency_ms a whole number"),
        ({1: {"disk_free_percent": {"failed_percent": 101}}}, "for failed_percent of disk_free_percent at most 100"),
    ],
)
def test_what_is_not_understood_is_refused_by_name(value: object, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        read_thresholds(value)


def test_the_documentation_tells_the_defaults() -> None:
    document = (Path(figures.__file__).parents[2] / "docs" / "probes_host.md").read_text(encoding="utf-8")
    rows = {cells[0].strip("` "): cells for cells in map(_cells, document.splitlines()) if len(cells) == 6}
    for figure in FIGURES:
        noise, told, failed, limit = rows[figure.name][2:]
        assert (told, failed, limit) == tuple(map(_written, (figure.told, figure.failed, figure.limit)))
        assert noise == _written(figure.noise) or noise.endswith(" MiB")


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")] if line.startswith("| `") else []


def _written(value: int | tuple[int, ...] | None) -> str:
    numbers = () if value is None else value if isinstance(value, tuple) else (value,)
    return ", ".join(map(str, numbers if len(set(numbers)) > 1 else numbers[:1]))
