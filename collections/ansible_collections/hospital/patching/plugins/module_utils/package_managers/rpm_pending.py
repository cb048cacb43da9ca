# SPDX-License-Identifier: GPL-3.0-or-later
"""The shape of pending updates that dnf and zypper share."""

import os
from typing import Any, Dict, Optional

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import rpm_origins
from ansible_collections.hospital.patching.plugins.module_utils.runner import without_logins

#: Where rpm keeps its database: /usr/lib/sysimage/rpm on SUSE and newer Fedora, /var/lib/rpm elsewhere.
DATABASES = ("usr/lib/sysimage/rpm", "var/lib/rpm")
#: What the package provides that carries the system's release: on Fedora's side, and on SUSE's.
RELEASE_CAPABILITIES = ("system-release", "distribution-release")
DATABASE_FILES = ("rpmdb.sqlite", "Packages.db", "Packages")


def has_database(root: str) -> bool:
    """Return whether rpm has a database under ``root``, in any of its three formats."""
    return any(os.path.isfile(os.path.join(root, folder, name)) for folder in DATABASES for name in DATABASE_FILES)


def update(change: Dict[str, Any], os_vendor: Optional[str]) -> Dict[str, Any]:
    """Return one item of ``updates``.

    ``change`` has its keys, except that ``repository`` (an id, None for a removal) and ``vendor``
    stand for ``origin``, ``class`` and ``kind``.
    """
    repository, vendor = change["repository"], change["vendor"]
    kind = "removal" if change["to"] is None else "new_install" if change["from"] is None else "upgrade"
    result = {name: value for name, value in change.items() if name not in ("repository", "vendor")}
    result["kind"] = kind
    result["origin"] = repository
    result["class"] = rpm_origins.update_class(change["name"], vendor, os_vendor, repository)
    return result


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


def not_patched(manager: str) -> PatchingError:
    """Return the refusal of everything that would change such a host."""
    return PatchingError(
        "package manager {}".format(manager),
        "this release assesses hosts of the rpm family and does not patch them yet",
        "a host that is run by apt",
        "set patching_policy to observed for this host, and patch it by hand",
    )
