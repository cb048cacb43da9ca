# SPDX-License-Identifier: GPL-3.0-or-later
"""The shape of pending updates that dnf and zypper share."""

from datetime import datetime, timedelta, timezone
from typing import Any, Dict, List, Optional, Tuple

from ansible_collections.hospital.patching.plugins.module_utils import pending_filters, rpm_database
from ansible_collections.hospital.patching.plugins.module_utils.clock import STAMP
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import rpm_origins
from ansible_collections.hospital.patching.plugins.module_utils.pending_filters import Reason
from ansible_collections.hospital.patching.plugins.module_utils.runner import without_logins

#: What the package provides that carries the system's release: on Fedora's side, and on SUSE's.
RELEASE_CAPABILITIES = ("system-release", "distribution-release")
_CONSUMED = ("repository", "vendor", "source_rpm", "source_rpm_from", "issued_s", "built_s", "replaces")


def update(change: Dict[str, Any], os_vendor: Optional[str]) -> Dict[str, Any]:
    """Return one item of ``updates`` for :mod:`pending_filters`; :func:`finished` gives the item that is shown.

    ``change`` has its keys, except that ``repository`` (an id, None for a removal), ``vendor``, ``source_rpm`` and
    ``source_rpm_from`` (file names), ``issued_s`` (of the newest advisory that names just this version) and
    ``built_s`` (both in seconds since 1970 or None) and ``replaces`` stand for the others. An advisory of an
    earlier version says nothing of this one's age. ``replaces`` is true of a package that is newly installed
    because it obsoletes an installed one: it counts as an upgrade, so that the filters ask for it by itself.
    """
    result = {name: value for name, value in change.items() if name not in _CONSUMED}
    result["origin"] = change["repository"]
    result["class"] = rpm_origins.update_class(change["name"], change["vendor"], os_vendor, change["repository"])
    new, old = (rpm_database.source_parts(change[key]) for key in ("source_rpm", "source_rpm_from"))
    result["source"] = (new or old or (None,))[0]
    result["source_from"] = old[1] if old else None
    result["source_to"] = new[1] if new else None
    result["published"], result["published_by"] = _published(change["issued_s"], change["built_s"])
    result = finished(result)
    return dict(result, kind="upgrade") if change["replaces"] else result


def finished(item: Dict[str, Any]) -> Dict[str, Any]:
    """Return an item of ``updates`` with the kind that people are shown."""
    kind = "removal" if item["to"] is None else "new_install" if item["from"] is None else "upgrade"
    return dict(item, kind=kind)


def left_out(everything: List[Dict[str, Any]], listed: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
    """Return the upgrades of ``everything`` that ``listed`` does not name, neither taken nor held."""
    named = {(item["name"], item["arch"]) for item in listed}
    return [item for item in everything if item["kind"] == "upgrade" and (item["name"], item["arch"]) not in named]


def held(item: Dict[str, Any]) -> Dict[str, Any]:
    """Return one item of ``held`` of what the package manager itself holds, with its kind and reason."""
    reason = Reason(item["kind"], item["reason"])
    return pending_filters.held_package(item["name"], item["arch"], item["version"], item["candidate"], reason)


def _published(issued_s: Optional[int], built_s: Optional[int]) -> Tuple[Optional[str], Optional[str]]:
    for seconds, by in ((issued_s, "advisory"), (built_s, "build")):
        if seconds is not None:
            try:
                moment = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=seconds)
            except OverflowError:
                continue  # no date that a calendar has
            return moment.strftime(STAMP), by
    return None, None


def repository(alias: str, name: str, uri: str, signed: bool) -> Dict[str, Any]:
    """Return one item of ``repositories``: the id is the suite, and rpm repositories have no origin."""
    return {"uri": without_logins(uri), "suite": alias, "origin": None, "label": name or None, "signed": signed}


def require_repositories(found: Any, folder: str) -> None:
    """Refuse a host without repositories: it has nothing pending because nothing was asked.

    Raises:
        PatchingError: none is enabled, as after a subscription has ended.
    """
    if not found:
        raise PatchingError(
            "repositories of this host",
            "none is enabled",
            "at least one",
            "look at the host's subscription and at {}, then run again; nothing was changed".format(folder),
        )
