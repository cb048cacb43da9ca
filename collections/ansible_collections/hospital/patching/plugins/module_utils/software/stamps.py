# SPDX-License-Identifier: GPL-3.0-or-later
"""Times of files and databases as the facts show them."""

import time
from typing import Optional


def stamp(seconds: Optional[float]) -> Optional[str]:
    """Return seconds since 1970 as UTC in ISO 8601 with ``Z``; None for what is no time."""
    try:
        return None if seconds is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
    except (OverflowError, ValueError, OSError):
        return None
