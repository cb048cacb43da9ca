# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter window_next; its documentation is beside it in window_next.yml."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils.times import read_stamp, stamp


def window_next(
    window: str,
    freezes: Sequence[str] = (),
    need_s: int = 0,
    at: str | None = None,
    device_segments: Sequence[str] | None = None,
) -> Mapping[str, Any] | None:
    """Return the occurrence that is open at ``at`` if ``need_s`` still fits, else the next in which it fits."""
    # Imported where it is used: ansible-doc lists the filters on machines that lack its libraries.
    from ansible_collections.hospital.patching.plugins.plugin_utils.schedule import Schedule  # noqa: PLC0415

    if isinstance(freezes, str):
        raise AnsibleFilterError(f"window_next: {freezes!r} is given as freezes; expected a list of freezes")
    try:
        now = read_stamp(at) if at else datetime.now(UTC)
        schedule = Schedule.of(str(window), [str(one) for one in freezes], device_segments)
        found = schedule.next_for(timedelta(seconds=int(need_s)), now)
    except (PatchingError, TypeError, ValueError) as error:
        raise AnsibleFilterError(f"window_next: {error}") from error
    if found is None:
        return None
    return {"start": stamp(found.start), "end": stamp(found.end), "open": found.start <= now < found.end}


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"window_next": window_next}
