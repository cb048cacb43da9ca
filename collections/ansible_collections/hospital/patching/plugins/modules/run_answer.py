# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of the same name, which does the work on the controller."""

DOCUMENTATION = r"""
module: run_answer
short_description: Show what people are asked before the broad ring of a run, and record an answer
version_added: 0.1.0
description:
  - A probe of type C(person) asks named people whether the application works for them. The gate begins no host of the
    broad ring of that service before one of them says yes.
  - The answer is verified, and stands in the ledger with who, when, the question and the reason. A no is also told to
    C(patching_ask_contact), and begins no further host of the broad ring of the service.
  - The first answer counts; another may only turn a yes into a no. An answer that does not come in time is
    inconclusive, never a yes.
  - Without O(answer) it shows how each question stands.
author: The hospital.patching engineers (@hospital-patching)
extends_documentation_fragment:
  - hospital.patching.attributes
  - hospital.patching.controller
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details:
      - What is recorded is RV(text).
  idempotent:
    support: none
    details:
      - The same answer again is refused, because the first counts.
options:
  service:
    description:
      - The service that is asked about. Unless the run asks several, it need not be named.
    type: str
    default: ''
  probe:
    description:
      - Name of the probe. Unless the run asks several, it need not be named.
    type: str
    default: ''
  answer:
    description:
      - V(yes) or V(no).
    type: str
    default: ''
  name:
    description:
      - Who answers, one of C(who) of the probe. It is recorded as claimed, and is not enough for a yes where an answer
        has to be signed, as it always has to be of tiers 1 and 2.
    type: str
    default: ''
  reason:
    description:
      - What was seen. It stands in the ledger, so it must not name a patient.
    type: str
    default: ''
  key:
    description:
      - A private key without passphrase, or the public file of a key that ssh-agent holds, to sign with here.
    type: path
  signature:
    description:
      - A file that C(ssh-keygen -Y sign -n hospital.patching.answer) has written elsewhere, over the digest of
        question, answer and O(reason) that a refusal names.
    type: path
"""

EXAMPLES = r"""
- name: Show what is waited for
  hospital.patching.run_answer:
    run_id: 20261122T010000Z-ab12cd34

- name: Say that labels are printed
  hospital.patching.run_answer:
    run_id: 20261122T010000Z-ab12cd34
    service: portal
    probe: label
    answer: 'yes'
    name: Ada Lovelace
    reason: label and result of the test patient seen
"""

RETURN = r"""
text:
  description: How each question stands, or what was recorded and whom it reached, line by line.
  type: list
  elements: str
  returned: success
  sample: ['portal: label (Log in, print a label): Ada Lovelace says yes (claimed, not signed)']
"""
