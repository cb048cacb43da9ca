# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of the same name, which does the work on the controller."""

DOCUMENTATION = r"""
module: host_contact
short_description: Say whether a host may be contacted, without contacting it
version_added: 0.1.0
description:
  - Resolves the host's address on the controller and holds it against V(patching_device_segments) and
    V(patching_policy).
  - A locked host, an undeclared segment, an address inside a device segment or a name that does not resolve means no.
author: The hospital.patching engineers (@hospital-patching)
extends_documentation_fragment:
  - hospital.patching.attributes
  - hospital.patching.controller.promises
options:
  evidence_dir:
    description:
      - Directory on the controller that keeps evidence. When it is given, a host that is marked lost or stolen there is
        not to be contacted either.
    type: path
"""

EXAMPLES = r"""
- name: Ask whether the host may be contacted
  hospital.patching.host_contact:
  register: contact
"""

RETURN = r"""
allowed:
  description: Whether a connection may be made.
  type: bool
  returned: success
lost:
  description: Whether it is marked as lost or stolen.
  type: bool
  returned: success
reason:
  description: Why.
  type: str
  returned: success
addresses:
  description: The addresses that the host's name resolved to.
  type: list
  elements: str
  returned: success
asks_snapshot_provider:
  description:
    - Whether it is patched, and C(patching_snapshot) is V(auto), so that M(hospital.patching.snapshot_provider_info)
      has to be asked.
  type: bool
  returned: success
"""
