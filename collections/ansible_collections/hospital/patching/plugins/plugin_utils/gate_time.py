# SPDX-License-Identifier: GPL-3.0-or-later
"""The gate's questions of time: is the window open, and long enough for what is left to do and the way back?"""

from __future__ import annotations

from datetime import timedelta

from ansible_collections.hospital.patching.plugins.plugin_utils.gate_question import Gate, Question, wait
from ansible_collections.hospital.patching.plugins.plugin_utils.times import read_stamp, stamp
from ansible_collections.hospital.patching.plugins.plugin_utils.windows import Occurrence, Window


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
    seconds = entry["limits"]["reboot_timeout_s"] + entry["limits"]["settle_s"] + entry["way_back_s"]
    live = _live(question)
    closes = min(end, live.end) if live is not None else question.now
    opened = question.now >= read_stamp(entry["window"]["start"])
    if opened and question.now + timedelta(seconds=seconds) <= closes:
        return None
    seen = f"ends at {stamp(closes)}" if opened and live is not None else "is not open now"
    return Gate(
        "stop", f"reboot, settling and way back need {seconds} s, but the window {entry['window']['text']!r} {seen}"
    )


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


def _live(question: Question) -> Occurrence | None:
    return Window.parse(question.entry["window"]["text"]).open_at(question.now)
