# SPDX-License-Identifier: GPL-3.0-or-later
"""What apt, dnf and zypper say themselves of a host, read from what they print, to hold the collection against it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple
from xml.etree import ElementTree


class Change(NamedTuple):
    """One package of a transaction; versions as `pending_updates_info` writes them, null where there is none."""

    name: str
    arch: str
    before: str | None
    after: str | None


#: apt-get -s: "Inst name [installed] (candidate origins [arch])" and "Remv name [installed]".
INST = re.compile(r"^Inst (\S+?)(?::\S+)?(?: \[(\S+)\])? \((\S+) .*\[(\S+)\]\)", re.MULTILINE)
REMV = re.compile(r"^Remv (\S+?)(?::(\S+))? \[(\S+)\]", re.MULTILINE)

#: dnf --assumeno: " name arch version repository size", below a heading.
HEADING = re.compile(r"^(\w[\w ]*):$")
ROW = re.compile(r"^ (\S+) +(\S+) +(\S+) +(\S+) +[\d.]+ [kMG]? *$")


def apt_changes(text: str, native: str) -> set[Change]:
    """Read `apt-get -s dist-upgrade`; ``native`` is the architecture of a removal that names none."""
    installed = {Change(name, arch, before or None, after) for name, before, after, arch in INST.findall(text)}
    return installed | {Change(name, arch or native, before, None) for name, arch, before in REMV.findall(text)}


def dnf_changes(text: str, installed: Mapping[str, str]) -> set[Change]:
    """Read the table of `dnf --assumeno upgrade`; ``installed`` is the version by name, which the table leaves out."""
    found, heading = set(), ""
    for line in text.splitlines():
        if match := HEADING.match(line):
            heading = match[1]
        elif (match := ROW.match(line)) and heading:
            name, arch, version = match[1], match[2], match[3]
            if heading.startswith("Removing"):
                found.add(Change(name, arch, version, None))
            else:
                before = None if heading.startswith("Installing") else installed[name]
                found.add(Change(name, arch, before, version))
    return found


def zypper_changes(text: str) -> set[Change]:
    """Read `zypper --xmlout update --dry-run`."""
    found = set()
    summary = ElementTree.fromstring(text).find("install-summary")
    for part in () if summary is None else summary:
        for item in part.findall("solvable[@type='package']"):
            name, arch, version = item.attrib["name"], item.attrib["arch"], item.attrib["edition"]
            if part.tag == "to-remove":
                found.add(Change(name, arch, version, None))
            else:
                found.add(Change(name, arch, item.get("edition-old"), version))
    return found
