# SPDX-License-Identifier: GPL-3.0-or-later
"""What the subjects share: files below the host's root, and two commands that are started once at most.

Each entry that a subject returns is ``{kind, name, detail, effect}``, all texts.
"""

import configparser
import os
import re
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.systemd_units import booted, by_name

CHANGES, HOLDS, REFUSES = "changes_packages", "holds_back", "refuses_patching"
RESTARTS, INFORMS, UNKNOWN = "restarts", "informs", "unknown"

#: A program that is known by its units or files; ``effect`` holds while it may act.
Program = NamedTuple(
    "Program", [("name", str), ("units", Sequence[str]), ("files", Sequence[str]), ("effect", str), ("detail", str)]
)
Entry = Dict[str, str]

#: Settings larger than this are no settings.
MOST_BYTES = 1 << 20
_PROPERTIES = ("Id", "Names", "LoadState", "ActiveState", "UnitFileState")
_ASSIGNMENT = re.compile(r'^(\S+) "(.*)";$')


def entry(kind: str, name: str, detail: str, effect: str) -> Entry:
    """Return one entry."""
    return {"kind": kind, "name": name, "detail": detail, "effect": effect}


def yes(text: Optional[str]) -> bool:
    """Return whether a setting of apt, dnf or an ini file means yes."""
    return (text or "").strip().lower() in ("1", "yes", "true", "on", "enabled", "enable", "with")


class Look:
    """One look at a host; ``unit_names`` are all units that any subject will ask for."""

    def __init__(self, host: Host, unit_names: Sequence[str] = ()) -> None:
        self.host = host
        self.systemd = booted(host.root)
        self._unit_names = list(unit_names)
        self._units: Optional[Dict[str, Dict[str, str]]] = None
        self._apt: Optional[List[Tuple[str, str]]] = None

    def path(self, name: str) -> str:
        return os.path.join(self.host.root, name)

    def exists(self, name: str) -> bool:
        return os.path.lexists(self.path(name))

    def is_link(self, name: str) -> bool:
        return os.path.islink(self.path(name))

    def listing(self, name: str) -> List[str]:
        """Return the names in a directory, sorted; none where it is missing.

        Raises:
            OSError: it is there and cannot be read.
        """
        try:
            return sorted(os.listdir(self.path(name)))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def text(self, name: str) -> Optional[str]:
        """Return a file's text, None where it is missing.

        Raises:
            OSError: it is there and cannot be read.
            PatchingError: it is far larger than any such file.
        """
        try:
            with open(self.path(name), "rb") as handle:
                content = handle.read(MOST_BYTES + 1)
        except (FileNotFoundError, NotADirectoryError):
            return None
        if len(content) > MOST_BYTES:
            raise PatchingError("/" + name, "more than {} bytes".format(MOST_BYTES), "settings", "look at that file")
        return content.decode("utf-8", "replace")

    def ini(self, name: str) -> Dict[str, Dict[str, str]]:
        """Return the sections of an ini file; none where it is missing.

        Raises:
            ValueError: it is no ini file; the line is named and not quoted, because it may be a secret.
        """
        parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
        try:
            parser.read_string(self.text(name) or "")
        except configparser.Error as error:
            raise ValueError("/{}: line {} is neither a section nor a setting".format(name, _line(error)))
        return {section: {key: value or "" for key, value in parser.items(section)} for section in parser.sections()}

    def unit(self, name: str) -> Dict[str, str]:
        """Return a loaded unit's properties, empty where there is no such unit or no systemd.

        Raises:
            PatchingError: systemctl fails.
        """
        if not self.systemd:
            return {}
        if self._units is None:
            self._units = by_name(self.host.runner, self._unit_names, _PROPERTIES, timeout_s=30)
        unit = self._units.get(name, {})
        return unit if unit.get("LoadState") == "loaded" else {}

    def apt(self) -> List[Tuple[str, str]]:
        """Return apt's settings in order, as ``apt-config dump`` prints them for programs; none without apt.

        Raises:
            PatchingError: apt-config fails, as for a syntax error in a file.
        """
        if self._apt is None:
            if not self.exists("usr/bin/apt-config"):
                return []
            lines = self.host.runner.run(["apt-config", "dump"], timeout_s=30).stdout.splitlines()
            self._apt = [match.groups() for match in map(_ASSIGNMENT.match, lines) if match]  # type: ignore[misc]
        return self._apt

    def apt_value(self, name: str) -> str:
        """Return the value of one of apt's settings, whose names know no case; empty if it is not set."""
        return next((value for key, value in reversed(self.apt()) if key.lower() == name.lower()), "")


def _line(error: configparser.Error) -> str:
    """Return the number of the first line that the parser could not read."""
    lines = [number for number, _text in getattr(error, "errors", [])] or [getattr(error, "lineno", "?")]
    return str(lines[0])


def find(look: Look, kind: str, programs: Sequence[Program]) -> List[Entry]:
    """Return those of ``programs`` that are here; one whose units neither run nor start only informs."""
    found = []
    for program in programs:
        units = {name: look.unit(name) for name in program.units if look.unit(name)}
        files = ["/" + name for name in program.files if look.exists(name)]
        if not units and not files:
            continue
        acting = [
            name
            for name, unit in units.items()
            if unit.get("ActiveState") in ("active", "activating", "reloading")
            or unit.get("UnitFileState") in ("enabled", "enabled-runtime")
        ]
        seen = (
            "active or enabled: {}".format(", ".join(acting))
            if acting
            else "found: {}".format(", ".join(list(units) + files))
        )
        # Without any unit nothing tells whether it acts (a container, another init, cron): then it is taken to.
        effect = program.effect if acting or not units else INFORMS
        found.append(entry(kind, program.name, "{} ({})".format(program.detail, seen), effect))
    return found
