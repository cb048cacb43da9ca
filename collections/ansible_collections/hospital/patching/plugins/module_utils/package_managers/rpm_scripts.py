# SPDX-License-Identifier: GPL-3.0-or-later
"""Package scripts that failed: rpm goes on after most of them, and its database does not know of it.

So they are read from what rpm said, and kept beside the transaction's record until the packages were installed again.
While rpm runs, each of its packages stands there: a killed rpm may have recorded one before its scripts have run.
"""

import json
import os
import re
from typing import Any, Dict, List

from ansible_collections.hospital.patching.plugins.module_utils.package_managers import transaction_record

#: rpm's lib/rpmscript.c: "%post(name-version-release.arch) scriptlet failed, exit status 1"; of scripts in Lua
#: rpmio/rpmlua.c: "lua script failed: [string "%post(name-version-release.arch)"]:1: its own words".
_FAILED = re.compile(
    r"(%\w+)\((\S+)\) scriptlet failed, (\w[\w ]*)|lua script failed: \[string \"(%\w+)\((\S+)\)\"\]:\d+: (.*)"
)


def failures(text: str) -> List[Dict[str, str]]:
    """Return ``{script, package, how}`` of every script that failed; ``package`` is name-version-release.arch.

    The epoch stands before the version, if there is one.
    """
    found = []
    for groups in _FAILED.findall(text):
        script, package, how = groups[:3] if groups[0] else groups[3:]
        item = {"script": script, "package": package, "how": how.strip()}
        if item not in found:
            found.append(item)
    return found


def begun(entries: List[Dict[str, Any]]) -> List[Dict[str, str]]:
    """Return what is kept of ``entries`` while rpm installs them."""
    return [
        {"script": "a script", "package": _nevra(entry), "how": "cut off, or it has not run"}
        for entry in entries
        if entry["to"]
    ]


def told(items: List[Dict[str, str]]) -> str:
    """Return failures as a person reads them."""
    return ", ".join("{script} of {package} failed ({how})".format(**item) for item in items)


def keep(directory: str, items: List[Dict[str, str]]) -> None:
    """Keep the failures of a transaction whose record lies in ``directory``; none means that all is well."""
    if items:
        transaction_record.write(_path(directory), items)
    elif os.path.exists(_path(directory)):
        os.unlink(_path(directory))


def kept(directory: str) -> List[Dict[str, str]]:
    """Return the failures of an earlier attempt."""
    try:
        with open(_path(directory), encoding="utf-8") as handle:
            return list(json.load(handle))
    except (OSError, ValueError):
        return []


def of_entries(items: List[Dict[str, str]], entries: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
    """Return the entries whose new version one of these scripts belongs to."""
    packages = {item["package"] for item in items}
    return [entry for entry in entries if entry["to"] and _nevra(entry) in packages]


def _nevra(entry: Dict[str, Any]) -> str:
    return "{name}-{to}.{arch}".format(**entry)


def _path(directory: str) -> str:
    return os.path.join(directory, "failed-scripts.json")
