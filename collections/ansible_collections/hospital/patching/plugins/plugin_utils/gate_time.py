# SPDX-License-Identifier: GPL-3.0-or-later
"""The gate's questions of time: is the window open, and long enough for what is left to do and the way back?"""

from __future__ import annotations

from datetime import timedelta

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils.gate_question import Gate, Question, wait
from ansible_collections.hospital.patching.plugins.plugin_utils.occurrences import Occurrence
from ansible_collections.hospital.patching.plugins.plugin_utils.schedule import Schedule, frozen, read
from ansible_collections.hospital.patching.plugins.plugin_utils.times import read_stamp, stamp


def no_freeze(question: Question) -> Gate | None:
    """Ask whether a freeze of its calendars lies over the work and the way back."""
    return _no_freeze(question, question.need)


def no_freeze_for_reboot(question: Question) -> Gate | None:
    """Ask the same of a reboot as long as it may be, and of what follows it."""
    return _no_freeze(question, _reboot(question))


def no_freeze_for_way_back(question: Question) -> Gate | None:
    """Ask the same of the way back alone."""
    return _no_freeze(question, timedelta(seconds=question.entry["way_back_s"]))


def _no_freeze(question: Question, need: timedelta) -> Gate | None:
    """A calendar that cannot be read closes; the window's is named here, for the others say only "not open"."""
    entry = question.entry
    try:
        gap = frozen(question.frozen_by, question.now, question.now + need, question.segments, question.gaps)
        if entry["window"] is not None:
            read(entry["window"]["text"], question.segments).between(question.now, question.now)
    except PatchingError as error:
        return Gate("stop", f"nothing may be disrupted: {error}")
    if gap is None:
        return None
    return Gate("stop", f"nothing may be disrupted: a freeze lasts from {stamp(gap.start)} to {stamp(gap.end)}")


def window(question: Question) -> Gate | None:
    """Hold the time against the plan's window and against the rule as it evaluates now."""
    planned, end = question.entry["window"], question.end
    if planned is None or end is None:
        return None
    start, now = read_stamp(planned["start"]), question.now
    if now + question.need > end:
        seconds = int(question.need.total_seconds())
        return Gate("stop", f"work and way back need {seconds} s, but the window ends at {stamp(end)}; plan again")
    if now < start:
        return wait(question, f"the window opens at {stamp(start)}", start)
    live = _live(question)
    if live is None or now + question.need > live.end:
        return Gate("stop", f"the plan's window {planned['text']!r} is not open long enough now; plan again")
    return None


def window_for_reboot(question: Question) -> Gate | None:
    """Ask whether a reboot as long as it may be, the settling and the way back still end inside the plan's window."""
    entry, end = question.entry, question.end
    if entry["window"] is None or end is None:
        return None
    need = _reboot(question)
    live = _live(question)
    closes = min(end, live.end) if live is not None else question.now
    opened = question.now >= read_stamp(entry["window"]["start"])
    if opened and question.now + need <= closes:
        return None
    seen = f"ends at {stamp(closes)}" if opened and live is not None else "is not open now"
    named = f"the window {entry['window']['text']!r} {seen}"
    return Gate("stop", f"reboot, settling and way back need {int(need.total_seconds())} s, but {named}")


def window_for_way_back(question: Question) -> Gate | None:
    """Take any window of the host's rule: the plan's own may have passed long ago."""
    planned, seconds = question.entry["window"], question.entry["way_back_s"]
    if planned is None:
        return None
    live = _live(question)
    if live is not None and question.now + timedelta(seconds=seconds) <= live.end:
        return None
    seen = f"its window {planned['text']!r} is not open for the {seconds} s that the way back takes"
    return Gate("stop", f"{seen}; wait for it, or say rollback_outside_window=true")


def _reboot(question: Question) -> timedelta:
    """How long a reboot, the settling and the way back may take."""
    entry = question.entry
    # Health is read on the host, then from where users are.
    soak_s = 2 * entry.get("health_soak_s", 0)
    seconds = entry["limits"]["reboot_timeout_s"] + entry["limits"]["settle_s"] + soak_s + entry["way_back_s"]
    return timedelta(seconds=seconds)


def _live(question: Question) -> Occurrence | None:
    """Return the occurrence that is open now by the rule; one that cannot be read is closed."""
    try:
        window = question.entry["window"]["text"]
        return Schedule.of(window, question.frozen_by, question.segments, question.gaps).open_at(question.now)
    except PatchingError:
        return None
