# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots of virtual machines: what is written into their description, and how our own are told from others.

A snapshot is known by its hypervisor's id of it. It is ours when its description, which was given with the very call
that made it, is one of ours and names the machine that it is of: a machine whose files somebody copied and registered
brings its snapshots along with their descriptions, but has a UUID of its own. Names are never read.
"""

import re
from typing import Dict, List, NamedTuple, Optional
from urllib.parse import unquote

from ansible_collections.hospital.patching.plugins.module_utils.snapshots.base import Snapshot

FIRST_LINE = "hospital.patching restore point"
#: A restore point; or the state that a revert replaced, kept for as long as the restore point was to be.
RESTORE_POINT, SET_ASIDE = "restore_point", "set_aside"
BEGUN, ENDED = "begun", "ended"
REQUIRED = ("kind", "run", "host", "reason", "created", "expires", "machine", "token", "consistency")
OPTIONAL = ("note", "of", "revert", "agent")
#: Old versions of vCenter store 1,024 characters in all.
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


def name_of(facts: Dict[str, str]) -> str:
    """Return the name of a snapshot, which is for people."""
    kind = "set aside " if facts["kind"] == SET_ASIDE else ""
    return "hospital.patching {}{}".format(kind, facts["run"])[:80]


def aim(begun: Found) -> Optional[str]:
    """Return the id of the snapshot that a revert goes back to, from what it has set aside."""
    return (read_description(begun.description) or {}).get("of")


def _guarded(value: str) -> str:
    """XML knows no control characters, and a line break would begin another fact."""
    return re.sub(r"[%\x00-\x1f\x7f]", lambda match: "%{:02X}".format(ord(match.group(0))), value[:VALUE_CHARS])


def chain_depth(tree: Tree) -> int:
    """Return how many snapshots lie under the machine's present state."""
    return next((one.depth for one in tree.snapshots if one.id == tree.current), 0)


def facts_of(one: Found, identity: Optional[str]) -> Optional[Dict[str, str]]:
    """Return the facts of a snapshot of ours; None when it is anybody else's."""
    facts = read_description(one.description)
    return facts if facts is not None and facts["machine"] == identity else None


def as_snapshot(provider: str, machine: str, machine_name: str, one: Found, facts: Dict[str, str]) -> Snapshot:
    """Return it in the words that all providers share."""
    detail = {
        "kind": facts["kind"],
        "machine": machine,
        "machine_name": machine_name,
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


def under_way(tree: Tree, identity: Optional[str]) -> Optional[Found]:
    """Return what a revert of the machine that has not ended has set aside, or None."""
    for one in tree.snapshots:
        facts = facts_of(one, identity)
        if facts is not None and facts["kind"] == SET_ASIDE and facts.get("revert") == BEGUN:
            return one
    return None
