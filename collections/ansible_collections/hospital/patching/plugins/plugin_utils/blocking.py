# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes blocks: adds one, or lifts it. Nothing is ever removed, so that the file tells its own history."""

from __future__ import annotations

import fcntl
import fnmatch
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import blocks
from ansible_collections.hospital.patching.plugins.plugin_utils.blocks import Block
from ansible_collections.hospital.patching.plugins.plugin_utils.evidence import write_text
from ansible_collections.hospital.patching.plugins.plugin_utils.fetching import without_credentials
from ansible_collections.hospital.patching.plugins.plugin_utils.gate_live import variable
from ansible_collections.hospital.patching.plugins.plugin_utils.halt_files import first_line
from ansible_collections.hospital.patching.plugins.plugin_utils.names import natural_key
from ansible_collections.hospital.patching.plugins.plugin_utils.plain import plain
from ansible_collections.hospital.patching.plugins.plugin_utils.times import stamp

HEAD = "# Updates that nobody installs. Written by block.yml, read again before every host.\n---\n"


def places(hostvars: Mapping[str, Mapping[str, Any]], hosts: Sequence[str], root: Path) -> list[str]:
    """Return every place in which a host of the inventory looks for blocks: a block has to stand in all of them.

    Raises:
        PatchingError: one is served by a URL, where only its owner can write.
    """
    given = (variable(hostvars.get(host) or {}, blocks.SETTING) for host in hosts)
    # A host whose variables cannot be read is closed at its gate, and must not keep the others from being blocked.
    found = sorted({blocks.place_of(value, root) for value, problem in given if not problem})
    for place in found:
        if blocks.is_url(place):
            raise PatchingError(
                blocks.SETTING,
                f"{without_credentials(place)}, to which nothing can be written from here",
                "a file",
                "write the block where that is served; until then stop runs with stop.yml, or the fleet with a freeze",
            )
    return found or [blocks.place_of(None, root)]


def named(patterns: Sequence[str], groups: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the inventory's hosts that a block's patterns name; none for a block of the whole fleet.

    Raises:
        PatchingError: a pattern names no host: the block would hold nowhere, and nobody would notice.
    """
    hosts = sorted(groups["all"], key=natural_key)
    for pattern in patterns:
        if not any(fnmatch.fnmatchcase(host, pattern) for host in hosts):
            raise PatchingError(
                f"block_hosts, {pattern!r}",
                "the name of a group" if pattern in groups else "no host of the inventory",
                "names of hosts, or shell patterns of them",
                "name the hosts, or leave block_hosts out to block it on all; nothing was blocked",
            )
    return [host for host in hosts if any(fnmatch.fnmatchcase(host, pattern) for pattern in patterns)]


def block(place: str, wanted: Block, check: bool = False) -> bool:
    """Add a block; return False, and change nothing, when one for the same hosts holds already.

    Raises:
        PatchingError: it has no reason, or the file cannot be read or written.
    """
    blocks.require_item(wanted.item)
    if not wanted.reason.strip():
        raise PatchingError(f"block of {wanted.item}", "no reason", "why", "give -e \"block_reason='…'\"")
    with _alone(place, check):
        known = blocks.read(place)
        if any(one.holds and (one.item, set(one.hosts)) == (wanted.item, set(wanted.hosts)) for one in known):
            return False
        if not check:
            _write(place, [*known, wanted])
        return True


def lift(place: str, item: str, by: str, reason: str, now: datetime, check: bool = False) -> bool:
    """Withdraw every block of ``item``, whoever made it; return whether any held.

    Raises:
        PatchingError: the file cannot be read or written.
    """
    why = first_line(reason)
    with _alone(place, check):
        known = blocks.read(place)
        after = [
            replace(one, lifted=stamp(now), lifted_by=by, lifted_reason=why) if one.holds and one.item == item else one
            for one in known
        ]
        changed = after != list(known)
        if changed and not check:
            _write(place, after)
        return changed


@contextmanager
def _alone(place: str, check: bool) -> Iterator[None]:
    """Two people who block at once must not lose one of the blocks."""
    path = Path(place)
    if check:
        yield
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = path.with_name(f".{path.name}.lock").open("a")
    except OSError as error:
        raise PatchingError(
            place, str(error), "a directory that can be written", "make room, or correct its permissions"
        ) from error
    with handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _write(place: str, known: Sequence[Block]) -> None:
    # Arguments of a task carry Ansible's own kinds of text, which YAML refuses to write.
    listed = plain([one.as_dict() for one in known])
    text = HEAD + yaml.safe_dump(listed, sort_keys=False, allow_unicode=True, default_flow_style=False, width=1000)
    blocks.parse(text, place)  # what could not be read again would close the whole fleet
    write_text(Path(place), text)
