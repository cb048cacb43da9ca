# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of the same name, which does the work on the controller."""

DOCUMENTATION = r"""
module: run_hook
short_description: Take up a site's hook of a step, and record what became of it
version_added: 0.1.0
description:
  - With O(state=begun), refuses a hook whose file is not what it was when the plan was made, or whose host may not be
    contacted, and records that it begins. A hook that is recorded as done since the host's journey began is not done
    again.
  - With O(state=done) and O(state=failed), records how it ended and how long it took. Of what it printed, only the
    last line and the exit code are kept, without logins of URLs.
  - Fails with O(state=failed), except for a hook of the steps C(restart) and C(verify) on the way back, which goes on
    unless O(undo).
  - The hook itself is done in between, by the role's C(hook.yml).
author: The hospital.patching engineers (@hospital-patching)
extends_documentation_fragment:
  - hospital.patching.attributes
  - hospital.patching.controller.promises
  - hospital.patching.controller
options:
  state:
    description: What is said of the hook.
    type: str
    required: true
    choices: [begun, done, failed]
  hook:
    description: The hook as the approved plan has it.
    type: dict
    required: true
  way_back:
    description: Whether the host is on its way back.
    type: bool
    default: false
  undo:
    description:
      - Whether the host is refused and the hook is done as the counterpart of an earlier one, which it names by
        C(undoes). It is done only where that one was begun in this journey and not undone since.
    type: bool
    default: false
  began_ms:
    description: What RV(began_ms) was when it began.
    type: int
    default: 0
  result:
    description: With O(state=failed), the result of the task that failed.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Take up the hook
  hospital.patching.run_hook:
    run_id: 20261122T010000Z-ab12cd34
    state: begun
    hook: "{{ __patch_hook }}"
  register: hook_begun
"""

RETURN = r"""
run:
  description: Whether the hook has to be done now; V(false) in check mode and when it is done already.
  type: bool
  returned: with O(state=begun)
"on":
  description: The host on which it is done.
  type: str
  returned: with O(state=begun)
module:
  description: The module that does it; empty for a file of tasks.
  type: str
  returned: with O(state=begun)
arguments:
  description: The options of that module.
  type: dict
  returned: with O(state=begun)
tasks:
  description: The file of tasks; else empty.
  type: str
  returned: with O(state=begun)
limit_s:
  description: After how many seconds Ansible gives it up.
  type: int
  returned: with O(state=begun)
ends:
  description: When its time is over, in seconds since the epoch.
  type: int
  returned: when RV(run)
began_ms:
  description: When it began, by a clock that only this machine knows.
  type: int
  returned: with O(state=begun)
lost_connection:
  description: V(true) when it failed because the host itself stopped answering.
  type: bool
  returned: when it failed
"""
