# SPDX-License-Identifier: GPL-3.0-or-later
"""Pins of apt, as /etc/apt/preferences and preferences.d/* state them (apt_preferences(5))."""

import fnmatch
import os
import re
from typing import List, NamedTuple, Tuple

from ansible_collections.hospital.patching.plugins.module_utils import deb822

#: One stanza; ``packages`` are names, shell patterns or ``/regular expressions/``.
Pin = NamedTuple("Pin", [("path", str), ("packages", List[str]), ("pin", str), ("priority", int)])

#: apt reads a file of preferences.d with no suffix or ``.pref`` and these characters only.
_NAME = re.compile(r"[A-Za-z0-9_.-]+\Z")


def parse(path: str, text: str) -> Tuple[List[Pin], List[str]]:
    """Return the pins of one file, and what of it is no pin."""
    pins, problems = [], []
    # A comment may stand between stanzas without an empty line, and lines may hold blanks only.
    plain = "\n".join("" if not line.strip() else line for line in text.splitlines() if not line.startswith("#"))
    for number, fields in enumerate(deb822.paragraphs(plain), 1):
        known = {name.lower(): value for name, value in fields.items()}
        try:
            priority = int(known.get("pin-priority", ""))
        except ValueError:
            problems.append("{}: stanza {} has no readable Pin-Priority".format(path, number))
            continue
        if not known.get("package") or not known.get("pin"):
            problems.append("{}: stanza {} has no Package or no Pin".format(path, number))
            continue
        pins.append(Pin(path, known["package"].split(), " ".join(known["pin"].split()), priority))
    return pins, problems


def read(root: str) -> Tuple[List[Pin], List[str]]:
    """Return all pins under ``root`` in the order in which apt reads them, and the problems.

    Paths are as the host sees them.
    """
    pins: List[Pin] = []
    problems: List[str] = []
    for path in paths(root):
        try:
            with open(os.path.join(root, path), "rb") as handle:
                found, wrong = parse("/" + path, handle.read(1 << 20).decode("utf-8", "replace"))
        except OSError as error:
            found, wrong = [], ["/{}: {}".format(path, error.strerror)]
        pins.extend(found)
        problems.extend(wrong)
    return pins, problems


def paths(root: str) -> List[str]:
    """Return the files that apt reads, below ``root``, in its order."""
    directory = "etc/apt/preferences.d"
    try:
        names = sorted(os.listdir(os.path.join(root, directory)))
    except OSError:
        names = []
    names = [name for name in names if _NAME.match(name) and ("." not in name or name.endswith(".pref"))]
    found = ["etc/apt/preferences"] + [directory + "/" + name for name in names]
    return [path for path in found if os.path.isfile(os.path.join(root, path))]


def main_file(root: str) -> str:
    """Return the text of /etc/apt/preferences, empty if there is none."""
    try:
        with open(os.path.join(root, "etc/apt/preferences"), "rb") as handle:
            return handle.read(1 << 20).decode("utf-8", "replace")
    except OSError:
        return ""


def names_package(pin: Pin, name: str) -> bool:
    """Return whether a stanza is about ``name``; ``*`` is about every package."""
    for pattern in pin.packages:
        if pattern.startswith("src:"):
            continue  # by source package: not decided here
        plain = pattern.rpartition(":")[0] or pattern
        if len(plain) > 2 and plain.startswith("/") and plain.endswith("/"):
            try:
                if re.search(plain[1:-1], name, re.IGNORECASE):
                    return True
            except re.error:
                continue
        elif fnmatch.fnmatchcase(name, plain):
            return True
    return False


def describe(pin: Pin) -> str:
    """Return a stanza in one line."""
    return "Package: {}, Pin: {}, Pin-Priority: {} ({})".format(" ".join(pin.packages), pin.pin, pin.priority, pin.path)
