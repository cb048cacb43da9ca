# SPDX-License-Identifier: GPL-3.0-or-later
"""Times as contracts write them: UTC, ISO 8601 with ``Z``, whole seconds."""

from __future__ import annotations

from datetime import UTC, datetime

from ansible_collections.hospital.patching.plugins.module_utils.clock import STAMP
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError


def stamp(moment: datetime) -> str:
    """Return an aware datetime as text; fractions of a second are cut."""
    return moment.astimezone(UTC).strftime(STAMP)


def read_stamp(text: str) -> datetime:
    """Return the aware datetime of a stamp.

    Raises:
        PatchingError: the text is no stamp.
    """
    try:
        return datetime.strptime(text, STAMP).replace(tzinfo=UTC)
    except (TypeError, ValueError) as error:
        raise PatchingError(
            "a time", repr(text), "UTC like 2026-11-22T01:00:00Z", "correct the document that carries it"
        ) from error
