# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``crm_mon`` says of a cluster, of Pacemaker 2 (``<pacemaker-result>``) and before (``<crm_mon>``)."""

from typing import Dict, List, NamedTuple, Tuple
from xml.etree import ElementTree

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner

Node = NamedTuple(
    "Node", [("name", str), ("online", bool), ("standby", bool), ("problems", Tuple[str, ...]), ("running", int)]
)
Resource = NamedTuple(
    "Resource",
    [("id", str), ("active", bool), ("problems", Tuple[str, ...]), ("nodes", Tuple[str, ...]), ("one", bool)],
)
Status = NamedTuple(
    "Status", [("quorum", bool), ("maintenance", bool), ("nodes", Dict[str, Node]), ("resources", List[Resource])]
)

#: What keeps a node from taking over, and a resource from being moved.
NODE_PROBLEMS = ("pending", "unclean", "shutdown", "maintenance", "standby_onfail")
RESOURCE_PROBLEMS = ("failed", "blocked", "orphaned")
ROOTS = ("pacemaker-result", "crm_mon")


def read(runner: Runner) -> Status:
    """Return the cluster's state as this machine's node knows it.

    Raises:
        PatchingError: there is no cluster here, or its answer is not understood.
    """
    answer = runner.run(["crm_mon", "-1", "--output-as=xml"], timeout_s=60, check=False)
    if not answer.stdout.lstrip().startswith("<"):
        answer = runner.run(["crm_mon", "-1", "--as-xml"], timeout_s=60, check=False)
    return parse(answer.stdout, answer.stderr)


def parse(text: str, said: str = "") -> Status:
    """Return the state in crm_mon's XML; raises as :func:`read`."""
    try:
        root = ElementTree.fromstring(text)  # noqa: S314 (crm_mon of the host itself)
    except ElementTree.ParseError:
        raise _unreadable(" ".join((said or text).split())[:300] or "nothing")
    dc, options = root.find("summary/current_dc"), root.find("summary/cluster_options")
    if root.tag not in ROOTS or dc is None or options is None:
        errors = [" ".join((error.text or "").split()) for error in root.iter("error")]
        raise _unreadable("; ".join(errors) or "<{}> without a cluster".format(root.tag))
    nodes = [_node(one) for one in root.findall("nodes/node")]
    return Status(
        quorum=_is(dc, "present") and _is(dc, "with_quorum"),
        maintenance=_is(options, "maintenance-mode"),
        nodes={node.name: node for node in nodes},
        resources=list(_resources(root)),
    )


def _is(element: "ElementTree.Element", name: str) -> bool:
    return element.get(name) == "true"


def _node(element: "ElementTree.Element") -> Node:
    return Node(
        name=element.get("name", ""),
        online=_is(element, "online"),
        standby=_is(element, "standby"),
        problems=tuple(name for name in NODE_PROBLEMS if _is(element, name)),
        running=int(element.get("resources_running", "0")),
    )


def _resources(root: "ElementTree.Element") -> List[Resource]:
    # A clone runs on each node that may serve, and is not moved; what it has on a node in standby stops.
    clones = {id(one) for clone in root.iter("clone") for one in clone.iter("resource")}
    return [
        Resource(
            id=one.get("id", ""),
            active=_is(one, "active"),
            problems=tuple(name for name in RESOURCE_PROBLEMS if _is(one, name))
            + (() if one.get("managed", "true") == "true" else ("unmanaged",)),
            nodes=tuple(node.get("name", "") for node in one.findall("node")),
            one=id(one) not in clones,
        )
        for top in root.findall("resources")
        for one in top.iter("resource")
    ]


def _unreadable(seen: str) -> PatchingError:
    return PatchingError(
        "crm_mon",
        seen,
        "the state of a cluster that runs",
        "start Pacemaker on this machine, or correct patching_drain",
    )
