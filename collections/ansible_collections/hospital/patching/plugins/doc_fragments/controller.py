# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation shared by the tasks that stay on the controller."""


class ModuleDocFragment:
    # Options of every task that belongs to a run.
    DOCUMENTATION = r"""
options:
  run_id:
    description:
      - Id of the run, which is the id of the plan that it executes.
    type: str
    required: true
  evidence_dir:
    description:
      - Directory on the controller that keeps plans, ledgers and reports.
    type: path
    default: evidence
"""

    # What every action that stays on the controller promises.
    PROMISES = r"""
options: {}
attributes:
  check_mode:
    support: full
    details:
      - Writes nothing in check mode and returns what it would say.
  diff_mode:
    support: none
    details:
      - There is nothing to compare.
  idempotent:
    support: full
    details:
      - Repeating it changes no host.
"""
