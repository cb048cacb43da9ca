# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.hospital.patching.plugins.filter.window_next import FilterModule

WINDOW = "Sun 01:00, 3 h, America/Chicago"
window_next = FilterModule().filters()["window_next"]


def test_the_next_window_and_whether_it_is_open():
    sunday = {"start": "2026-11-22T07:00:00Z", "end": "2026-11-22T10:00:00Z"}
    assert window_next(WINDOW, at="2026-11-20T00:00:00Z") == {**sunday, "open": False}
    assert window_next(WINDOW, need_s=3600, at="2026-11-22T08:00:00Z") == {**sunday, "open": True}
    late = window_next(WINDOW, need_s="3600", at="2026-11-22T09:30:00Z")
    assert (late["start"], late["open"]) == ("2026-11-29T07:00:00Z", False)


def test_freezes_are_taken_out_and_what_never_opens_is_null():
    friday = "2026-11-20T00:00:00Z"
    assert window_next(WINDOW, ["2026-11-22 00:00 to 2026-11-23 00:00, UTC"], at=friday)["start"][:10] == "2026-11-29"
    assert window_next(WINDOW, ["daily 00:00, 24 h, UTC"], at=friday) is None


def test_without_a_moment_it_looks_from_now_on():
    assert window_next("daily 00:00, 24 h, UTC")["open"] is True


@pytest.mark.parametrize(
    ("window", "options", "seen"),
    [
        ("always", {}, "window 'always'"),
        (WINDOW, {"freezes": ["Christmas"]}, "window 'Christmas'"),
        (WINDOW, {"freezes": "Christmas"}, "a list of freezes"),
        (WINDOW, {"at": "tomorrow"}, "a time: 'tomorrow'"),
        (WINDOW, {"need_s": "long"}, "'long'"),
        ("ics /nowhere/x.ics", {}, "/nowhere/x.ics is not there"),
    ],
)
def test_what_cannot_be_read_is_an_error_and_opens_nothing(window, options, seen):
    with pytest.raises(AnsibleFilterError, match=seen):
        window_next(window, **options)
