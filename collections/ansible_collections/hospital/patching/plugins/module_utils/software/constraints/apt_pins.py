# SPDX-License-Identifier: GPL-3.0-or-later
"""Pins of apt; which updates they really keep back is in the pending updates."""

from typing import List

from ansible_collections.hospital.patching.plugins.module_utils import apt_preferences
from ansible_collections.hospital.patching.plugins.module_utils.software.constraints.look import (
    HOLDS,
    UNKNOWN,
    Entry,
    Look,
    entry,
)


def collect(look: Look) -> List[Entry]:
    """Return each pin, and each damaged stanza as unknown."""
    pins, problems = apt_preferences.read(look.host.root)
    found = [entry("apt_pin", " ".join(pin.packages), apt_preferences.describe(pin), HOLDS) for pin in pins]
    return found + [entry("apt_pin", "damaged", problem, UNKNOWN) for problem in problems]
