# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The lookup maintenance_calendar."""

from __future__ import annotations

DOCUMENTATION = r"""
name: maintenance_calendar
short_description: The times at which a maintenance window is open
version_added: 0.1.0
description:
  - Lists the occurrences of windows, without the freezes that lie over them. Reads iCalendar documents from files and
    URLs, with recurrences, exceptions and time zones.
  - Daylight saving never widens a window and never narrows a freeze. What cannot be read raises an error, so that
    nothing starts by mistake.
author:
  - The hospital.patching engineers (@hospital-patching)
options:
  _terms:
    description:
      - Windows, as in C(patching_window). Short forms like V(Sun 01:00, 3 h, America/Chicago), or V(ics PLACE) with the
        absolute path or URL of an iCalendar document, or V(ics PLACE, event PATTERN) for those of its events whose
        summaries match.
    type: list
    elements: str
    required: true
  freezes:
    description:
      - When nothing may be disrupted, as in C(patching_freezes).
    type: list
    elements: str
    default: []
  device_segments:
    description:
      - Networks of medical devices, from none of which a calendar is fetched. The variable C(patching_device_segments)
        when not set; no URL is read where neither is.
    type: list
    elements: str
  begin:
    description:
      - The moment from which on, as V(2026-11-22T01:00:00Z). The present when not set.
    type: str
  days:
    description:
      - For how many days; at most 400.
    type: int
    default: 31
"""

EXAMPLES = r"""
- name: Print the nights of the next three months
  ansible.builtin.debug:
    msg: "{{ query('hospital.patching.maintenance_calendar', 'ics /srv/patching/nights.ics', days=92) }}"

- name: Print what the holidays leave of a window
  ansible.builtin.debug:
    msg: "{{ query('hospital.patching.maintenance_calendar', 'daily 22:00, 6 h, Europe/Berlin', freezes=holidays) }}"
  vars:
    holidays: ["2026-12-23 18:00 to 2027-01-02 06:00, Europe/Berlin"]
"""

RETURN = r"""
_raw:
  description:
    - The occurrences of all windows in order of their starts, each with C(start) and C(end) in UTC and C(window), the
      text that states it.
  type: list
  elements: dict
  sample:
    - {"start": "2026-11-22T07:00:00Z", "end": "2026-11-22T10:00:00Z", "window": "Sun 01:00, 3 h, America/Chicago"}
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils.schedule import Schedule
from ansible_collections.hospital.patching.plugins.plugin_utils.times import read_stamp, stamp

#: Calendars are looked at no further ahead.
MOST_DAYS = 400


class LookupModule(LookupBase):  # type: ignore[misc]
    """What Ansible looks for."""

    def run(self, terms: list[Any], variables: Any = None, **kwargs: Any) -> list[dict[str, str]]:
        """Return the occurrences of ``terms``."""
        self.set_options(var_options=variables, direct=kwargs)
        days = self.get_option("days")
        if not 1 <= days <= MOST_DAYS:
            raise AnsibleLookupError(f"maintenance_calendar: days is {days}; expected 1 to {MOST_DAYS}")
        given = self.get_option("device_segments")
        segments = given if given is not None else (variables or {}).get("patching_device_segments")
        found = []
        try:
            begin = read_stamp(self.get_option("begin")) if self.get_option("begin") else datetime.now(UTC)
            for term in terms:
                schedule = Schedule.of(str(term), [str(one) for one in self.get_option("freezes")], segments)
                found += [(one, schedule.text) for one in schedule.between(begin, begin + timedelta(days=days))]
        except PatchingError as error:
            raise AnsibleLookupError(f"maintenance_calendar: {error}") from error
        return [{"start": stamp(one.start), "end": stamp(one.end), "window": text} for one, text in sorted(found)]
