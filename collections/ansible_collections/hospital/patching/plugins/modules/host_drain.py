# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Move users away from a host, and let them come back."""

DOCUMENTATION = r"""
module: host_drain
short_description: Move users away from a host, and let them come back
version_added: 0.1.0
description:
  - Proves that whoever takes over is healthy, moves users away, waits until that is proven, and for as long as their
    work takes.
  - A drain that fails is taken back at once, except for V(postgresql), where nothing is promoted after a failure.
  - A host that somebody else has taken out is refused; a file in O(state_dir) says that a run has done it.
  - Runs where O(provider) is at work; delegate it to that machine where it is not the host itself.
author: The hospital.patching engineers (@hospital-patching)
extends_documentation_fragment:
  - hospital.patching.attributes
  - hospital.patching.run
attributes:
  check_mode:
    support: full
    details:
      - Says whether it could be begun, and changes nothing.
  diff_mode:
    support: none
    details:
      - There is nothing to compare.
  idempotent:
    support: full
    details:
      - What is drained or returned already is proven again, and not changed.
options:
  device_segments:
    description: CIDRs that no connection may reach; without them none is made.
    type: list
    elements: str
  host:
    description: Inventory name of the host that is drained.
    type: str
    required: true
  options:
    description: The options of O(provider), as C(patching_drain) has them; see C(docs/drains.md).
    type: dict
    default: {}
  provider:
    description:
      - V(interface_engine) closes the engine's intake by its own commands, and waits until its queues are empty.
      - V(keepalived) lowers the priority by a file that keepalived's configuration tracks, so that a partner takes the
        virtual address.
      - V(pacemaker) puts the cluster's node into standby.
      - V(postgresql) switches a primary over to its replica, which streams and lags by nothing, by the site's command.
    type: str
    required: true
    choices: [interface_engine, keepalived, pacemaker, postgresql]
  state:
    description: Whether users are moved away, or may come back.
    type: str
    required: true
    choices: [drained, returned]
  wait_s:
    description: How many seconds each of it may take.
    type: int
    default: 120
"""

EXAMPLES = r"""
- name: Put the cluster's node into standby
  hospital.patching.host_drain:
    run_id: 20261122T010000Z-ab12cd34
    state: drained
    host: pacs1
    provider: pacemaker
    options:
      pacemaker: pacs1
  delegate_to: pacs2
"""

RETURN = r"""
drained:
  description:
    - C(left) is how much work of users was not finished when the time was over and O(options) said to go on; null when
      that was not asked.
  type: dict
  returned: success
  sample: {left: 0}
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.hospital.patching.plugins.module_utils import arguments
from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.drains import moving
from ansible_collections.hospital.patching.plugins.module_utils.drains.base import DrainContext
from ansible_collections.hospital.patching.plugins.module_utils.drains.registry import PROVIDERS, build
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.probes.connector import Connector
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner


def main():
    module = AnsibleModule(
        argument_spec=dict(
            arguments.RUN,
            state=dict(type="str", choices=["drained", "returned"], required=True),
            provider=dict(type="str", choices=sorted(PROVIDERS), required=True),
            options=dict(type="dict", default={}),
            host=dict(type="str", required=True),
            wait_s=dict(type="int", default=120),
            device_segments=dict(type="list", elements="str"),
        ),
        supports_check_mode=True,
    )
    wanted, clock = module.params, Clock()
    act = moving.drain if wanted["state"] == "drained" else moving.give_back
    try:
        connector = Connector(wanted["device_segments"], clock)
        context = DrainContext(Runner(), clock, connector, wanted["host"], wanted["wait_s"])
        provider = build(wanted["provider"], wanted["options"], context)
        mark = moving.Mark(wanted["state_dir"], wanted["host"], wanted["run_id"])
        moved = act(provider, mark, not module.check_mode)
    except PatchingError as error:
        module.fail_json(msg=str(error), **error.parts())
    module.exit_json(changed=moved.changed, drained=moved.detail)


if __name__ == "__main__":
    main()
