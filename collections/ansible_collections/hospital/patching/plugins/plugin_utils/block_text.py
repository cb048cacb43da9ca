# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said to whoever blocks an update: whether it is known, where it is pending, and where it is installed."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import blocks, installs
from ansible_collections.hospital.patching.plugins.plugin_utils.blocks import Block
from ansible_collections.hospital.patching.plugins.plugin_utils.evidence import Evidence
from ansible_collections.hospital.patching.plugins.plugin_utils.names import natural_key

#: So many hosts are named.
NAMED = 10


def blocked(store: Evidence, block: Block, changed: bool, named: Sequence[str] = ()) -> list[str]:
    """Return what holds now.

    Args:
        named: the hosts that the block names; none for the whole fleet.
    """
    pending, unread = _pending(store, block)
    installed, unreadable = installs.where(store, block.item)
    lines = [
        block.told() if changed else f"{block.item} was blocked already: nothing changed",
        "It holds at once: no host installs it that has not begun to; a host in the middle of it is finished",
    ]
    if named:
        lines.append(f"This block is for {_some(named)} only")
    if pending:
        lines.append(f"Pending on {_some(pending)}")
    mine = [host for host in installed if block.is_for(host)]
    if mine:
        lines += [f"Installed on {_some(mine)}; to take it back there:", command(block, mine)]
    if not pending and not installed:
        lines.append(
            f"No assessment has {block.item} pending and no run has installed it: is it spelt as plans show it?"
        )
    return [*lines, *unread, *unreadable]


def command(block: Block, hosts: Sequence[str]) -> str:
    """Return the one command that takes it back: on the whole fleet, or on ``hosts`` where the block names some."""
    updates, reason = (shlex.quote(f"{key}={value}") for key, value in _values(block))
    only = "-e " + shlex.quote(f"rollback_hosts={','.join(hosts)}") + " " if block.hosts else ""
    return f"ansible-playbook -i INVENTORY playbooks/rollback.yml -e patching_run_id=all -e {updates} {only}-e {reason}"


def _values(block: Block) -> list[tuple[str, str]]:
    quoted = block.reason.replace("'", "")
    return [("rollback_updates", block.item), ("rollback_reason", f"'{quoted}'")]


def lifted(item: str, changed: bool) -> list[str]:
    """Return what holds after a block was withdrawn."""
    if not changed:
        return [f"No block of {item} held: nothing changed"]
    again = "hosts that it has stopped go on when patch.yml is started again; assess and plan again for all others"
    return [f"{item} is blocked no longer", again]


def _pending(store: Evidence, block: Block) -> tuple[list[str], list[str]]:
    """Return the hosts on which an assessment has it pending, and what could not be read."""
    found, problems = [], []
    folder = store.root / "assess"
    for host in sorted((path.stem for path in folder.glob("*.json")), key=natural_key):
        try:
            assessment = store.assessment(host) or {}
            updates = (assessment.get("pending") or {}).get("updates") or []
            if blocks.hits([block], host, updates):
                found.append(host)
        except (PatchingError, KeyError, TypeError, AttributeError) as error:
            problems.append(f"the assessment of {host} cannot be read: {error}")
    return found, problems


def _some(hosts: Sequence[str]) -> str:
    more = f" and {len(hosts) - NAMED} more" if len(hosts) > NAMED else ""
    return ", ".join(hosts[:NAMED]) + more
