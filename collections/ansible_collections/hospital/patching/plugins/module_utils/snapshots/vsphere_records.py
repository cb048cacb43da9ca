# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots of virtual machines: what is written into their description, and how our own are told from others.

A snapshot is known by vCenter's id of it. It is ours when its description, which was given with the very call that made
it, is one of ours and names the machine that it is of: a machine whose files somebody copied and registered brings its
snapshots along with their descriptions, but has an instance UUID of its own. Names are never read.
"""

import re
from typing import Any, Dict, List, NamedTuple, Optional
from urllib.parse import unquote

from ansible_collections.hospital.patching.plugins.module_utils.snapshots.base import Snapshot

FIRST_LINE = "hospital.patching restore point"
#: A restore point; or the state that a revert replaced, kept for as long as the restore point was to be.
RESTORE_POINT, SET_ASIDE = "restore_point", "set_aside"
BEGUN, ENDED = "begun", "ended"
REQUIRED = ("kind", "run", "host", "reason", "created", "expires", "machine", "token", "consistency")
OPTIONAL = ("note", "of", "revert")
#: The vSphere Client shows no more of a value in a sensible way, and old versions store 1,024 characters in all.
VALUE_CHARS = 160

#: ``depth`` counts the snapshots from the root of the tree down to this one, itself included.
Found = NamedTuple(
    "Found",
    [
        ("id", str),
        ("name", str),
        ("description", str),
        ("power_state", str),
        ("depth", int),
        ("parent", Optional[str]),
    ],
)
Tree = NamedTuple("Tree", [("snapshots", List[Found]), ("current", Optional[str])])


def describe(facts: Dict[str, str]) -> str:
    """Return the description of a snapshot of ours, one fact a line."""
    lines = [FIRST_LINE]
    lines += ["{}: {}".format(key, _guarded(facts[key])) for key in REQUIRED + OPTIONAL if key in facts]
    return "\n".join(lines)


def read_description(text: str) -> Optional[Dict[str, str]]:
    """Return what :func:`describe` wrote, or None when it is not ours."""
    lines = (text or "").splitlines()
    if not lines or lines[0] != FIRST_LINE:
        return None
    facts = {key: unquote(value) for key, _colon, value in (line.partition(": ") for line in lines[1:])}
    return facts if all(key in facts for key in REQUIRED) else None


def _guarded(value: str) -> str:
    """XML knows no control characters, and a line break would begin another fact."""
    return re.sub(r"[%\x00-\x1f\x7f]", lambda match: "%{:02X}".format(ord(match.group(0))), value[:VALUE_CHARS])


def read_tree(info: Any) -> Tree:
    """Return a machine's property ``snapshot`` as a list, parents before their children; an absent one is empty."""
    found: List[Found] = []

    def walk(items: Any, depth: int, parent: Optional[str]) -> None:
        for item in items or []:
            moid = item.snapshot._moId
            found.append(Found(moid, item.name, item.description or "", str(item.state), depth, parent))
            walk(item.childSnapshotList, depth + 1, moid)

    if info is not None:
        walk(info.rootSnapshotList, 1, None)
    current = getattr(info, "currentSnapshot", None)
    return Tree(found, current._moId if current is not None else None)


def chain_depth(tree: Tree) -> int:
    """Return how many snapshots lie under the machine's present state."""
    return next((one.depth for one in tree.snapshots if one.id == tree.current), 0)


def facts_of(one: Found, instance_uuid: Optional[str]) -> Optional[Dict[str, str]]:
    """Return the facts of a snapshot of ours; None when it is anybody else's."""
    facts = read_description(one.description)
    return facts if facts is not None and facts["machine"] == instance_uuid else None


def as_snapshot(provider: str, moid: str, machine: Dict[str, Any], one: Found, facts: Dict[str, str]) -> Snapshot:
    """Return it in the words that all providers share."""
    detail = {
        "kind": facts["kind"],
        "machine": moid,
        "machine_name": machine["name"],
        "name": one.name,
        "consistency": facts["consistency"],
        "note": facts.get("note"),
        "power_state": one.power_state,
        "depth": one.depth,
        "of": facts.get("of"),
        "revert": facts.get("revert"),
    }
    return Snapshot(
        one.id,
        provider,
        facts["run"],
        facts["host"],
        facts["reason"],
        facts["created"],
        facts["expires"],
        detail,
    )


def under_way(tree: Tree, instance_uuid: Optional[str]) -> Optional[Found]:
    """Return what a revert of the machine that has not ended has set aside, or None."""
    for one in tree.snapshots:
        facts = facts_of(one, instance_uuid)
        if facts is not None and facts["kind"] == SET_ASIDE and facts.get("revert") == BEGUN:
            return one
    return None
