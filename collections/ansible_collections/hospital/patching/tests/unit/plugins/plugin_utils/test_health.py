# SPDX-License-Identifier: GPL-3.0-or-later
"""Health before and after: what broke is found, what was broken is not blamed, what is unknown never passes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.hospital.patching.plugins.plugin_utils.health import Comparison, compare, fit_to_start, notes


def reading(name: str = "portal", verdict: str = "ok", type_: str = "http", value: Any = None) -> dict[str, Any]:
    return {
        "name": name,
        "type": type_,
        "target": "http://portal1/",
        "verdict": verdict,
        "detail": f"it is {verdict}",
        "seconds_ms": 12,
        "value": value,
    }


def units(failed: list[str], named: list[str] | None = None) -> dict[str, Any]:
    states = dict.fromkeys(failed, "failed (failed)")
    value = {"failed": failed, "named": named or [], "units": states}
    return reading("units", "failed" if failed else "ok", "units", value)


def ports(*listening: str, named: list[str] | None = None) -> dict[str, Any]:
    return reading("ports", "ok", "ports", {"listening": list(listening), "named": named or []})


def mounts(**read_only: bool) -> dict[str, Any]:
    table = {f"/{path}": {"source": "/dev/vdb", "type": "xfs", "read_only": flag} for path, flag in read_only.items()}
    return reading("mounts", "ok", "mounts", {"mounts": table, "named": []})


def only(comparison: Comparison) -> str:
    assert len(comparison.findings) == 1
    return comparison.findings[0]["finding"]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("ok", "ok", "ok"),
        ("ok", "failed", "failed"),
        ("ok", "inconclusive", "inconclusive"),
        ("ok", None, "inconclusive"),
        ("failed", "failed", "ok"),
        ("failed", "ok", "ok"),
        ("failed", "inconclusive", "inconclusive"),
        ("failed", None, "inconclusive"),
        ("inconclusive", "ok", "ok"),
        ("inconclusive", "failed", "failed"),
        ("inconclusive", "inconclusive", "inconclusive"),
        (None, "ok", "ok"),
        (None, "failed", "failed"),
        (None, "inconclusive", "inconclusive"),
    ],
)
def test_every_pair_of_verdicts(before: str | None, after: str | None, expected: str) -> None:
    anchor = [reading("anchor")]
    compared = compare(
        anchor + ([reading(verdict=before)] if before else []), anchor + ([reading(verdict=after)] if after else [])
    )
    assert compared.verdict == expected


def test_healthy_has_no_findings() -> None:
    assert compare([reading()], [reading()]) == Comparison("ok", [])


def test_what_was_broken_before_is_reported_and_not_blamed() -> None:
    compared = compare([reading(verdict="failed")], [reading(verdict="failed")])
    assert only(compared) == "was already failing before the update: it is failed"
    assert compared.findings[0] == {
        "probe": "portal",
        "before": "failed",
        "after": "failed",
        "finding": "was already failing before the update: it is failed",
        "verdict": "ok",
    }


def test_the_worst_finding_comes_first() -> None:
    before = [reading("a"), reading("b"), reading("c", "failed")]
    after = [reading("c", "failed"), reading("a", "inconclusive"), reading("b", "failed")]
    compared = compare(before, after)
    assert compared.verdict == "failed"
    assert [finding["probe"] for finding in compared.findings] == ["b", "a", "c"]


def test_nothing_measured_is_inconclusive() -> None:
    assert compare([], []).verdict == "inconclusive"
    assert compare([reading()], []).verdict == "inconclusive"


def test_two_probes_of_one_name_are_inconclusive() -> None:
    assert compare([reading(), reading()], [reading()]).verdict == "inconclusive"


def test_a_probe_that_changed_its_type_is_inconclusive() -> None:
    assert compare([reading()], [reading(type_="tcp")]).verdict == "inconclusive"


def test_a_newly_failed_unit_is_failed_even_beside_an_old_one() -> None:
    compared = compare([units(["cups.service"])], [units(["cups.service", "portal.service"])])
    assert compared.verdict == "failed"
    assert only(compared) == "portal.service was healthy and is failed (failed) now"


def test_an_old_failed_unit_is_not_blamed() -> None:
    compared = compare([units(["cups.service"])], [units(["cups.service"])])
    assert compared.verdict == "ok"
    assert only(compared).startswith("was already failing before the update")


def test_one_failed_unit_instead_of_another_is_failed() -> None:
    assert compare([units(["cups.service"])], [units(["portal.service"])]).verdict == "failed"


def test_a_named_unit_that_stopped_without_failing_is_failed() -> None:
    before = reading("units", "ok", "units", {"failed": [], "named": ["a.service"], "units": {}})
    after = reading("units", "failed", "units", {"failed": [], "named": ["a.service"], "units": {}})
    assert compare([before], [after]).verdict == "failed"


def test_a_port_that_vanished_is_failed() -> None:
    compared = compare([ports("tcp 0.0.0.0:22", "tcp 0.0.0.0:443")], [ports("tcp 0.0.0.0:22")])
    assert compared.verdict == "failed"
    assert only(compared) == "nothing listens on tcp 0.0.0.0:443 any more"


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("tcp 0.0.0.0:443", "tcp 127.0.0.1:443", "failed"),
        ("tcp 127.0.0.1:443", "tcp 0.0.0.0:443", "ok"),
        ("tcp 0.0.0.0:443", "tcp [::]:443", "ok"),
        ("tcp [::]:443", "tcp 0.0.0.0:443", "failed"),
        ("tcp [::1]:443", "tcp [::]:443", "ok"),
        ("tcp 0.0.0.0:161", "udp 0.0.0.0:161", "failed"),
        ("udp 0.0.0.0:161", "udp 0.0.0.0:162", "failed"),
        ("tcp 0.0.0.0:40001", "tcp 0.0.0.0:1", "ok"),
        ("udp 0.0.0.0:40001", "tcp 0.0.0.0:1", "ok"),
        ("tcp 0.0.0.0:32768", "tcp 0.0.0.0:1", "failed"),
    ],
)
def test_who_reached_a_port_before_must_reach_it_after(before: str, after: str, expected: str) -> None:
    assert compare([ports(before)], [ports(after)]).verdict == expected


def test_an_ephemeral_port_that_is_named_counts() -> None:
    before = ports("tcp 0.0.0.0:40001", named=["tcp/40001"])
    assert compare([before], [ports("tcp 0.0.0.0:1", named=["tcp/40001"])]).verdict == "failed"


def test_a_new_port_is_no_harm() -> None:
    assert compare([ports()], [ports("tcp 0.0.0.0:443")]).findings == []


def test_a_mount_that_vanished_or_became_read_only_is_failed() -> None:
    before = mounts(srv=False, data=False, cd=True)
    assert only(compare([before], [mounts(srv=True, data=False, cd=True)])) == "/srv became read-only"
    assert only(compare([before], [mounts(srv=False, cd=True)])) == "/data is not mounted any more"
    assert compare([before], [mounts(srv=False, data=False, cd=False)]).verdict == "ok"


def test_a_file_system_that_became_another_is_failed() -> None:
    after = mounts(srv=False)
    after["value"]["mounts"]["/srv"]["type"] = "ext4"
    assert "was xfs and is ext4 now" in only(compare([mounts(srv=False)], [after]))


def test_a_reading_without_its_value_is_inconclusive() -> None:
    for type_ in ("units", "ports", "mounts"):
        empty = reading("x", "ok", type_, None)
        assert compare([empty], [empty]).verdict == "inconclusive"


@pytest.mark.parametrize("type_", ["http", "ports", "mounts"])
@pytest.mark.parametrize("verdict", ["failed", "inconclusive"])
def test_a_host_that_is_not_healthy_is_not_started(type_: str, verdict: str) -> None:
    reason = fit_to_start([reading("fine"), reading("bad", verdict, type_)])
    assert reason is not None
    assert "bad" in reason
    assert "it is " + verdict in reason


def test_a_healthy_host_may_be_started() -> None:
    assert fit_to_start([reading(), units([])]) is None


def test_failed_units_that_nobody_named_are_only_noted() -> None:
    before = [reading(), units(["cups.service"])]
    assert fit_to_start(before) is None
    assert notes(before) == ["units: it is failed (before the update)"]


def test_a_named_unit_that_is_down_is_a_reason() -> None:
    assert fit_to_start([units(["portal.service"], named=["portal.service"])])


def test_what_the_site_knows_to_be_broken_is_noted_and_no_reason() -> None:
    before = [reading("labels", "failed"), reading()]
    assert fit_to_start(before, ["labels"]) is None
    assert fit_to_start(before, ["portal"])
    assert notes(before, ["labels"]) == ["labels: it is failed (before the update)"]
    assert only(compare(before, before)).startswith("was already failing before the update")


def test_what_could_not_be_read_is_a_reason_whatever_the_site_says() -> None:
    assert fit_to_start([reading("labels", "inconclusive")], ["labels"])


def test_units_that_could_not_be_read_are_a_reason() -> None:
    assert fit_to_start([reading("units", "inconclusive", "units")])


def test_without_any_reading_nothing_is_started() -> None:
    assert fit_to_start([])


def test_two_checks_of_one_name_are_not_started() -> None:
    assert fit_to_start([reading(), reading()])


VERDICTS = st.sampled_from(["ok", "failed", "inconclusive"])
READINGS = st.lists(
    st.builds(
        reading,
        st.sampled_from(["a", "b", "c"]),
        VERDICTS,
        st.sampled_from(["http", "units", "ports", "mounts"]),
        st.sampled_from(
            [
                None,
                {"failed": ["a.service"], "named": []},
                {"listening": ["tcp 0.0.0.0:1"], "named": []},
                {"mounts": {"/": {"source": "a", "type": "xfs", "read_only": False}}},
            ]
        ),
    ),
    max_size=4,
)


@given(before=READINGS, after=READINGS)
def test_ok_means_that_everything_was_measured_again(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> None:
    compared = compare(before, after)
    if compared.verdict != "ok":
        return
    later = {result["name"]: result["verdict"] for result in after}
    assert later
    assert "inconclusive" not in later.values()
    for result in before:
        assert result["name"] in later
        if result["verdict"] == "ok":
            assert later[result["name"]] == "ok"


@given(readings=READINGS)
def test_the_same_health_twice_is_never_failed(readings: list[dict[str, Any]]) -> None:
    assert compare(readings, readings).verdict != "failed"


def enabled(**states: str) -> dict[str, Any]:
    value = {"failed": [], "named": [], "units": {}, "enabled": {f"{name}.service": s for name, s in states.items()}}
    return reading("units", "ok", "units", value)


def test_an_enabled_unit_that_ran_and_does_not_any_more_is_failed() -> None:
    before = enabled(nginx="active (running)", cron="active (running)", backup="inactive (dead)")
    after = enabled(nginx="inactive (dead)", cron="active (running)", backup="inactive (dead)")
    compared = compare([before], [after])
    assert compared.verdict == "failed"
    assert only(compared) == "nginx.service was active (running) and is inactive (dead) now"


@pytest.mark.parametrize("now", ["active (exited)", "activating (start)", "reloading (reload)", "starting", "oneshot"])
def test_one_that_runs_or_may_soon_is_not(now: str) -> None:
    assert compare([enabled(nginx="active (running)")], [enabled(nginx=now)]).findings == []


def test_what_is_enabled_now_or_not_any_more_is_told_and_no_failure() -> None:
    compared = compare([enabled(old="active (running)")], [enabled(new="active (running)")])
    assert compared.verdict == "ok"
    assert only(compared) == "old.service was enabled and is not any more; new.service was not enabled and is now"


def test_a_reading_from_before_that_says_nothing_of_enabled_units_is_not_compared() -> None:
    assert compare([units([])], [enabled(new="active (running)")]).findings == []
