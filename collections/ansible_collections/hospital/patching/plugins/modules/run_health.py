# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of the same name, which does the work on the controller."""

DOCUMENTATION = r"""
module: run_health
short_description: Judge a host's health before and after a patch
version_added: 0.1.0
description:
  - Without O(after) the host must be fit to start; with it nothing that was healthy may have broken.
  - Inconclusive is never a pass.
  - Numbers, such as latencies, load and free space, are compared by the thresholds of the host's tier, which the plan
    carries where the site has changed them (C(patching_thresholds)).
  - The numbers of a host that is V(ok) are kept beside its assessment. What is usual by them excuses a number.
  - What was broken before is told, and no reason to refuse a host only where C(patching_broken_before) names the probe.
author: The hospital.patching engineers (@hospital-patching)
extends_documentation_fragment:
  - hospital.patching.attributes
  - hospital.patching.controller.promises
  - hospital.patching.controller
options:
  step:
    description: Name of the journey's step that this judgement is.
    type: str
    required: true
    choices: [health_before, verify]
  before:
    description: Probe results from before the host was touched.
    type: list
    elements: dict
    required: true
  after:
    description: Probe results from afterwards.
    type: list
    elements: dict
  versions:
    description: Result of M(hospital.patching.update_verify); any problem in it is a failure.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Judge the health after against the health before
  hospital.patching.run_health:
    run_id: 20261122T010000Z-ab12cd34
    step: verify
    before: "{{ before.results }}"
    after: "{{ after.results }}"
    versions: "{{ versions }}"
"""

RETURN = r"""
verdict:
  description: The verdict.
  type: str
  returned: always
  sample: ok
findings:
  description: What differs, probe by probe.
  type: list
  elements: dict
  returned: always
"""
