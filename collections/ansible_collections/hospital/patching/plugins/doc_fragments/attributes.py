# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation shared by all modules: what they promise about check mode, diff mode and running twice."""


class ModuleDocFragment:
    # A module extends hospital.patching.attributes and states its own `support` under `attributes`.
    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Predicts in check mode what would be done, and writes nothing on the host, in journal or ledger.
  diff_mode:
    description: Returns what has changed, or in check mode would change, under RV(ignore:diff).
  idempotent:
    description:
      - When run a second time with the same options and nothing else has changed, it changes nothing.
      - Check mode does not have to be idempotent.
"""

    # For modules that only read.
    INFO_MODULE = r"""
options: {}
attributes:
  check_mode:
    support: full
    details:
      - This module only reads.
  diff_mode:
    support: N/A
    details:
      - This module changes nothing.
  idempotent:
    support: full
    details:
      - This module changes nothing.
"""
