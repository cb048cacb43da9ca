# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils.times import read_stamp, stamp


def test_a_stamp_is_utc_whatever_zone_the_time_had():
    berlin = timezone(timedelta(hours=1))
    assert stamp(datetime(2026, 11, 22, 9, 0, 0, 999999, tzinfo=berlin)) == "2026-11-22T08:00:00Z"


def test_a_stamp_is_read_back():
    assert stamp(read_stamp("2028-02-29T23:59:59Z")) == "2028-02-29T23:59:59Z"


@pytest.mark.parametrize("text", ["2026-11-22 08:00", "2026-02-30T00:00:00Z", "2026-11-22T08:00:00+01:00", "", None])
def test_anything_else_is_refused(text):
    with pytest.raises(PatchingError, match="UTC like"):
        read_stamp(text)
