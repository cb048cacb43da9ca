# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's clock is held against the host's."""

from datetime import datetime, timezone

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock, require_agreement, seconds_of
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError


class Fixed(Clock):
    def now(self):
        return datetime(2026, 11, 22, 1, 0, 0, tzinfo=timezone.utc)


@pytest.mark.parametrize("there", ["2026-11-22T01:00:00Z", "2026-11-22T00:55:00Z", "2026-11-22T01:05:00Z"])
def test_a_small_difference_is_allowed(there):
    require_agreement(Fixed(), "ctl1", there, 300)


@pytest.mark.parametrize("there", ["2026-11-22T00:54:59Z", "2026-11-22T01:05:01Z", "2025-11-22T01:00:00Z"])
def test_a_larger_one_is_refused_with_both_times(there):
    with pytest.raises(PatchingError, match="clock of controller ctl1: {}".format(there)) as refused:
        require_agreement(Fixed(), "ctl1", there, 300)
    assert "2026-11-22T01:00:00Z" in str(refused.value)


def test_a_stamp_read_again_is_the_moment_it_was_written():
    assert seconds_of(Fixed().stamp()) == int(Fixed().now().timestamp())


def test_a_stamp_of_another_form_is_not_guessed():
    with pytest.raises(ValueError, match="does not match format"):
        seconds_of("2026-11-22 01:00:00")
