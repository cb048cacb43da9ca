# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of the same name, which does the work on the controller."""

DOCUMENTATION = r"""
module: plan_approval
short_description: Show who has approved a plan, and approve it with an SSH signature or in AWX
version_added: 0.1.0
description:
  - Tier 1 needs the approvals of two people of the plan's digest, tier 2 of one; tiers 3 and 4 are approved by
    whoever starts the run with the digest. An approval is an SSH signature, or an approval node of AWX.
  - Who may sign stands in the allowed-signers file (ssh-keygen(1)) that C(patching_allowed_signers) of these hosts
    names; a relative path starts at the inventory's folder. People need a name each; a key that is listed by a
    pattern is nobody's.
  - A signature is verified before it is kept beside the plan, and again by the gate before each host. Who has two keys
    or two names counts once.
  - An approval in AWX counts where C(patching_awx_url), C(patching_awx_workflow) and C(patching_awx_approvers) of these
    hosts name the AWX, the workflow and the approver. It is read back before its record is kept beside the plan, and
    again by the gate before each host. The token is taken from the environment of the controller,
    E(CONTROLLER_OAUTH_TOKEN) or else E(TOWER_OAUTH_TOKEN), and is written nowhere.
  - Without any of them it shows the plan, who has approved it, and the command that signs.
  - Contacts no host but that AWX.
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
  awx:
    description:
      - Number of an approved approval node, as C(workflow_approvals) of AWX's API has it; its workflow has to have made
        the plan right before.
    type: int
  awx_workflow_job:
    description:
      - Number of a workflow job, all approved approval nodes of which are taken over. A job that runs in it knows it as
        C(awx_workflow_job_id).
    type: int
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

- name: Take over an approval that was given in AWX
  hospital.patching.plan_approval:
    plan: sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae
    awx: 4711
"""

RETURN = r"""
approvers:
  description: Who has approved the plan, one name a person.
  type: list
  elements: str
  returned: success
  sample: [ada@hospital.example]
rejected:
  description: Why other approvals do not count.
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
