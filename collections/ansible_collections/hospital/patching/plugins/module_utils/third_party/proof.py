# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a piece of software works: the probe of its entry."""

import os
import re
from typing import Dict, List, Optional

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.probes.base import ProbeContext
from ansible_collections.hospital.patching.plugins.module_utils.probes.connector import Connector
from ansible_collections.hospital.patching.plugins.module_utils.probes.registry import build
from ansible_collections.hospital.patching.plugins.module_utils.runner import without_logins
from ansible_collections.hospital.patching.plugins.module_utils.third_party.base import Installer

TIMEOUT_S = 60
#: Stands for the version in a probe's pattern.
VERSION = "{version}"


def not_working(installer: Installer, version: str, home: Optional[str] = None) -> Optional[str]:
    """Return why ``version`` does not prove that it works, or None; ``home`` is that of one not in use yet."""
    probe = installer.spec.get("probe")
    if probe is None:
        return None
    if "type" in probe:
        # Entries name probes of the host itself only, so that no device is ever connected to.
        context = ProbeContext(installer.host.runner, installer.host.clock, Connector([]), "/proc")
        result = build(probe, context).read()
        return None if result["verdict"] == "ok" else "probe {}: {}".format(result["verdict"], result["detail"])
    try:
        words = installer.command(probe["command"], home)
        said = installer.host.runner.run(words, timeout_s=probe.get("timeout_s", TIMEOUT_S), check=False)
    except PatchingError as error:
        return "{}: {}".format(error.subject, error.seen)
    text = said.stdout + said.stderr
    shown = without_logins(text.strip())
    if said.rc != 0:
        return "{} ended with {}: {}".format(" ".join(words), said.rc, shown[-200:])
    pattern = _pattern(installer, version)
    if re.search(pattern, text) is None:
        return "{} said {!r}, without {}".format(" ".join(words), shown[:200], pattern)
    return None


def _pattern(installer: Installer, version: str) -> str:
    """Return what the probe's answer has to match; one without ``{version}`` is about the entry's own version only."""
    pattern = str(installer.spec["probe"].get("pattern", ""))
    if VERSION in pattern:
        return pattern.replace(VERSION, re.escape(version))
    return pattern if version == installer.spec.get("version") else ""


def refuse_unready(installer: Installer, version: str) -> None:
    """Try a version that is staged and not in use yet, where it can be tried.

    Raises:
        PatchingError: it does not work.
    """
    home, command = installer.staged_home(version), (installer.spec.get("probe") or {}).get("command")
    if not home or not command or os.path.isabs(command[0]) or "/" not in command[0]:
        return
    why = not_working(installer, version, home)
    if why:
        raise PatchingError(
            "software {} {}".format(installer.name, version),
            why,
            "a version that works where it was unpacked",
            "get the right build for this host, then stage it again; nothing is in use yet",
        )


def problem(subject: str, seen: str, expected: str) -> Dict[str, str]:
    """Return one problem as ``update_verify`` lists it."""
    return {"subject": subject, "seen": seen, "expected": expected}


def problems(installer: Installer, version: Optional[str]) -> List[Dict[str, str]]:
    """Return what is wrong with software that should be at ``version``."""
    try:
        found = installer.installed()
    except PatchingError as error:
        return [problem(installer.name, error.seen, error.expected)]
    if found != version:
        return [problem(installer.name, "{} is installed".format(found or "nothing"), version or "nothing")]
    why = not_working(installer, version) if version is not None else None
    return [problem(installer.name, why, "its probe ok with {}".format(version))] if why else []
