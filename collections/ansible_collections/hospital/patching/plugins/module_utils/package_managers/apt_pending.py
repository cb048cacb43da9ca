# SPDX-License-Identifier: GPL-3.0-or-later
"""What an apt host would update: the resolved transaction with origins, classes and sizes."""

from typing import Any, Dict, List, Optional, Set, Tuple

from ansible_collections.hospital.patching.plugins.module_utils import apt_preferences, pending_filters
from ansible_collections.hospital.patching.plugins.module_utils.dpkg_database import (
    DpkgDatabase,
    Package,
    holds,
    native_architecture,
)
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import (
    apt_carried,
    apt_kept_back,
    apt_origins,
    apt_scenario,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.apt_metadata import AptMetadata
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.apt_resolve import (
    AptResolver,
    Change,
    Stanza,
    by_version,
    target,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import PendingRequest
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.private_directory import room
from ansible_collections.hospital.patching.plugins.module_utils.software.os_identity import read_os_release

Key = Tuple[str, str]
Update = Dict[str, Any]


def pending(host: Host, wanted: PendingRequest) -> Dict[str, Any]:
    """Return the shape of ``pending_updates_info``; the host keeps nothing of it."""
    installed = DpkgDatabase(host.root).present()
    now = host.clock.now()
    with room(host.root), apt_carried.metadata(host, wanted.carried) as metadata:
        metadata.refresh()
        repositories = metadata.repositories()
        resolver = AptResolver(host.runner, metadata.options(), metadata.directory)
        changes = resolver.upgrade_all()
        versions, problems = _known(host, metadata, {name for name, _arch in installed})
        sources = {(version.name, version.version): version for version in versions}
        published = apt_origins.security_versions(repositories, {change.name for change in changes})

        def described(several: List[Change]) -> List[Update]:
            updates = [_update(change, repositories, published, sources) for change in several]
            return [pending_filters.dated(update, wanted.first_seen, now) for update in updates]

        def resolve(updates: List[Update]) -> List[Update]:
            return described(resolver.install([_target(update) for update in updates]))

        def without(updates: List[Update]) -> List[Update]:
            keep = {(update["name"], update["arch"]) for update in updates}
            own = apt_preferences.main_file(host.root)
            return described(
                resolver.upgrade_without([change for change in changes if (change.name, change.arch) in keep], own)
            )

        everything = described(changes)
        updates, filtered = pending_filters.choose(everything, wanted, now, resolve, without)
        kept = apt_kept_back.find(
            versions,
            installed,
            {(change.name, change.arch): change.to for change in changes},
            apt_preferences.read(host.root)[0],
        )
        stanzas = by_version(resolver.show([_target(update) for update in updates if update["to"]]))
        held = _held(resolver, installed)
    release = read_os_release(host.root)
    return {
        "manager": "apt",
        "updates": [_complete(update, stanzas) for update in updates],
        "held": held + apt_kept_back.held(kept) + filtered,
        "problems": problems + pending_filters.unmatched(wanted, (name for name, _arch in installed), everything),
        "refreshed": host.clock.stamp(),
        "repositories": [
            {name: value for name, value in repository.items() if name != "index_files"} for repository in repositories
        ],
        "listed": sum(1 for change in changes if change.to is not None),
        "facts": {
            "id": release["id"],
            "version_id": release["version_id"],
            "codename": release["codename"],
            "architecture": native_architecture(installed),
        },
    }


def _known(host: Host, metadata: AptMetadata, names: Set[str]) -> Tuple[List[apt_scenario.Version], List[str]]:
    """Return the versions that apt knows of ``names``, or why they, and what is kept back, are not known."""
    try:
        return apt_scenario.versions(host.runner, metadata.options(), metadata.directory, names), []
    except PatchingError as error:
        return [], [str(error)]


def _target(update: Update) -> str:
    return target(update["name"], update["arch"], update["to"])


def _security(change: Change, published: Dict[Key, List[str]]) -> bool:
    if change.to is None:
        return False
    if any(apt_origins.is_security(origin) for origin in change.origins):
        return True
    if change.current is None:
        return False
    return apt_origins.fixed_on_the_way(change.current, change.to, published.get((change.name, change.arch), []))


def _update(
    change: Change,
    repositories: List[Dict[str, Any]],
    published: Dict[Key, List[str]],
    sources: Dict[Tuple[str, str], apt_scenario.Version],
) -> Update:
    """Return what is known of a change before its paragraph is read."""
    kind = "removal" if change.to is None else "new_install" if change.current is None else "upgrade"
    old, new = sources.get((change.name, change.current or "")), sources.get((change.name, change.to or ""))
    date = apt_origins.publication(change.origins, repositories)
    return {
        "name": change.name,
        "arch": change.arch,
        "source": new.source if new else old.source if old else None,
        "source_from": old.source_version if old else None,
        "source_to": new.source_version if new else None,
        "from": change.current,
        "to": change.to,
        "kind": kind,
        "origin": apt_origins.text(apt_origins.preferred(change.origins)),
        "class": apt_origins.update_class(change.name, change.origins),
        "security": _security(change, published),
        "advisories": [],
        "cves": None,
        "published": date,
        "published_by": "archive" if date else None,
        "automatic": change.automatic,
    }


def _complete(update: Update, stanzas: Dict[Tuple[str, str, str], Stanza]) -> Update:
    """Return ``update`` with what the repository's paragraph tells; a removal has none."""
    stanza = stanzas.get((update["name"], update["arch"], update["to"] or ""), {})
    return dict(
        update,
        source=update["source"] or _source(stanza)[0],
        source_to=update["source_to"] or _source(stanza)[1],
        download_bytes=_number(stanza.get("Size")) or 0,
        installed_bytes=_installed_bytes(stanza),
        sha256=stanza.get("SHA256"),
    )


def _source(stanza: Stanza) -> Tuple[Optional[str], Optional[str]]:
    """Return name and version in ``Source: name (version)``; what equals the package is left out (Policy 5.6.1)."""
    name, _blank, version = stanza.get("Source", stanza.get("Package", "")).partition(" ")
    return name or None, version.strip("()") or stanza.get("Version")


def _number(value: Optional[str]) -> Optional[int]:
    return int(value) if value and value.isdigit() else None


def _installed_bytes(stanza: Stanza) -> Optional[int]:
    size = _number(stanza.get("Installed-Size"))
    return None if size is None else size * 1024


def _held(resolver: AptResolver, installed: Dict[Key, Package]) -> List[Dict[str, Any]]:
    """Return every package on hold; what it would become is asked only when something is held."""
    if not holds(installed):
        return []
    free = {(change.name, change.arch): change.to for change in resolver.upgrade_all(ignore_holds=True)}
    return [
        pending_filters.held_package(
            package.name,
            package.arch,
            package.version,
            free.get((package.name, package.arch)),
            pending_filters.Reason("hold", "dpkg hold"),
        )
        for package in sorted(installed.values())
        if package.want == "hold"
    ]
