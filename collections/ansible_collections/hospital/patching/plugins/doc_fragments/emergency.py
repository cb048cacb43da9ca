# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation shared by the tasks that plan an emergency."""


class ModuleDocFragment:
    # What an emergency asks for.
    DOCUMENTATION = r"""
options:
  cve:
    description:
      - Plan only the updates that fix this CVE. A host of whose updates it is not known which CVEs they fix is refused.
      - Everything when not set; an emergency needs one.
    type: str
    default: ''
  break_glass:
    description:
      - What the emergency shortens. V(rings), one canary and then all others; V(soak), one minute; V(age), versions
        however young; V(freeze), the freezes that are in force when the plan is made; V(approval), one person of
        C(patching_break_glass_signers) counts as an approver.
      - Windows, hands-off, C(min_healthy), inhibits, the way back and verification are never shortened.
    type: list
    elements: str
    default: []
  break_glass_reason:
    description: Why; it stands in the plan, the ledger and every report.
    type: str
    default: ''
  break_glass_second:
    description:
      - Name of a second person who agrees, an engineer or not. It is recorded as claimed and approves nothing.
    type: str
    default: ''
"""
