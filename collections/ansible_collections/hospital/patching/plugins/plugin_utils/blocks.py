# SPDX-License-Identifier: GPL-3.0-or-later
"""Blocks: updates that nobody installs any more, on the whole fleet, from the moment a person says so.

They stand in one file, ``blocks.yml`` in the evidence directory unless
``patching_blocks_file`` names another (a path, or a URL that answers with such a
file): a list of

* ``item``: NAME, NAME=VERSION (the new one), or an advisory's id, as ``patching_update_deny`` takes them;
* ``reason``, and ``by`` and ``since``, which ``block.yml`` writes;
* ``hosts``: shell patterns of host names; without, the block holds for all;
* ``lifted``, ``lifted_by``, ``lifted_reason``: it was withdrawn and holds no longer.

It is read anew wherever it counts: at assess, plan and stage, at the gate, and
again right before a host installs. A file that cannot be read blocks everything.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.pending_filters import matches
from ansible_collections.hospital.patching.plugins.plugin_utils import fetching, yaml_lines
from ansible_collections.hospital.patching.plugins.plugin_utils.halt_files import first_line

#: Its name in the evidence directory, unless ``patching_blocks_file`` names another.
FILE = "blocks.yml"
SETTING = "patching_blocks_file"
LARGEST = 1_000_000
LIMIT_S = 10
#: How long an answer counts for a host that waits at the gate.
KEPT_S = 5
KEYS = ("item", "reason", "by", "since", "hosts", "lifted", "lifted_by", "lifted_reason")
#: What cannot be read closes.
CLOSED = "a list of {item, reason}, which block.yml writes; until it can be read no update is installed"

#: Name, architecture and new version of an update, to the advisories that any host knows of it.
Advisories = Mapping[tuple[str, str, str | None], frozenset[str]]


@dataclass(frozen=True)
class Block:
    """One line of the file."""

    item: str
    reason: str
    by: str = "an unknown person"
    since: str = "an unknown time"
    hosts: tuple[str, ...] = ()
    lifted: str = ""
    lifted_by: str = ""
    lifted_reason: str = ""

    @property
    def holds(self) -> bool:
        """Whether it is in force."""
        return not self.lifted

    def is_for(self, host: str) -> bool:
        return not self.hosts or any(fnmatch.fnmatchcase(host, pattern) for pattern in self.hosts)

    def told(self) -> str:
        """Return who blocked what and why."""
        return f"{self.item} is blocked by {self.by} since {self.since}: {self.reason}"

    def as_dict(self) -> dict[str, Any]:
        """Return it as the file has it; what is not given is left out."""
        found = {key: getattr(self, key) for key in KEYS}
        return {key: list(value) if key == "hosts" else value for key, value in found.items() if value}


@dataclass(frozen=True)
class Hit:
    """An update that a block is about."""

    name: str
    arch: str
    to: str | None
    block: Block

    def told(self) -> str:
        return f"{self.name} {self.to or '(removed)'}: {self.block.told()}"

    def as_dict(self) -> dict[str, Any]:
        block = self.block
        return {"name": self.name, "arch": self.arch, "to": self.to, "item": block.item, "reason": block.reason}


def is_url(place: str) -> bool:
    """Return whether blocks are served from elsewhere."""
    return "://" in place


def place_of(setting: object, root: Path) -> str:
    """Return where the blocks of a host stand.

    Raises:
        PatchingError: a relative path, which would be another file wherever a run is started.
    """
    if not setting:
        return str(root / FILE)
    if not is_url(str(setting)) and not Path(str(setting)).is_absolute():
        raise PatchingError(SETTING, str(setting), "an absolute path or a URL", "correct it in the inventory")
    return str(setting)


def read(place: str, named: bool = False) -> tuple[Block, ...]:
    """Return the blocks at a path or URL, lifted ones too.

    Args:
        named: whether a setting names the place; then it has to be there. Without
            the evidence directory's own file nothing was ever blocked.

    Raises:
        PatchingError: it cannot be read or understood.
    """
    shown = fetching.without_credentials(place)
    if not named and _certainly_missing(Path(place)):
        return ()
    try:
        text = fetching.fetch(place, LARGEST, LIMIT_S).decode("utf-8")
    except (fetching.Unavailable, UnicodeDecodeError) as error:
        raise _unreadable(shown, str(error)) from error
    return parse(text, shown)


def _certainly_missing(path: Path) -> bool:
    try:
        return not path.is_symlink() and not path.exists() and path.parent.is_dir()
    except OSError:
        return False


def parse(text: str, name: str) -> tuple[Block, ...]:
    """Return the blocks of a file's text; raises as :func:`read`."""
    try:
        document = yaml_lines.read(text, name)
    except PatchingError as error:
        raise _unreadable(error.subject, error.seen) from error
    if document.value is None:
        return ()
    if not isinstance(document.value, list):
        raise _unreadable(name, "no list")
    return tuple(_block(one, document.where((number,))) for number, one in enumerate(document.value))


def _block(given: Any, where: str) -> Block:
    if not isinstance(given, dict):
        raise _unreadable(where, "an entry that is no mapping")
    unknown = sorted(set(given) - set(KEYS))
    if unknown:
        raise _unreadable(where, f"the key {unknown[0]}, where {', '.join(KEYS)} are known")
    hosts = given.get("hosts") or []
    values = {key: value for key, value in given.items() if key != "hosts" and value is not None}
    if isinstance(hosts, str):
        hosts = [hosts]
    texts = [*values.values(), *(hosts if isinstance(hosts, list) else [None])]
    if not all(isinstance(one, str) and one.strip() for one in texts):
        raise _unreadable(where, "a value that is no text; a version that looks like a number stands in quotes")
    for key in ("item", "reason"):
        if key not in values:
            raise _unreadable(where, f"no {key}")
    require_item(values["item"], where)
    return Block(**{key: first_line(value) for key, value in values.items()}, hosts=tuple(hosts))


def require_item(item: str, where: str = "block_item") -> None:
    """Refuse what can be no item: it would be about nothing.

    Raises:
        PatchingError: naming it.
    """
    if any(sign in item for sign in "*?[]") or item.split() != [item]:
        seen, expected = repr(item), "NAME, NAME=VERSION or an advisory's id; no pattern"
        raise PatchingError(where, seen, expected, "name each package by an entry of its own")


def _unreadable(where: str, seen: str) -> PatchingError:
    return PatchingError(f"blocks in {where}", seen, CLOSED, "correct the file, or bring back what serves it")


def advisories_of(plan: Mapping[str, Any]) -> dict[tuple[str, str, str | None], frozenset[str]]:
    """Return the advisories of a plan's updates, whichever host knows them: a transaction does not carry them."""
    known: dict[tuple[str, str, str | None], frozenset[str]] = {}
    for entry in plan["hosts"].values():
        for update in entry["updates"]:
            key = (update["name"], update["arch"], update["to"])
            known[key] = known.get(key, frozenset()) | frozenset(update["advisories"])
    return known


def hits(
    blocks: Iterable[Block], host: str, updates: Sequence[Mapping[str, Any]], known: Advisories | None = None
) -> list[Hit]:
    """Return what of a host's updates, or of its transaction's entries, is blocked.

    Args:
        known: advisories of updates that do not carry their own.
    """
    mine = [block for block in blocks if block.holds and block.is_for(host)]
    found = []
    for update in updates if mine else ():
        key = (str(update["name"]), str(update["arch"]), update["to"])
        advisories = {*(update.get("advisories") or ()), *(known or {}).get(key, ())}
        looked_at = {**update, "advisories": advisories}
        block = next((one for one in mine if matches(looked_at, one.item)), None)
        if block is not None:
            found.append(Hit(*key, block))
    return found


def refusal(found: Sequence[Hit]) -> str:
    """Return why a host must not install what it was staged with, and what to do next."""
    more = f"; and {len(found) - 3} more" if len(found) > 3 else ""
    named = "; ".join(hit.told() for hit in found[:3])
    again = "stage.yml with this plan again leaves it out, which needs no new approval, then patch.yml again"
    withdraw = f"block.yml -e block_item={found[0].block.item} -e block_withdraw=true"
    return f"{named}{more}. Next: {again}; or, if it is good after all, {withdraw}"


def left(updates: Sequence[Mapping[str, Any]], found: Sequence[Hit]) -> list[dict[str, Any]]:
    """Return what is still asked for when what is blocked is left out.

    What came along with an update (an automatic new package, a removal) may have
    come with a blocked one. So it is not asked for by itself any more: where it is
    needed all the same, the host's package manager brings it, within the manifest.
    """
    blocked = {(hit.name, hit.arch, hit.to) for hit in found}
    return [
        dict(update)
        for update in updates
        if (update["name"], update["arch"], update["to"]) not in blocked
        and not (found and (update["kind"] == "removal" or (update["kind"] == "new_install" and update["automatic"])))
    ]
