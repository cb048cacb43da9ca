# SPDX-License-Identifier: GPL-3.0-or-later
"""Transactions on the controller: made from updates, held against a manifest.

Their shape and digest are those that hosts use (``module_utils.transaction``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.hospital.patching.plugins.module_utils import transaction as shape
from ansible_collections.hospital.patching.plugins.plugin_utils import manifest as manifests
from ansible_collections.hospital.patching.plugins.plugin_utils import schema


def build_transaction(
    host: str, manager: str, updates: Sequence[Mapping[str, Any]], manifest_digest: str | None
) -> dict[str, Any]:
    """Return the digested transaction that does exactly ``updates``."""
    entries = [
        {
            "name": update["name"],
            "arch": update["arch"],
            "from": update["from"],
            "to": update["to"],
            "sha256": update["sha256"],
            "size_bytes": update["download_bytes"],
            "origin": update["origin"],
            "automatic": update["automatic"],
            **{key: update[key] for key in ("installer", "software", "order") if key in update},
        }
        for update in updates
    ]
    return shape.build(host, manager, manifest_digest, entries)


def verify_transaction(transaction: Mapping[str, Any]) -> None:
    """Refuse a transaction that is damaged or was changed after it was digested; raises PatchingError."""
    schema.validate("transaction", transaction, "transaction")
    shape.validate(dict(transaction))


def problems(transaction: Mapping[str, Any], manifest: Mapping[str, Any]) -> list[str]:
    """Return how the transaction leaves its manifest; an empty list when it lies within it."""
    found = []
    if transaction["manifest"] != manifest["digest"]:
        found.append(f"it names the manifest {transaction['manifest']}, not {manifest['digest']}")
    for entry in transaction["entries"]:
        if not manifests.allows(manifest, dict(entry, kind=shape.entry_kind(entry))):
            found.append(f"{entry['name']} ({entry['arch']}) {entry['from']} to {entry['to']} is not in the manifest")
    return found
