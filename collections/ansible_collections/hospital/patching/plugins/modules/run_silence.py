# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of the same name, which does the work on the controller."""

DOCUMENTATION = r"""
module: run_silence
short_description: Silence the alerts of a host while it is patched, and lift that
version_added: 0.1.0
description:
  - With O(state=silenced), asks the monitor that the host's plan names in C(silence) to be silent about this host
    alone, until its estimate and its way back are over, and reads back that it is. The id is in the run's ledger.
  - Fails when the monitor does not do that, before anything is disturbed. With C(when_unavailable=go_on) in the plan,
    and on the way back, it goes on with a warning and a note in the ledger.
  - With O(state=lifted), ends what this run has silenced of the host, also what a killed controller has left behind.
    One that has ended or is not known any more is fine; one of somebody else is left alone. It never fails for the
    monitor's sake, because a silence ends by itself.
  - A host whose plan names no monitor is left as it is.
  - The login is read from the host's variable C(patching_silence_login); nothing shows it.
author: The hospital.patching engineers (@hospital-patching)
extends_documentation_fragment:
  - hospital.patching.attributes
  - hospital.patching.controller.promises
  - hospital.patching.controller
options:
  state:
    description: Whether the host's alerts are to be silenced.
    type: str
    required: true
    choices: [silenced, lifted]
  way_back:
    description: With O(state=silenced), the host is only put back, for which a monitor is no hindrance.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Silence the host's alerts
  hospital.patching.run_silence:
    run_id: 20261122T010000Z-ab12cd34
    state: silenced

- name: Lift the silence
  hospital.patching.run_silence:
    run_id: 20261122T010000Z-ab12cd34
    state: lifted
"""

RETURN = r"""
id:
  description: The monitor's id of the silence that was made; null when none was.
  type: str
  returned: success
  sample: 6be8abbe-9f4c-45a2-bb3e-53e443dcfbde
until:
  description: When it ends by itself, in UTC; null when none was made.
  type: str
  returned: success
  sample: '2026-11-22T09:00:00Z'
"""
