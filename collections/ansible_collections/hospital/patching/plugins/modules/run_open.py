# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of the same name, which does the work on the controller."""

DOCUMENTATION = r"""
module: run_open
short_description: Hold a plan against its digest and the inventory, and begin its run
version_added: 0.1.0
description:
  - Refuses a plan whose digest does not match, C(--limit), unknown hosts, and host names that are groups or patterns.
  - Sets the fact C(patching_run) with the hosts in plan order and the sizes of their waves.
  - Records which reverts are to be rehearsed, and when earlier runs proved one by each provider.
author: The hospital.patching engineers (@hospital-patching)
extends_documentation_fragment:
  - hospital.patching.attributes
  - hospital.patching.controller.promises
options:
  plan:
    description: The plan's digest, id or path. Starting a run with the digest approves tiers 3 and 4.
    type: str
    required: true
  evidence_dir:
    description: Directory on the controller that keeps evidence.
    type: path
    default: evidence
  approved_by:
    description:
      - Who is said to have approved the plan.
      - A typed name is recorded as claimed and shown in the report; it stands for no signature that a tier needs.
    type: str
    default: ''
  rehearse:
    description:
      - Hosts whose disk is put back to its restore point once, before anything is installed on them. No host of a later
        wave begins before that is proven.
      - Only servers of ring V(canary) and tier 3 or 4 whose data does not move on, with C(patching_disk_revert), a
        provider that makes restore points of their disks, and no hooks around drain and snapshot. Each has to go before
        all hosts of later rings that have the same provider.
      - The newest start of a run counts; one without this withdraws the request.
    type: list
    elements: str
    default: []
  step:
    description: What is begun.
    type: str
    required: true
    choices: [stage, gate]
"""

EXAMPLES = r"""
- name: Open the run
  hospital.patching.run_open:
    plan: sha256:0f343b0931126a20f133d67c2b018a3b1e8f4c0b0c0e9a5a1d7c0e1f2a3b4c5d
    step: gate
"""

RETURN = r"""
ansible_facts:
  description: The fact C(patching_run) with run_id, evidence_dir, hosts and serial.
  type: dict
  returned: success
"""
