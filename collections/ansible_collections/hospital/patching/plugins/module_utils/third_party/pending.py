# SPDX-License-Identifier: GPL-3.0-or-later
"""What of the declared software a host would install or remove, beside its package manager's updates."""

from typing import Any, Dict, List, Optional

from ansible_collections.hospital.patching.plugins.module_utils import dpkg_version, pending_filters
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import PendingRequest
from ansible_collections.hospital.patching.plugins.module_utils.runner import without_logins
from ansible_collections.hospital.patching.plugins.module_utils.third_party import entries, registry
from ansible_collections.hospital.patching.plugins.module_utils.transaction import entry_kind

#: No package has this architecture, so an entry is never mistaken for a package of its name.
ARCH = "any"


def add(host: Host, wanted: PendingRequest, found: Dict[str, Any], given: List[Dict[str, Any]]) -> Dict[str, Any]:
    """Return ``found``, the package manager's answer, with the software that ``given`` declares.

    What cannot be told of one entry is a problem of that entry; the rest stands.

    Raises:
        PatchingError: an entry is not valid, or is a package that the package manager updates.
    """
    specs = entries.ranked(entries.read(given))
    updates, held, problems = [], [], []
    for order, spec in specs:
        try:
            update = _update(host, spec, order)
        except PatchingError as error:
            problems.append(str(error))
            continue
        if update is None:
            continue
        update = pending_filters.dated(update, wanted.first_seen, host.clock.now())
        reason = _older(update) or pending_filters.limit(update, wanted, host.clock.now())
        if reason is None and update["to"] is not None:
            reason = pending_filters.unwanted(update, wanted)
        if reason is None:
            updates.append(update)
        else:
            held.append(pending_filters.held_item(update, reason))
    _refuse_double(found, updates)
    names = [{"name": spec["name"]} for _order, spec in specs]
    alone, still = (pending_filters.unmatched(wanted, (), listed) for listed in ((), names))
    return dict(
        found,
        updates=found["updates"] + updates,
        held=found["held"] + held,
        problems=[text for text in found["problems"] if text not in alone or text in still] + problems,
    )


def _update(host: Host, spec: Dict[str, Any], order: int) -> Optional[Dict[str, Any]]:
    current, to = registry.build(host, spec).installed(), spec.get("version")
    if current == to:
        return None
    if current is not None and not entries.VERSION.match(current):
        raise PatchingError(
            "software {}".format(spec["name"]),
            "version {!r}".format(current),
            "a version without blanks and slashes",
            "correct the entry's detect",
        )
    update = {
        "name": spec["name"],
        "arch": ARCH,
        "source": None,
        "source_from": None,
        "source_to": None,
        "from": current,
        "to": to,
        "origin": without_logins(spec["source"]) if to and "source" in spec else None,
        "class": "third_party",
        "security": spec["security"],
        "advisories": [],
        "cves": spec.get("cves"),
        "download_bytes": spec.get("size_bytes", 0) if to else 0,
        "installed_bytes": None,
        "sha256": spec.get("sha256") if to else None,
        "published": None,
        "published_by": None,
        "automatic": False,
        "installer": spec["type"],
        "software": spec,
        "order": order,
    }
    return dict(update, kind=entry_kind(update))


def _older(update: Dict[str, Any]) -> Optional[pending_filters.Reason]:
    current, to = update["from"], update["to"]
    if not current or not to or update["installer"] in ("flatpak", "snap"):
        return None
    if dpkg_version.compare(current, to) < 0:
        return None
    return pending_filters.Reason("newer", "{} is installed, which is newer than the declared {}".format(current, to))


def _refuse_double(found: Dict[str, Any], updates: List[Dict[str, Any]]) -> None:
    packages = {update["name"] for update in found["updates"]}
    for update in updates:
        if update["name"] in packages:
            raise PatchingError(
                "software {}".format(update["name"]),
                "the repositories have an update of the same name",
                "one source of a version",
                "rename the entry, leave it to the repositories, or exclude the package by patching_update_exclude",
            )
