# SPDX-License-Identifier: GPL-3.0-or-later
"""Drain ``pacemaker``: the cluster's node is put into standby, and its resources move to the others.

By ``crm_standby``, which is Pacemaker's own: pcs and crmsh set the same attribute of
the node. It stays set over a reboot. Whether it has worked, crm_mon says.
"""

from typing import List, Optional

from ansible_collections.hospital.patching.plugins.module_utils.drains import crm_status
from ansible_collections.hospital.patching.plugins.module_utils.drains.base import DrainProvider
from ansible_collections.hospital.patching.plugins.module_utils.drains.crm_status import Node, Status
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError


class PacemakerDrain(DrainProvider):
    """``pacemaker`` is the node's name in the cluster; it runs on any of its nodes."""

    NAME = "pacemaker"
    OPTIONS = {
        "pacemaker": {"type": "str", "required": True},
        "min_peers": {"type": "int", "default": 1},
    }

    def validate(self) -> None:
        self.node = self.options["pacemaker"]

    def is_out(self) -> bool:
        return self._node(self._status()).standby

    def require_ready(self) -> None:
        status = self._status()
        node, peers = self._node(status), self._peers(status)
        seen = ""
        if not status.quorum:
            seen = "the cluster has no quorum"
        elif status.maintenance:
            seen = "the cluster is in maintenance mode, in which nothing is moved"
        elif not node.online or node.problems:
            seen = "node {} is {}".format(node.name, ", ".join(node.problems) or "offline")
        elif len(peers) < self.options["min_peers"]:
            others = [_told(one) for name, one in sorted(status.nodes.items()) if name != self.node]
            seen = "of the other nodes {} can take over ({})".format(len(peers), "; ".join(others) or "there is none")
        else:
            bad = ["{} is {}".format(one.id, ", ".join(one.problems)) for one in status.resources if one.problems]
            seen = "; ".join(sorted(set(bad)))
        if seen:
            raise self.refused(
                seen,
                "a cluster with quorum, {} other node that serves, and no failed or unmanaged resource".format(
                    self.options["min_peers"]
                ),
                "mend the cluster first (crm_mon -1), then run again",
            )

    def leave(self) -> bool:
        if self.is_out():
            return False
        self.context.runner.run(["crm_standby", "--node", self.node, "--update", "on"], timeout_s=60)
        return True

    def unmoved(self) -> Optional[str]:
        status = self._status()
        node = self._node(status)
        if not node.standby:
            return "node {} is not in standby".format(node.name)
        if node.running:
            return "{} resources are still on node {}".format(node.running, node.name)
        return self._ill(status)

    def back(self) -> bool:
        if not self._started().standby:
            return False
        self.context.runner.run(["crm_standby", "--node", self.node, "--delete"], timeout_s=60)
        return True

    def unreturned(self) -> Optional[str]:
        status = self._status()
        node = self._node(status)
        if node.standby or not node.online or node.problems:
            return _told(node)
        return self._ill(status)

    def _started(self) -> Node:
        """Return the node; after a reboot the cluster may still be starting."""
        clock = self.context.clock
        end = clock.monotonic() + self.context.wait_s
        while True:
            try:
                return self._node(self._status())
            except PatchingError:
                if clock.monotonic() >= end:
                    raise
            clock.sleep(1)

    def _status(self) -> Status:
        return crm_status.read(self.context.runner)

    def _node(self, status: Status) -> Node:
        if self.node not in status.nodes:
            raise self.refused(
                "the cluster has no node {}".format(self.node),
                "one of {}".format(", ".join(sorted(status.nodes)) or "no nodes"),
                "correct patching_drain",
            )
        return status.nodes[self.node]

    def _peers(self, status: Status) -> List[Node]:
        return [
            one
            for name, one in status.nodes.items()
            if name != self.node and one.online and not one.standby and not one.problems
        ]

    @staticmethod
    def _ill(status: Status) -> Optional[str]:
        """Return what does not serve anywhere; a resource that is disabled on purpose was so before and is allowed."""
        if not status.quorum:
            return "the cluster has lost its quorum"
        bad = ["{} is {}".format(one.id, ", ".join(one.problems)) for one in status.resources if one.problems]
        return "; ".join(sorted(set(bad))) or None


def _told(node: Node) -> str:
    words = [] if node.online else ["offline"]
    words += (["in standby"] if node.standby else []) + list(node.problems)
    return "node {} is {}".format(node.name, ", ".join(words) or "online")
