# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a manifest was made for a host of this operating system, release and architecture."""

import re
from typing import Any, Dict, Optional

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError


def require(manifest: Optional[Dict[str, Any]], release: Dict[str, str], architecture: str) -> None:
    """Refuse a manifest of another group, such as ``debian-13-amd64`` on a host of ``debian-12-amd64``.

    Args:
        release: ``id`` and ``version_id`` of os-release(5).

    Raises:
        PatchingError: naming both. A manifest that names no group, or a host that does not say what it runs, is left
            to the versions.
    """
    group = (manifest or {}).get("group")
    parts = [release.get("id"), release.get("version_id"), architecture]
    if not group or not all(parts):
        return
    own = "-".join(str(part) for part in parts)
    # Hosts of one group that want different versions have manifests with a number behind the group's name.
    if not re.match(re.escape(own) + r"(\.[0-9]+)?\Z", group):
        raise PatchingError(
            "manifest of {}".format(group),
            "this host is {}".format(own),
            "a manifest that was made for it",
            "assess and plan again, so that this host gets a manifest of its own; nothing was installed",
        )
