# SPDX-License-Identifier: GPL-3.0-or-later
"""npm's global packages, read from their package.json (npm's folders(7)); node is not started."""

import json
import os
from typing import Any, Dict, List, Sequence, Tuple

from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.software.local_disks import LocalDisks
from ansible_collections.hospital.patching.plugins.module_utils.software.partial import whole
from ansible_collections.hospital.patching.plugins.module_utils.software.small_files import below

PREFIXES = (
    "/usr",
    "/usr/local",
    "/opt/*",
    "/usr/local/node*",
    "/usr/local/n/versions/node/*",
    "/root/.nvm/versions/node/*",
    "/home/*/.nvm/versions/node/*",
    "/root/.npm-global",
    "/home/*/.npm-global",
)
LIMIT_BYTES = 1024 * 1024
PACKAGES = 5000


def parse_package(text: str) -> Tuple[str, str]:
    """Return name and version of a package.json.

    Raises:
        ValueError, KeyError, TypeError, RecursionError: it is damaged.
    """
    fields = json.loads(text)
    name, version = fields["name"], fields["version"]
    if not isinstance(name, str) or not isinstance(version, str):
        raise ValueError("name and version are no texts")
    return name, version


def collect(host: Host, prefixes: Sequence[str] = PREFIXES) -> List[Dict[str, Any]]:
    """Return ``[{name, version, path}]`` sorted by path; scoped packages are named ``@scope/name``.

    Raises:
        PartialError: a package.json is damaged or too large, or there are too many.
    """
    found, problems = [], []
    disks = LocalDisks(host.root)
    paths = set()
    for prefix in prefixes:
        for scope in ("", "@*/"):
            pattern = "{}/lib/node_modules/{}*/package.json".format(prefix, scope)
            paths.update(disks.expand(pattern))
    for path in sorted(paths)[:PACKAGES]:
        directory = os.path.dirname(path)
        if os.path.islink(below(host.root, directory)):
            continue  # `npm link`: a developer's own directory
        try:
            name, version = parse_package(disks.head(path, LIMIT_BYTES) or "")
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            problems.append("{}: {}: {}".format(path, type(error).__name__, str(error)[:100]))
            continue
        found.append({"name": name, "version": version, "path": directory})
    if len(paths) > PACKAGES:
        problems.append("{} packages, more than {}".format(len(paths), PACKAGES))
    return list(whole("npm packages", found, problems))
