# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of the same name, which does the work on the controller."""

DOCUMENTATION = r"""
module: run_watch
short_description: Look for runs that have gone silent, and page a person
version_added: 0.1.0
description:
  - A killed controller cannot shout, so a second machine calls this every minute. It fails when any run was begun, is
    not closed, and has shown no sign of life for O(silent_s) seconds; a sign is a record in its ledger, or the file
    C(alive) in its folder, which is touched every few seconds while a step runs.
  - A ledger or folder that cannot be read counts as silent; an evidence directory that cannot be read is paged at every
    look.
  - A person is paged once for a silence, and again every hour while it lasts; that is remembered in the run's folder,
    in C(paged.json), so the evidence directory must be writable.
  - It fails too, and pages once, when a silence of a host's alerts has ended while that host is still out of service,
    also of a run that is closed.
  - After each look it leaves a mark in C(watchers) of the evidence directory; hosts of tier 1 are planned and begun
    only while a mark of another machine is no older than ten minutes. It leaves none when no way of paging is set or
    can be used (the command is looked for and the address is read; nothing is sent), or when a page that was due
    reached nobody.
  - Contacts no host and repairs nothing; that is C(recover.yml).
author: The hospital.patching engineers (@hospital-patching)
extends_documentation_fragment:
  - hospital.patching.attributes
attributes:
  check_mode:
    support: full
    details:
      - Looks and fails alike, but pages nobody and leaves no mark.
  diff_mode:
    support: N/A
    details:
      - This module changes nothing.
  idempotent:
    support: full
    details:
      - Repeating it pages nobody for the same silence within an hour.
options:
  evidence_dir:
    description:
      - Directory that keeps plans, ledgers and reports, the same one that the runs write into.
    type: path
    default: evidence
  silent_s:
    description:
      - After so many seconds without a sign of life a run counts as silent. With more than 600 it does not count as a
        watcher for tier 1.
    type: int
    default: 600
  every_s:
    description:
      - After how many seconds the next look comes, as whoever schedules it knows; 0 when that is not known. With more
        than 600 it does not count as a watcher for tier 1.
    type: int
    default: 0
  page_command:
    description:
      - Words of a command on this machine that pages a person. It gets the message on its standard input, and has 30
        seconds; one that is missing, fails or takes longer is a problem of its own.
    type: list
    elements: str
    default: []
  page_url:
    description:
      - A notification service in the notation of the Python library C(apprise), which must be installed then.
    type: str
    default: ''
"""

EXAMPLES = r"""
- name: Watch the runs
  hospital.patching.run_watch:
    evidence_dir: /srv/patching/evidence
    page_command: [/usr/local/bin/page-on-call, --team, servers]
"""

RETURN = r"""
silent:
  description: Every run that somebody has to look at, oldest first.
  type: list
  elements: dict
  returned: when the evidence directory can be read
  contains:
    run_id:
      description: Id of the run.
      type: str
      sample: 20261122T010000Z-ab12cd34
    last_sign:
      description: When it last showed a sign of life; null when its evidence cannot be read.
      type: str
      sample: '2026-11-22T08:12:31Z'
    out_of_service:
      description: Hosts that are out of service according to its ledger; empty too when that cannot be read.
      type: list
      elements: str
      sample: [portal1]
    seen:
      description: What was seen.
      type: str
    next_step:
      description: What to do next.
      type: str
silences_ended:
  description: Hosts that are out of service and whose alerts are silenced no longer, of which nobody was told before.
  type: list
  elements: dict
  returned: when the evidence directory can be read
  contains:
    run_id:
      description: Id of the run.
      type: str
    host:
      description: The host.
      type: str
    until:
      description: When the silence ended, in UTC.
      type: str
      sample: '2026-11-22T09:00:00Z'
paged:
  description: Ids of the runs for which a person was paged now.
  type: list
  elements: str
  returned: when the evidence directory can be read
problems:
  description: What went wrong with paging.
  type: list
  elements: str
  returned: when the evidence directory can be read
mark:
  description: The mark that was left; null when none was.
  type: dict
  returned: when the evidence directory can be read
  sample:
    schema: 1
    boot: 27cc5915-59db-4601-a528-614cd8d998be
    machine: watch2
    time: '2026-11-22T08:12:31Z'
    pages_by: [command]
    silent_s: 600
    every_s: 60
    open_runs: [20261122T010000Z-ab12cd34]
no_mark:
  description: Why no mark was left, so that it does not count as a watcher for tier 1; null in check mode too.
  type: str
  returned: when the evidence directory can be read
"""
