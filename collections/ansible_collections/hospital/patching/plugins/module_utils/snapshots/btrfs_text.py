# SPDX-License-Identifier: GPL-3.0-or-later
"""What the command line ``btrfs`` prints, and what mounts a subvolume at the next boot (btrfs(5), fstab(5))."""

import re
from typing import List, NamedTuple, Optional

#: A line of ``btrfs subvolume list -uq``. ``parent_uuid`` is empty for what is no snapshot.
Listed = NamedTuple("Listed", [("id", int), ("uuid", str), ("parent_uuid", str), ("path", str)])
#: What ``btrfs subvolume show`` says of one.
Shown = NamedTuple("Shown", [("id", int), ("uuid", str), ("parent_uuid", str), ("read_only", bool)])
#: Bytes of ``btrfs filesystem usage -b``. ``free`` is what can be written at least; ``metadata`` what of it metadata
#: can take, where it has block groups of its own.
Usage = NamedTuple(
    "Usage", [("free", int), ("metadata", int), ("unallocated", int), ("missing", int), ("mixed_profiles", bool)]
)

_LISTED = re.compile(r"ID (\d+) gen \d+ top level \d+ parent_uuid (\S+)\s+uuid (\S+)\s+path (.+)")
_OVERALL = r"^\s+{}:\s+(\d+)"
_GROUP = re.compile(r"^([A-Za-z+]+),[A-Za-z0-9]+: Size:(\d+), Used:(\d+)", re.MULTILINE)
_NEW = re.compile(r"^inode \d+ file offset \d+ len (\d+) disk start \d+ offset \d+ gen \d+ flags ", re.MULTILINE)
_LIMIT = re.compile(r"^(\d+/\d+)\s+(\d+)\s+(\d+)\s+(none|\d+)\s+(none|\d+)", re.MULTILINE)


def parse_list(text: str) -> List[Listed]:
    """Return the subvolumes of ``btrfs subvolume list -uq`` of a top level, each with its path from there.

    A name may hold a line break and so forge a line: prove a subvolume by :func:`parse_show` before it is touched.
    """
    found = []
    for line in text.splitlines():
        match = _LISTED.fullmatch(line)
        if match:
            number, parent, uuid, path = match.groups()
            found.append(Listed(int(number), uuid, "" if parent == "-" else parent, path))
    return found


def parse_show(text: str) -> Optional[Shown]:
    """Return what ``btrfs subvolume show`` says, or None where a field is absent. Names in it hold no line break."""
    fields = [
        re.search(r"^\t" + name + r":[ \t]*(.*)$", text, re.MULTILINE)
        for name in ("Subvolume ID", "UUID", "Parent UUID", "Flags")
    ]
    values = [match.group(1).strip() for match in fields if match]
    if len(values) != len(fields) or not values[0].isdigit():
        return None
    return Shown(int(values[0]), values[1], "" if values[2] == "-" else values[2], "readonly" in values[3].split(","))


def parse_generation(text: str) -> Optional[int]:
    """Return the generation that ``btrfs subvolume show`` tells, or None."""
    match = re.search(r"^\tGeneration:[ \t]*(\d+)$", text, re.MULTILINE)
    return int(match.group(1)) if match else None


def parse_find_new(text: str) -> Optional[int]:
    """Return the bytes of all extents of ``btrfs subvolume find-new``, or None where it has no end.

    A name with a line break may forge an extent: this is a number for people.
    """
    if not re.search(r"^transid marker was \d+$", text, re.MULTILINE):
        return None
    return sum(int(length) for length in _NEW.findall(text))


def parse_usage(text: str) -> Optional[Usage]:
    """Return the room that ``btrfs filesystem usage -b`` tells, or None where it is not what is known."""
    unallocated, missing = _overall(text, "Device unallocated"), _overall(text, "Device missing")
    least = re.search(r"^\s+Free \(estimated\):\s+(\d+)\s+\(min: (\d+)\)", text, re.MULTILINE)
    ratio = re.search(r"^\s+Metadata ratio:\s+([\d.]+)", text, re.MULTILINE)
    groups = _GROUP.findall(text)
    if unallocated is None or least is None or ratio is None or not groups:
        return None
    metadata = sum(int(size) - int(used) for kind, size, used in groups if "Metadata" in kind)
    room = metadata + int(unallocated / max(1.0, float(ratio.group(1))))
    mixed = re.search(r"^\s+Multiple profiles:\s+yes", text, re.MULTILINE) is not None
    return Usage(int(least.group(2)), room, unallocated, missing or 0, mixed)


def _overall(text: str, name: str) -> Optional[int]:
    match = re.search(_OVERALL.format(re.escape(name)), text, re.MULTILINE)
    return int(match.group(1)) if match else None


def parse_default(text: str) -> Optional[int]:
    """Return the id of the default subvolume from ``btrfs subvolume get-default``; 5 is the top level."""
    match = re.match(r"ID (\d+)\b", text)
    return int(match.group(1)) if match else None


def quota_room(text: str) -> Optional[int]:
    """Return the bytes that the tightest limit of ``btrfs qgroup show --raw -reF`` leaves, or None without a limit."""
    rooms = []
    for _group, referenced, exclusive, most, most_exclusive in _LIMIT.findall(text):
        rooms += [
            int(limit) - int(used)
            for limit, used in ((most, referenced), (most_exclusive, exclusive))
            if limit != "none"
        ]
    return min(rooms) if rooms else None


def boots_by_id(mount: str, fstab: str, cmdline: str) -> Optional[str]:
    """Return what mounts ``mount`` by a subvolume's number at the next boot, or None.

    A reverted subvolume has its old path and a new number: what names the number, even beside the path, would
    mount the one that was set aside, or nothing.
    """
    for line in fstab.splitlines():
        fields = line.split()
        if len(fields) >= 4 and not fields[0].startswith("#") and fields[1].rstrip("/") == mount.rstrip("/"):
            numbers = [option for option in fields[3].split(",") if option.startswith("subvolid=")]
            if numbers:
                return "/etc/fstab mounts it by {}".format(numbers[0])
    if mount == "/":
        for word in cmdline.split():
            numbers = [option for option in word[10:].split(",") if option.startswith("subvolid=")]
            if word.startswith("rootflags=") and numbers:
                return "the kernel's command line mounts it by {}".format(numbers[0])
    return None
