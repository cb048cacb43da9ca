# SPDX-License-Identifier: GPL-3.0-or-later
"""Time: the window each host is planned for, and whether its work and the way back fit in it."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils.fleet import Exclusion
from ansible_collections.hospital.patching.plugins.plugin_utils.occurrences import Occurrence
from ansible_collections.hospital.patching.plugins.plugin_utils.schedule import Broken, Schedule, frozen
from ansible_collections.hospital.patching.plugins.plugin_utils.settings import Settings
from ansible_collections.hospital.patching.plugins.plugin_utils.times import stamp


@dataclass(frozen=True)
class Slot:
    """When one host may be patched. ``occurrence`` is None for an endpoint without a window."""

    window: Schedule | None
    occurrence: Occurrence | None
    estimate: timedelta
    way_back: timedelta
    service: str | None
    #: How long before the window's end nothing new starts, if that is longer than work and way back.
    cut_off: timedelta = timedelta()
    #: When the plan begins no further host; None when that is not limited.
    until: datetime | None = None

    @property
    def need(self) -> timedelta:
        """How long before the window's end the work has to begin."""
        return max(self.estimate + self.way_back, self.cut_off)

    @property
    def latest(self) -> datetime | None:
        """When the work has to begin for it and the way back to end inside the window, and before the plan is over."""
        window = None if self.occurrence is None else self.occurrence.end - self.need
        over = None if self.until is None else self.until - timedelta(seconds=1)
        return min((one for one in (window, over) if one is not None), default=None)

    def late(self, start: datetime) -> Exclusion:
        """Return the refusal of a host whose turn would come at ``start``."""
        if self.until is not None and start >= self.until:
            return Exclusion(
                "refused",
                f"its turn would come at {stamp(start)}, and the break-glass is over at {stamp(self.until)};"
                f" plan it again after that",
            )
        if self.window is None or self.occurrence is None:
            raise ValueError("a host without a window is never late")
        following = self.window.next_for(self.need, self.occurrence.end)
        next_time = f"the next in which it fits opens at {stamp(following.start)}" if following else "none to come fits"
        return Exclusion(
            "refused",
            f"its turn would come at {stamp(start)} and takes {_minutes(self.need)} min with the way back, but its"
            f" window ends at {stamp(self.occurrence.end)}; {next_time}",
        )


def _minutes(span: timedelta) -> int:
    """Whole minutes, rounded up."""
    return -int(-span.total_seconds() // 60)


def asked_for(settings: Settings) -> Hashable:
    """Return all of a host's settings that :func:`slot_of` reads: hosts of which they are the same have one slot."""
    stated = (settings.window, tuple(settings.freezes), settings.service)
    return (*stated, settings.estimate_s, settings.way_back_s, settings.cut_off_s)


def slot_of(
    settings: Settings, now: datetime, segments: Sequence[str] | None = None, broken: Broken | None = None
) -> Slot | Exclusion:
    """Return the slot of a host: in the window that is open if its work still fits, else in the next one.

    Args:
        segments: the site's networks of devices, from none of which a calendar is fetched.
        broken: occurrences of freezes that do not count.
    """
    estimate, way_back = timedelta(seconds=settings.estimate_s), timedelta(seconds=settings.way_back_s)
    if settings.window is None:
        return Slot(None, None, estimate, way_back, settings.service)
    cut_off = timedelta(seconds=settings.cut_off_s)
    need = max(estimate + way_back, cut_off)
    try:
        window = Schedule.of(settings.window, settings.freezes, segments, broken)
        occurrence = window.next_for(need, now)
        if occurrence is not None:
            return Slot(window, occurrence, estimate, way_back, settings.service, cut_off)
        frozen_over = _frozen(settings, need, now, segments, broken)
        if frozen_over is not None:
            return frozen_over
        shorter = window.open_at(now) or window.next_after(now)
    except PatchingError as error:
        return Exclusion("refused", str(error))
    takes = "nothing starts in the last" if cut_off > estimate + way_back else "its work and the way back take"
    return Exclusion(
        "refused",
        f"{takes} {_minutes(need)} min, but its window {settings.window!r} lasts"
        f" {_minutes(shorter.end - shorter.start)} min; widen patching_window, or lower"
        f" {'patching_cut_off_s' if cut_off > estimate + way_back else 'patching_estimate_s'}",
    )


def _frozen(
    settings: Settings, need: timedelta, now: datetime, segments: Sequence[str] | None, broken: Broken | None
) -> Exclusion | None:
    """Return the refusal of a host that only freezes keep out of its window."""
    unfrozen = Schedule.of(str(settings.window), (), segments).next_for(need, now)
    if unfrozen is None:
        return None
    gap = frozen(settings.freezes, unfrozen.start, unfrozen.end, segments, broken)
    if gap is None:
        return None
    return Exclusion(
        "refused",
        f"its window {settings.window!r} would open at {stamp(unfrozen.start)}, but a freeze lasts from"
        f" {stamp(gap.start)} to {stamp(gap.end)}, and it does not fit into what freezes leave of its next windows;"
        " wait until they end, or in an emergency break_glass=freeze",
    )


def other_nights(slots: Mapping[str, Slot], now: datetime, leading: Collection[str] = ()) -> dict[str, Exclusion]:
    """Return the hosts whose window opens after the plan's first one has closed: a plan is one window.

    Args:
        leading: hosts of whose windows the first one is taken, if they have any.
    """
    opens = {host: slot.occurrence for host, slot in slots.items() if slot.occurrence is not None}
    if not opens:
        return {}
    asked = [opens[host] for host in leading if host in opens] or list(opens.values())
    night = min(asked, key=lambda one: (max(now, one.start), one.end))
    return {
        host: Exclusion(
            "excluded",
            f"its window opens at {stamp(one.start)}; this plan is for the window that closes before, at"
            f" {stamp(night.end)}: plan again after that, or now for this host alone",
        )
        for host, one in opens.items()
        if one.start >= night.end
    }
