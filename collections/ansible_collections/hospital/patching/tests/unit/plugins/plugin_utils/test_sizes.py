# SPDX-License-Identifier: GPL-3.0-or-later
"""Bytes as people read them."""

from __future__ import annotations

import pytest

from ansible_collections.hospital.patching.plugins.plugin_utils import sizes


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 bytes"),
        (1023, "1023 bytes"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (1024**2 - 1, "1.0 MiB"),
        (3 * 1024**4, "3.0 TiB"),
        (5000 * 1024**5, "5000.0 PiB"),
    ],
)
def test_the_largest_unit_of_which_there_is_one(size, words):
    assert sizes.in_words(size) == words
