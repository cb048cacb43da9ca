# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether two windows that a host is given by what it belongs to are ever open together."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import schedule
from ansible_collections.hospital.patching.plugins.plugin_utils.windows import Window

#: Two whole years, with a leap day: each rule of the short form recurs within one.
BEGIN, SPAN = datetime(2027, 1, 1, tzinfo=UTC), timedelta(days=731)


def never_together(one: str, other: str) -> bool:
    """Whether two windows of the short form are never open together.

    What has dates or lies in a calendar is another one tomorrow: nothing is said of it.
    """
    try:
        windows = [schedule.read(text) for text in (one, other) if not text.strip().startswith("ics ")]
    except PatchingError:
        return False
    if len(windows) < 2 or not all(isinstance(window, Window) for window in windows):
        return False
    first, second = (iter(window.between(BEGIN, BEGIN + SPAN)) for window in windows)
    here, there = next(first, None), next(second, None)
    while here is not None and there is not None:
        if here.start < there.end and there.start < here.end:
            return False
        if here.end <= there.start:
            here = next(first, None)
        else:
            there = next(second, None)
    return True
