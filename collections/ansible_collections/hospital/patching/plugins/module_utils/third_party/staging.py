# SPDX-License-Identifier: GPL-3.0-or-later
"""Before the window: the declared software of one host, fetched, checked, made ready; and its way back."""

import contextlib
import json
import os
from typing import Any, Dict, Iterator, List, Tuple

from ansible_collections.hospital.patching.plugins.module_utils import disk_space
from ansible_collections.hospital.patching.plugins.module_utils.canonical import digest
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.third_party import proof, registry
from ansible_collections.hospital.patching.plugins.module_utils.third_party.base import Installer
from ansible_collections.hospital.patching.plugins.module_utils.third_party.fetch import fetch
from ansible_collections.hospital.patching.plugins.module_utils.third_party.logins import Logins

Entry = Dict[str, Any]


def still_wanted(host: Host, updates: List[Entry]) -> List[Entry]:
    """Return the updates of software that is not at its target yet.

    Raises:
        PatchingError: it is neither at its from nor at its target.
    """
    wanted = []
    for update in updates:
        found = registry.build(host, update["software"]).installed()
        if found == update["to"]:
            continue
        if found != update["from"]:
            raise drifted(update, found)
        wanted.append(update)
    return wanted


def drifted(entry: Entry, found: Any) -> PatchingError:
    """Return the refusal of software that something else has changed."""
    return PatchingError(
        "software {}".format(entry["name"]),
        "{} is installed".format(found or "nothing"),
        "{} (or {}, the target)".format(entry["from"] or "nothing", entry["to"] or "nothing"),
        "find out what else changed this host, then assess, plan and stage it again; nothing was changed",
    )


def as_entry(update: Entry) -> Entry:
    """Return a planned update as an entry of a transaction."""
    kept = ("name", "arch", "from", "to", "sha256", "origin", "automatic", "installer", "software", "order")
    return dict({key: update[key] for key in kept}, size_bytes=update["download_bytes"])


@contextlib.contextmanager
def for_everybody() -> Iterator[None]:
    """Let service accounts use what is made, also where root's umask is stricter than usual."""
    before = os.umask(0o022)
    try:
        yield
    finally:
        os.umask(before)


def rehearse_removals(host: Host, entries: List[Entry]) -> None:
    """Refuse what could not be removed, or not alone; changes nothing, so the dry run asks too.

    Raises:
        PatchingError: naming what would go with it.
    """
    gone = {}  # type: Dict[str, List[str]]
    for entry in entries:
        if entry["to"] is None:
            rehearse_removal(registry.build(host, entry["software"]), gone)


def rehearse_removal(installer: Installer, gone: Dict[str, List[str]]) -> None:
    """Rehearse one removal after those in ``gone``, by package database, to which it is added.

    Raises:
        PatchingError: naming what would go with it.
    """
    before = gone.setdefault(installer.DATABASE, [])
    installer.rehearse_removal(before)
    before.append(installer.package)


def stage(host: Host, entries: List[Entry], logins: Dict[str, str]) -> Dict[str, Any]:
    """Make every entry ready; return ``preserved``, ``not_preserved``, ``space``, ``download_bytes``, ``changed``."""
    result = {
        "preserved": [],
        "not_preserved": [],
        "space": [],
        "download_bytes": 0,
        "changed": False,
    }  # type: Dict[str, Any]
    for entry in entries:
        installer = registry.build(host, entry["software"])
        if entry["to"] is not None and not_ready(installer, entry["to"]) is not None:
            with for_everybody():
                fetched, space = _make_ready(host, installer, entry["to"], Logins(logins, installer.spec))
            result["download_bytes"] += fetched
            result["space"] += space
            result["changed"] = True
        _keep(host, installer, entry, result, logins)
    return result


def not_ready(installer: Installer, version: str) -> Any:
    """Return why ``version`` cannot be installed from its stage, or None."""
    try:
        with open(_mark(installer, version), encoding="utf-8") as handle:
            known = json.load(handle)
    except (OSError, ValueError):
        return "it is not staged"
    if known != {"entry": digest(installer.spec)}:
        return "it was staged for another entry"
    return installer.lacking(version)


def way_back_lacks(host: Host, entry: Entry) -> Any:
    """Return what is missing for an entry's way back, or None."""
    return registry.build(host, entry["software"]).lacking(entry["from"])


def _mark(installer: Installer, version: str) -> str:
    return os.path.join(installer.store, version, "staged.json")


def _make_ready(host: Host, installer: Installer, version: str, logins: Logins) -> Tuple[int, List[Dict[str, Any]]]:
    folder = os.path.join(installer.store, version)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    path, fetched = os.path.join(folder, "file"), 0
    space = []  # type: List[Dict[str, Any]]
    if installer.FETCHES:
        fetched = fetch(installer.spec, path, host.runner, logins, host.root)
        space = disk_space.survey(installer.room_bytes(path))
        disk_space.check(space)
    installer.stage(version, path)
    proof.refuse_unready(installer, version)
    with open(_mark(installer, version) + ".part", "w", encoding="utf-8") as handle:
        json.dump({"entry": digest(installer.spec)}, handle)
        handle.flush()
        os.fsync(handle.fileno())
    os.rename(_mark(installer, version) + ".part", _mark(installer, version))
    return fetched, space


def _keep(host: Host, installer: Installer, entry: Entry, result: Dict[str, Any], logins: Dict[str, str]) -> None:
    version = entry["from"]
    if version is None:
        why = installer.lacking(None)  # its way back is that it goes
        if why:
            result["not_preserved"].append(_item(entry, "none", reason=why))
        return
    try:
        _fetch_previous(host, installer, version, Logins(logins, installer.spec))
        why = installer.keep(version)
    except PatchingError as error:
        why = error.seen
    if why:
        result["not_preserved"].append(_item(entry, version, reason=why))
    else:
        result["preserved"].append(_item(entry, version, sha256=installer.kept_digest(version)))


def _fetch_previous(host: Host, installer: Installer, version: str, logins: Logins) -> None:
    previous = installer.spec.get("previous")
    if previous and previous["version"] == version:
        limits = {key: installer.spec[key] for key in ("download_timeout_s",) if key in installer.spec}
        wanted = dict(previous, name=installer.name, **limits)
        fetch(wanted, os.path.join(installer.store, version, "file"), host.runner, logins, host.root)


def _item(entry: Entry, version: str, **more: Any) -> Dict[str, Any]:
    return dict({"name": entry["name"], "arch": entry["arch"], "version": version}, **more)
