# SPDX-License-Identifier: GPL-3.0-or-later
"""What an apt host would update: the resolved transaction with origins, classes and sizes."""

from typing import Any, Dict, List, Optional, Tuple

from ansible_collections.hospital.patching.plugins.module_utils.dpkg_database import (
    DpkgDatabase,
    Package,
    holds,
    native_architecture,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import apt_origins
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.apt_metadata import AptMetadata
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.apt_resolve import (
    AptResolver,
    Change,
    Stanza,
    by_version,
    target,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import Host, PendingRequest
from ansible_collections.hospital.patching.plugins.module_utils.software.os_identity import read_os_release

Key = Tuple[str, str]


def pending(host: Host, wanted: PendingRequest) -> Dict[str, Any]:
    """Return the shape of ``pending_updates_info``; the host keeps nothing of it."""
    installed = DpkgDatabase(host.root).present()
    with AptMetadata(host) as metadata:
        metadata.refresh()
        repositories = metadata.repositories()
        resolver = AptResolver(host.runner, metadata.options(), metadata.directory)
        everything = resolver.upgrade_all()
        listed = sum(1 for change in everything if change.to is not None)
        names = {change.name for change in everything}
        published = apt_origins.security_versions(repositories, names)
        secure = [change for change in everything if _security(change, published)]
        chosen = everything
        if wanted.security_only and len(secure) != len(everything):
            chosen = resolver.install([target(change.name, change.arch, change.to) for change in secure])
        held = _held(resolver, installed)
        stanzas = by_version(
            resolver.show([target(change.name, change.arch, change.to) for change in chosen if change.to])
        )
    release = read_os_release(host.root)
    return {
        "manager": "apt",
        "updates": [_update(change, stanzas, published) for change in chosen],
        "held": held,
        "refreshed": host.clock.stamp(),
        "repositories": [
            {name: value for name, value in repository.items() if name != "index_files"} for repository in repositories
        ],
        "listed": listed,
        "facts": {
            "id": release["id"],
            "version_id": release["version_id"],
            "architecture": native_architecture(installed),
        },
    }


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
    stanzas: Dict[Tuple[str, str, str], Stanza],
    published: Dict[Key, List[str]],
) -> Dict[str, Any]:
    stanza = stanzas.get((change.name, change.arch, change.to or ""), {})
    kind = "removal" if change.to is None else "new_install" if change.current is None else "upgrade"
    return {
        "name": change.name,
        "arch": change.arch,
        "from": change.current,
        "to": change.to,
        "kind": kind,
        "origin": apt_origins.text(apt_origins.preferred(change.origins)),
        "class": apt_origins.update_class(change.name, change.origins),
        "security": _security(change, published),
        "advisories": [],
        "cves": None,
        "download_bytes": _number(stanza.get("Size")) or 0,
        "installed_bytes": _installed_bytes(stanza),
        "sha256": stanza.get("SHA256"),
        "automatic": change.automatic,
    }


def _number(value: Optional[str]) -> Optional[int]:
    return int(value) if value and value.isdigit() else None


def _installed_bytes(stanza: Stanza) -> Optional[int]:
    size = _number(stanza.get("Installed-Size"))
    return None if size is None else size * 1024


def _held(resolver: AptResolver, installed: Dict[Key, Package]) -> List[Dict[str, Any]]:
    """Return every held package; what it would become is asked only when something is held."""
    if not holds(installed):
        return []
    free = {(change.name, change.arch): change.to for change in resolver.upgrade_all(ignore_holds=True)}
    return [
        {
            "name": package.name,
            "arch": package.arch,
            "version": package.version,
            "candidate": free.get((package.name, package.arch)),
            "reason": "dpkg hold",
        }
        for package in sorted(installed.values())
        if package.want == "hold"
    ]
