# SPDX-License-Identifier: GPL-3.0-or-later
"""What is mounted where, as the kernel tells it in proc(5)'s /proc/self/mounts and /proc/self/mountinfo."""

import re
from typing import Any, Dict, List, NamedTuple

#: ``device`` is the file system's major:minor, ``root`` what of it is mounted, ``options`` those of this mount alone.
Mount = NamedTuple(
    "Mount",
    [
        ("device", str),
        ("root", str),
        ("path", str),
        ("options", str),
        ("kind", str),
        ("source", str),
        ("read_only_device", bool),
    ],
)


def parse_mounts(text: str) -> List[Dict[str, Any]]:
    """Return source, path, type and read_only of each line of /proc/self/mounts, in mount order."""
    mounts = []
    for line in text.splitlines():
        fields = line.split(" ")
        if len(fields) >= 4:
            source, path, kind, options = (_unescape(field) for field in fields[:4])
            mounts.append({"source": source, "path": path, "type": kind, "read_only": "ro" in options.split(",")})
    return mounts


def mount_kinds(text: str) -> Dict[str, str]:
    """Return the file system type by mount point of /proc/self/mountinfo; of mounts over each other, the uppermost."""
    mounts = {}
    for line in text.splitlines():
        before, _dash, after = line.partition(" - ")
        fields, kinds = before.split(" "), after.split(" ")
        if len(fields) >= 5 and kinds[0]:
            mounts[_unescape(fields[4])] = kinds[0]
    return mounts


def parse_mountinfo(text: str) -> List[Mount]:
    """Return every mount of /proc/self/mountinfo, in mount order."""
    mounts = []
    for line in text.splitlines():
        before, _dash, after = line.partition(" - ")
        fields, rest = before.split(" "), after.split(" ")
        if len(fields) >= 6 and len(rest) >= 3:
            root, path, source = _unescape(fields[3]), _unescape(fields[4]), _unescape(rest[1])
            mounts.append(Mount(fields[2], root, path, fields[5], rest[0], source, "ro" in rest[2].split(",")))
    return mounts


def _unescape(field: str) -> str:
    """The kernel writes space, tab, newline and backslash as three octal digits."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), field)
