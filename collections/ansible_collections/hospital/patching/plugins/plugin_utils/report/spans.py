# SPDX-License-Identifier: GPL-3.0-or-later
"""How long several hosts were away at the same time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from ansible_collections.hospital.patching.plugins.plugin_utils.report.timeline import Absence


def overlap(hosts: Sequence[Iterable[Absence]], until: datetime) -> timedelta:
    """Return how long every host was in one of its spans; one that has not ended is counted ``until``."""
    edges: list[tuple[datetime, int]] = []
    for spans in hosts:
        for start, end in _joined(spans, until):
            edges += [(start, 1), (end, -1)]
    total, away, since = timedelta(), 0, until
    for moment, change in sorted(edges):
        if away == len(hosts):
            total += moment - since
        away, since = away + change, moment
    return total


def open_ended(hosts: Sequence[Iterable[Absence]]) -> bool:
    """Whether every host is still away."""
    return bool(hosts) and all(any(span.end is None for span in spans) for spans in hosts)


def _joined(spans: Iterable[Absence], until: datetime) -> list[tuple[datetime, datetime]]:
    """Return spans that overlap as one, so that no host is counted twice."""
    found: list[tuple[datetime, datetime]] = []
    for start, end in sorted((span.start, max(span.start, span.end or until)) for span in spans):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return found
