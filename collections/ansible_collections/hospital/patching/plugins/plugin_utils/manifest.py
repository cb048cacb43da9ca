# SPDX-License-Identifier: GPL-3.0-or-later
"""Manifests: the allowed targets of a group of hosts, frozen and digested."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ansible_collections.hospital.patching.plugins.module_utils.canonical import digest
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import schema
from ansible_collections.hospital.patching.plugins.plugin_utils.names import natural_key
from ansible_collections.hospital.patching.plugins.plugin_utils.times import stamp

SCHEMA = 1

#: What an update of declared software has beside those of packages.
SOFTWARE = ("installer", "software")

Update = Mapping[str, Any]
Entry = dict[str, Any]
Target = tuple[str, str]


def group_of(facts: Mapping[str, Any]) -> str:
    """Return the group of hosts that may share a manifest: ``debian-12-amd64``.

    Raises:
        PatchingError: the assessment does not say what the host runs.
    """
    parts = [facts.get(key) for key in ("id", "version_id", "architecture")]
    if not all(parts):
        raise PatchingError(
            "the assessed system", f"id, version and architecture {parts}", "all three", "assess the host again"
        )
    return "-".join(str(part) for part in parts)


def contradictions(updates_by_host: Mapping[str, Sequence[Update]]) -> dict[str, str]:
    """Return host → reason where one name, architecture and version has two checksums.

    Nobody can know which of the two is genuine, so every host that wants the
    version is refused.
    """
    sums: dict[tuple[str, str, str], dict[str, list[str]]] = {}
    for host in sorted(updates_by_host, key=natural_key):
        for update in updates_by_host[host]:
            if update["to"] is not None and update["sha256"] is not None:
                known = sums.setdefault((update["name"], update["arch"], update["to"]), {})
                known.setdefault(update["sha256"], []).append(host)
    refused: dict[str, str] = {}
    for (name, arch, version), known in sorted(sums.items()):
        if len(known) > 1:
            seen = "; ".join(f"{sha256[:12]}… on {', '.join(hosts)}" for sha256, hosts in sorted(known.items()))
            for hosts in known.values():
                for host in hosts:
                    refused.setdefault(host, f"{name} {version} ({arch}) has two SHA-256: {seen}")
    return refused


def build_manifests(
    groups: Mapping[str, str], updates_by_host: Mapping[str, Sequence[Update]], created: datetime
) -> dict[str, dict[str, Any]]:
    """Return host → its manifest.

    Hosts of one group share a manifest. A manifest has one target for a package,
    so a host that wants another joins, or opens, the group's next one
    (``debian-12-amd64.2``): snowflakes share what they can.

    Raises:
        PatchingError: the updates contradict each other.
    """
    for host, reason in contradictions(updates_by_host).items():
        raise PatchingError(
            f"host {host}", reason, "one checksum for one version", "find out which repository is wrong"
        )
    drafts: dict[str, list[dict[Target, Entry]]] = {}
    place: dict[str, tuple[str, int]] = {}
    # Hosts that share the very same updates share a draft, and only the first of them adds to it.
    placed: dict[tuple[str, tuple[int, ...]], tuple[str, int]] = {}
    for host in sorted(updates_by_host, key=natural_key):
        same = groups[host], tuple(id(update) for update in updates_by_host[host])
        if same in placed:
            place[host] = placed[same]
            continue
        wanted = {(update["name"], update["arch"]): _entry(update) for update in updates_by_host[host]}
        family = drafts.setdefault(groups[host], [])
        number = next((n for n, draft in enumerate(family) if _agree(draft, wanted)), len(family))
        if number == len(family):
            family.append({})
        family[number] = _merged(family[number], wanted)
        place[host] = placed[same] = (groups[host], number)
    manifests = {
        (group, number): _digested(f"{group}.{number + 1}" if number else group, draft, created)
        for group, family in drafts.items()
        for number, draft in enumerate(family)
    }
    return {host: manifests[where] for host, where in place.items()}


def _entry(update: Update) -> Entry:
    return {
        "name": update["name"],
        "arch": update["arch"],
        "version": update["to"],
        "sha256": update["sha256"],
        "origin": update["origin"],
        "kind": update["kind"],
        # How declared software is installed is approved with it; its place in a host's order is the host's own.
        **{key: update[key] for key in SOFTWARE if key in update},
    }


def _agree(draft: Mapping[Target, Entry], wanted: Mapping[Target, Entry]) -> bool:
    return all(
        draft[target].get(key) == wanted[target].get(key)
        for target in draft.keys() & wanted.keys()
        for key in ("version", *SOFTWARE)
    )


def _merged(draft: dict[Target, Entry], wanted: dict[Target, Entry]) -> dict[Target, Entry]:
    merged = draft | wanted
    for target in draft.keys() & wanted.keys():
        one, other = draft[target], wanted[target]
        merged[target] = dict(
            one,
            sha256=one["sha256"] or other["sha256"],
            # What some host installs anew is an allowed new install, which includes the upgrade.
            kind=one["kind"] if one["kind"] == other["kind"] else "new_install",
        )
    return merged


def _digested(group: str, draft: Mapping[Target, Entry], created: datetime) -> dict[str, Any]:
    manifest: dict[str, Any] = {
        "schema": SCHEMA,
        "group": group,
        "created": stamp(created),
        "entries": [draft[target] for target in sorted(draft)],
    }
    return manifest | {"digest": manifest_digest(manifest)}


def manifest_digest(manifest: Mapping[str, Any]) -> str:
    """Return the digest over everything but the digest itself and the time of making."""
    return digest({key: value for key, value in manifest.items() if key not in ("digest", "created")})


def verify_manifest(manifest: Mapping[str, Any]) -> None:
    """Refuse a manifest that is damaged or was changed after it was digested.

    Raises:
        PatchingError: naming the place, or both digests.
    """
    schema.validate("manifest", manifest, "manifest")
    found = manifest_digest(manifest)
    if found != manifest["digest"]:
        raise PatchingError(
            f"manifest of {manifest['group']}",
            f"content with {found}",
            f"the digest it carries, {manifest['digest']}",
            "make a new plan; do not edit a manifest",
        )


def allows(manifest: Mapping[str, Any], update: Update) -> bool:
    """Return whether the manifest has this very target.

    A known checksum must be equal; an entry without one leaves it to the
    repository's signature, which is checked at stage.
    """
    for entry in manifest["entries"]:
        if (entry["name"], entry["arch"]) == (update["name"], update["arch"]):
            same_kind = update["kind"] == entry["kind"] or (entry["kind"], update["kind"]) == ("new_install", "upgrade")
            same_sum = entry["sha256"] is None or entry["sha256"] == update["sha256"]
            same_entry = all(entry.get(key) == update.get(key) for key in SOFTWARE)
            return bool(same_kind and same_sum and same_entry and entry["version"] == update["to"])
    return False
