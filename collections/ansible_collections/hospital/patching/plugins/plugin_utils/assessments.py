# SPDX-License-Identifier: GPL-3.0-or-later
"""What is kept of one host's assessment, and the SBOM that is made of it.

Made here, host by host in Ansible's workers, because it takes a third of a
second for a thousand packages: so it scales with forks.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import installed
from ansible_collections.hospital.patching.plugins.plugin_utils.evidence import Evidence, write_json
from ansible_collections.hospital.patching.plugins.plugin_utils.first_seen import known_since
from ansible_collections.hospital.patching.plugins.plugin_utils.times import read_stamp


def carry_over(document: dict[str, Any], store: Evidence, host: str) -> None:
    """Add ``seen``, when the host was last assessed, and keep what was known of a host that is away.

    That is its software, ``software_time`` saying when that was collected, and
    ``first_seen``, since when versions are pending: an outage does not make
    them wait anew. A document that cannot be read is replaced, and counts as none.
    """
    if document["status"] == "assessed":
        document.update(seen=document["time"], software_time=document["time"])
        document["first_seen"] = known_since({"pending": document.get("pending")})
        return
    before = _before(store, host)
    document["first_seen"] = known_since(before)
    assessed = before.get("time") if before.get("status") == "assessed" else None
    document["seen"] = before.get("seen") or assessed
    document["software"] = document["software"] or before.get("software")
    document["software_time"] = before.get("software_time") or assessed


def keep(document: dict[str, Any], store: Evidence, host: str) -> None:
    """Write the SBOM of a host that was assessed, then its document.

    An SBOM that fails is named in ``problems``, and the one before is removed:
    it would pass for that of this assessment.

    Raises:
        PatchingError: the evidence directory cannot be written.
    """
    if document["status"] == "assessed":
        try:
            # Imported where it is used: assessments of hosts that are away need none of it.
            from ansible_collections.hospital.patching.plugins.plugin_utils import sbom  # noqa: PLC0415

            software = document["software"]
            made = sbom.document(host, software, installed.read(software), read_stamp(document["time"]))
            write_json(store.sbom_path(host), made)
        except PatchingError:
            raise
        except Exception as error:  # noqa: BLE001 (whatever a library thinks of a host's data, the assessment stands)
            document["problems"].append(f"no SBOM was written: {type(error).__name__}: {error}"[:300])
            _remove(store.sbom_path(host))
    store.save_assessment(host, document)


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise PatchingError(
            str(path), f"it is outdated, and {error}", "a file that can be removed", "correct patching_evidence_dir"
        ) from error


def _before(store: Evidence, host: str) -> dict[str, Any]:
    try:
        return store.assessment(host) or {}
    except (PatchingError, TypeError, ValueError):
        return {}
