# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of the same name, which does the work on the controller."""

DOCUMENTATION = r"""
module: plan_approval
short_description: Show who has approved a plan, and approve it with an SSH signature
version_added: 0.1.0
description:
  - Tier 1 needs the signatures of two people over the plan's digest, tier 2 of one; tiers 3 and 4 are approved by
    whoever starts the run with the digest.
  - Who may sign stands in the allowed-signers file (ssh-keygen(1)) that C(patching_allowed_signers) of these hosts
    names; a relative path starts at the inventory's folder. People need a name each; a key that is listed by a
    pattern is nobody's.
  - A signature is verified before it is kept beside the plan, and again by the gate before each host. Who has two keys
    or two names counts once.
  - Without O(key) and O(signature) it shows the plan, who has approved it, and the command that signs.
  - Contacts no host.
author: The hospital.patching engineers (@hospital-patching)
extends_documentation_fragment:
  - hospital.patching.attributes
  - hospital.patching.controller.promises
options:
  plan:
    description: Digest, id or path of the plan.
    type: str
    required: true
  key:
    description:
      - A private key without passphrase, or the public file of a key that ssh-agent holds, to sign with here.
    type: path
  signature:
    description:
      - A file that C(ssh-keygen -Y sign -n hospital.patching.plan) has written elsewhere, over the digest and a line
        feed.
    type: path
  evidence_dir:
    description: Directory on the controller that keeps plans.
    type: path
    default: evidence
"""

EXAMPLES = r"""
- name: Show the plan and who has approved it
  hospital.patching.plan_approval:
    plan: sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae

- name: Approve it with a signature that was made elsewhere
  hospital.patching.plan_approval:
    plan: sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae
    signature: /home/ada/approval.sig
"""

RETURN = r"""
approvers:
  description: Who has approved the plan, one name a person.
  type: list
  elements: str
  returned: success
  sample: [ada@hospital.example]
rejected:
  description: Why other signatures do not count.
  type: list
  elements: str
  returned: success
needed:
  description: How many people have to approve its most critical hosts.
  type: int
  returned: success
text:
  description: The plan and its approvals as lines.
  type: list
  elements: str
  returned: success
"""
