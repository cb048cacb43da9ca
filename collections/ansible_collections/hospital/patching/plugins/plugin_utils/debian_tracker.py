# SPDX-License-Identifier: GPL-3.0-or-later
"""Which CVEs an update of a Debian package fixes, by Debian's security tracker.

The feed is the tracker's JSON (https://security-tracker.debian.org/tracker/data/json):
source package → CVE → ``releases`` → codename → ``status`` (``resolved``, ``open``,
``undetermined``) and, when resolved, ``fixed_version``; ``0`` says that the release
never had the flaw. Versions are those of source packages.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.hospital.patching.plugins.module_utils import dpkg_version
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError

_CVE = re.compile(r"CVE-\d{4}-\d{4,}\Z")
#: Labels of the archives that the tracker is about; others may ship the same names with versions of their own.
DEBIAN_LABELS = ("Debian", "Debian-Security")
#: Signed kernels are built from a wrapper that the tracker does not know; their own version is that of ``linux``.
_SIGNED_KERNEL = re.compile(r"linux-signed-\w+\Z")


class DebianTracker:
    """The tracker's answers; ``fixed`` is source → codename → CVE → version that fixes it (None: none yet)."""

    def __init__(self, fixed: Mapping[str, Mapping[str, Mapping[str, str | None]]]) -> None:
        self._fixed = fixed

    def fixed_between(self, source: str, current: str | None, to: str, codename: str) -> list[str] | None:
        """Return the CVEs that an update from ``current`` to ``to`` fixes, sorted by year and number.

        None: the tracker knows nothing of this source package in this release.
        Without ``current`` (a new package) nothing on the host is fixed by it.
        """
        known = self._fixed.get(source, {}).get(codename)
        if known is None:
            return None
        if current is None:
            return []
        found = [
            cve
            for cve, version in known.items()
            if version is not None
            and dpkg_version.compare(version, current) > 0
            and dpkg_version.compare(version, to) <= 0
        ]
        return sorted(found, key=lambda name: tuple(int(part) for part in name.split("-")[1:]))


def read_tracker(text: str | bytes) -> DebianTracker:
    """Return the tracker's data; entries that are not of its shape are passed over.

    Raises:
        PatchingError: the text is not the tracker's JSON at all.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _no_tracker(str(error)) from None
    if not isinstance(data, dict):
        raise _no_tracker(f"a {type(data).__name__}")
    fixed: dict[str, dict[str, dict[str, str | None]]] = {}
    for source, flaws in data.items():
        for cve, flaw in _items(flaws):
            if not _CVE.match(cve) or not isinstance(flaw, dict):
                continue  # TEMP-… entries have no number yet
            for codename, state in _items(flaw.get("releases")):
                if isinstance(state, dict):
                    fixed.setdefault(source, {}).setdefault(codename, {})[cve] = _version(state)
    if not fixed:
        raise _no_tracker("no source package with a CVE in a release")
    return DebianTracker(fixed)


def with_cves(updates: Iterable[Mapping[str, Any]], tracker: DebianTracker, codename: str) -> list[dict[str, Any]]:
    """Return ``updates`` with ``cves`` where they are null and the tracker knows the package; null stays null."""
    return [
        {**update, "cves": _cves(update, tracker, codename)} if update["cves"] is None else dict(update)
        for update in updates
    ]


def _cves(update: Mapping[str, Any], tracker: DebianTracker, codename: str) -> list[str] | None:
    label = (update["origin"] or "").partition(":")[0]
    source = update.get("source")
    if update["to"] is None or source is None or label not in DEBIAN_LABELS:
        return None
    if _SIGNED_KERNEL.match(source):
        return tracker.fixed_between("linux", update["from"], update["to"], codename)
    current = update.get("source_from") or update["from"]
    return tracker.fixed_between(source, current, update.get("source_to") or update["to"], codename)


def _version(state: Mapping[str, Any]) -> str | None:
    version = state.get("fixed_version")
    resolved = state.get("status") == "resolved" and isinstance(version, str) and version not in ("", "0")
    return str(version) if resolved else None


def _items(value: Any) -> Iterable[tuple[str, Any]]:
    """The tracker writes an empty object as an empty list in some places."""
    return value.items() if isinstance(value, dict) else ()


def _no_tracker(seen: str) -> PatchingError:
    return PatchingError(
        "Debian security tracker",
        seen[:200],
        "its JSON, source package → CVE → releases",
        "fetch https://security-tracker.debian.org/tracker/data/json again",
    )
