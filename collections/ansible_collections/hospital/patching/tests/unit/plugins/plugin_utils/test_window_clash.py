# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.hospital.patching.plugins.plugin_utils.window_clash import never_together


@pytest.mark.parametrize(
    "pair",
    [
        ("Sun 01:00, 3 h, UTC", "Tue 01:00, 3 h, UTC"),
        ("Sun 01:00, 3 h, UTC", "Sun 04:00, 3 h, UTC"),
        ("daily 01:00, 3 h, UTC", "daily 01:00, 3 h, America/Chicago"),
    ],
)
def test_windows_that_are_never_open_together(pair):
    assert never_together(*pair)
    assert never_together(*reversed(pair))


@pytest.mark.parametrize(
    "pair",
    [
        ("Sun 01:00, 3 h, UTC", "daily 03:00, 2 h, UTC"),
        ("Sat 23:00, 3 h, UTC", "Sun 01:00, 1 h, UTC"),
        # The first Sunday of a month is the seventh once in a while.
        ("first Sunday 01:00, 3 h, UTC", "Sun 03:00, 3 h, UTC"),
        # Chicago is five hours behind in summer, six in winter.
        ("daily 06:30, 20 min, UTC", "daily 01:00, 45 min, America/Chicago"),
        # What may be another one tomorrow.
        ("ics /srv/a.ics", "Sun 01:00, 3 h, UTC"),
        ("2026-11-22 01:00 to 2026-11-22 03:00, UTC", "Tue 01:00, 3 h, UTC"),
        ("no window", "Tue 01:00, 3 h, UTC"),
    ],
)
def test_windows_that_may_be(pair):
    assert not never_together(*pair)
    assert not never_together(*reversed(pair))
