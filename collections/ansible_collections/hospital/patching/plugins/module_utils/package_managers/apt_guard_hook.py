# SPDX-License-Identifier: GPL-3.0-or-later
"""A hook that apt runs before dpkg: it ends with 1 unless apt will do exactly what was approved.

This file is copied to the host and run alone there, so it imports the standard
library only. ``sys.argv[1]`` names a JSON file with the expected actions,
``sys.argv[2]`` the file that takes the differences. The list of actions is
apt's ``DPkg::Pre-Install-Pkgs`` protocol, version 3 (apt.conf(5)).
"""

import json
import os
import sys
from typing import Dict, List, Optional, Tuple

#: Fields of a version 3 line: name, old version, arch and multi-arch, direction, new ones, action.
FIELDS = 9


def actions(text: str) -> Tuple[Dict[str, Optional[str]], Dict[str, str]]:
    """Return two dictionaries of apt's list by "name:arch".

    The first has the version to install, or None for a removal; the second the
    versions that are configured: those unpacked before, and those of the first.
    """
    head, _blank, body = text.partition("\n\n")
    if not head.startswith("VERSION 3"):
        raise ValueError("apt speaks {!r}, not VERSION 3".format(head[:20]))
    found: Dict[str, Optional[str]] = {}
    configured: Dict[str, str] = {}
    for line in body.splitlines():
        parts = line.split(" ", FIELDS - 1)
        if len(parts) != FIELDS:
            raise ValueError("unreadable line {!r}".format(line))
        name, old_arch, new_version, new_arch, action = parts[0], parts[2], parts[5], parts[6], parts[8]
        if action == "**REMOVE**":
            found.setdefault(name + ":" + old_arch, None)
        elif action == "**CONFIGURE**":
            configured[name + ":" + new_arch] = new_version
        else:
            found[name + ":" + new_arch] = new_version
    return found, configured


def differences(
    found: Dict[str, Optional[str]], configured: Dict[str, str], expected: Dict[str, Optional[str]]
) -> List[str]:
    """Return one sentence for each action that is missing, unexpected or has another version."""
    lines = []
    for key in sorted(set(found) | set(expected)):
        if key not in expected:
            version = found[key]
            lines.append("{} would be {}".format(key, "removed" if version is None else "set to " + version))
        elif key not in found:
            if expected[key] is not None and configured.get(key) == expected[key]:
                continue  # unpacked by an earlier attempt
            lines.append("{} would be left alone".format(key))
        elif found[key] != expected[key]:
            lines.append("{} would be set to {}, not to {}".format(key, found[key], expected[key]))
    return lines


def main() -> int:
    """Compare, write the differences, and return the exit status."""
    with open(sys.argv[1], encoding="utf-8") as handle:
        expected = json.load(handle)
    channel = int(os.environ.get("APT_HOOK_INFO_FD", "0"))
    with os.fdopen(channel, encoding="utf-8", errors="replace") as handle:
        text = handle.read()
    try:
        found, configured = actions(text)
        lines = differences(found, configured, expected)
    except ValueError as error:
        lines = [str(error)]
    with open(sys.argv[2], "w", encoding="utf-8") as handle:
        json.dump(lines, handle)
    return 1 if lines else 0


if __name__ == "__main__":
    raise SystemExit(main())
