# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages that dnf or yum leaves out: exclude, excludepkgs and includepkgs of dnf.conf(5), and version locks."""

import re
from typing import List, Tuple

from ansible_collections.hospital.patching.plugins.module_utils.software.constraints.look import (
    HOLDS,
    UNKNOWN,
    Entry,
    Look,
    entry,
)

KEYS = ("exclude", "excludepkgs", "includepkgs")
MAIN = ("etc/dnf/dnf.conf", "etc/yum.conf")
DIRECTORIES = (
    ("etc/yum.repos.d", ".repo"),
    ("etc/yum/repos.d", ".repo"),
    ("etc/distro.repos.d", ".repo"),
    ("etc/dnf/libdnf5.conf.d", ".conf"),
)
LOCKS = ("etc/dnf/plugins/versionlock.list", "etc/yum/pluginconf.d/versionlock.list")
#: dnf 5 keeps its locks as TOML, of which the standard library of old Pythons can read nothing.
LOCKS_OF_DNF5 = "etc/dnf/versionlock.toml"


def settings_files(look: Look) -> List[str]:
    """Return all files that hold settings of dnf or its repositories; a link to another of them counts once."""
    names = [name for name in MAIN if name == MAIN[0] or not look.is_link(name)]
    for directory, end in DIRECTORIES:
        names += [directory + "/" + name for name in look.listing(directory) if name.endswith(end)]
    return names


def excludes(look: Look) -> List[Entry]:
    """Return the settings by which packages are left out; those of a disabled repository do not count."""
    found = []
    for path in settings_files(look):
        try:
            sections = look.ini(path)
        except (OSError, ValueError) as error:
            found.append(entry("dnf_exclude", "/" + path, str(error), UNKNOWN))
            continue
        for section, values in sections.items():
            if section != "main" and values.get("enabled", "1").strip() in ("0", "no", "false"):
                continue
            for key in KEYS:
                names = " ".join(values.get(key, "").replace(",", " ").split())
                if names:
                    detail = "{} = {} in [{}] of /{}".format(key, names, section, path)
                    found.append(entry("dnf_exclude", section, detail, HOLDS))
    return found


def locks(look: Look) -> List[Entry]:
    """dnf 4 and yum: a line is a pattern of packages; with ``!`` that version alone is left out."""
    found: List[Entry] = []
    for path in LOCKS:
        for line in (look.text(path) or "").splitlines():
            pattern = line.partition("#")[0].strip()
            if pattern:
                word = "leaves out" if pattern.startswith("!") else "locked to"
                found.append(
                    entry("dnf_versionlock", pattern.lstrip("!"), "{} {} (/{})".format(word, pattern, path), HOLDS)
                )
    for name in re.findall(r'^\s*name\s*=\s*"([^"]+)"', look.text(LOCKS_OF_DNF5) or "", re.MULTILINE):
        found.append(entry("dnf_versionlock", name, "locked (/{})".format(LOCKS_OF_DNF5), HOLDS))
    return found


def zypper_locks(text: str) -> Tuple[List[Tuple[str, str]], int]:
    """Return ``(name, type)`` of each lock of zypper(8)'s file, and how many stanzas name nothing.

    A stanza has ``type``, ``match_type``, ``case_sensitive`` and ``solvable_name``; an empty line ends it.
    """
    found, unreadable = [], 0
    for stanza in re.split(r"\n\s*\n", text):
        fields = {}
        for line in stanza.splitlines():
            key, colon, value = line.partition(":")
            if colon and not line.startswith("#"):
                fields[key.strip()] = value.strip()
        name = fields.get("solvable_name") or fields.get("complex") or fields.get("query_string")
        if name:
            found.append((name, fields.get("type", "package")))
        elif fields:
            unreadable += 1
    return found, unreadable


def zypper(look: Look) -> List[Entry]:
    """Return zypper's locks."""
    path = "etc/zypp/locks"
    named, unreadable = zypper_locks(look.text(path) or "")
    found = [entry("zypper_lock", name, "{} locked (/{})".format(kind, path), HOLDS) for name, kind in named]
    if unreadable:
        found.append(entry("zypper_lock", "/" + path, "{} locks that name nothing".format(unreadable), UNKNOWN))
    return found
