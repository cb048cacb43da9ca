# SPDX-License-Identifier: GPL-3.0-or-later
"""The transaction that apt would perform, read from its JSON hooks and never from its prose."""

import json
import os
import sys
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from ansible_collections.hospital.patching.plugins.module_utils import deb822
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import apt_json_hook
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner

#: One package of a resolved transaction. ``current`` or ``to`` may be None; ``origins`` are those of ``to``.
Change = NamedTuple(
    "Change",
    [
        ("name", str),
        ("arch", str),
        ("current", Optional[str]),
        ("to", Optional[str]),
        ("automatic", bool),
        ("origins", List[Dict[str, str]]),
    ],
)

#: A file of the repository, or of the host's own records (then ``filename`` is empty).
Stanza = Dict[str, str]


def source_of(module: Any) -> str:
    """Return the source text of an imported module, also from within a module payload."""
    return str(module.__loader__.get_source(module.__name__))


def python() -> str:
    """Return the interpreter that hooks run on: the one that runs this module."""
    return sys.executable or "/usr/bin/python3"


def parse_changes(text: str) -> List[Change]:
    """Return the changes of a hook's package list, sorted by name and architecture."""
    changes = []
    for package in json.loads(text):
        versions = package.get("versions", {})
        current, new = versions.get("current"), versions.get("install")
        removed = package["mode"] in ("deinstall", "purge")
        of = current if removed else new
        if of is None:
            raise PatchingError(
                package["name"],
                "apt names no version for {}".format(package["mode"]),
                "a version",
                "look at `apt-get -s dist-upgrade` on the host",
            )
        changes.append(
            Change(
                package["name"],
                of["architecture"],
                current["version"] if current else None,
                None if removed else of["version"],
                bool(package.get("automatic")),
                [] if removed else list(of.get("origins", [])),
            )
        )
    return sorted(changes, key=lambda change: (change.name, change.arch))


class AptResolver:
    """Asks apt what it would do, with the given ``options`` and scratch ``directory``."""

    def __init__(self, runner: Runner, options: List[str], directory: str) -> None:
        self.runner = runner
        self.options = options
        self.directory = directory

    def upgrade_all(self, ignore_holds: bool = False) -> List[Change]:
        """Return what ``apt-get dist-upgrade`` would do."""
        return self._ask("Upgrade", (["--ignore-hold"] if ignore_holds else []) + ["dist-upgrade"])

    def upgrade_without(self, keep: List[Change], preferences: str) -> List[Change]:
        """Return what ``dist-upgrade`` would do if the packages of ``keep`` stayed at their ``current`` version.

        ``preferences`` is the text of the host's own preferences file, which stays in force behind these pins.
        """
        path = os.path.join(self.directory, "preferences")
        with open(path, "w", encoding="utf-8") as handle:
            handle.write("".join(_pin(change) for change in keep) + preferences)
        return self._ask("Upgrade", ["-o", "Dir::Etc::preferences=" + path, "dist-upgrade"])

    def install(self, targets: List[str], recommends: bool = True) -> List[Change]:
        """Return what ``apt-get install`` of ``targets`` (``name:arch=version`` or ``name:arch-``) would do."""
        if not targets:
            return []
        flags = [] if recommends else ["--no-install-recommends"]
        return self._ask("Install", flags + ["--allow-downgrades", "install"] + targets)

    def show(self, targets: List[str]) -> List[Stanza]:
        """Return the paragraphs of all ``targets`` (``name`` or ``name:arch=version``) that apt knows."""
        if not targets:
            return []
        result = self.runner.run(["apt-cache", "show", "-q"] + self.options + targets, timeout_s=120, check=False)
        return list(deb822.paragraphs(result.stdout))

    def _ask(self, hook: str, command: List[str]) -> List[Change]:
        script, answer = os.path.join(self.directory, "hook.py"), os.path.join(self.directory, "resolved.json")
        with open(script, "w", encoding="utf-8") as handle:
            handle.write(source_of(apt_json_hook))
        if os.path.exists(answer):
            os.unlink(answer)
        # -I -S: the hook is started several times and needs neither site nor the environment.
        setting = "AptCli::Hooks::{}::={} -I -S {} {}".format(hook, python(), script, answer)
        result = self.runner.run(
            ["apt-get", "-s", "-q"] + self.options + ["-o", "Debug::NoLocking=1", "-o", setting] + command,
            timeout_s=300,
            env={"DEBIAN_FRONTEND": "noninteractive"},
            check=False,
        )
        if result.rc != 0:
            raise PatchingError(
                "apt-get {}".format(" ".join(command)[:120]),
                _reason(result.stdout, result.stderr),
                "a transaction that apt can resolve",
                "repair the package state on the host (apt-get check), or exclude the package that is named",
            )
        try:
            with open(answer, encoding="utf-8") as handle:
                return parse_changes(handle.read())
        except (OSError, ValueError, KeyError) as error:
            raise PatchingError(
                "apt-get {}".format(command[-1][:60]),
                "its JSON hook gave no package list ({})".format(error),
                "an apt with JSON hooks (1.6 or newer)",
                "look at what `apt-get -s dist-upgrade` prints on the host",
            )


#: How apt begins what it says of a package that stands in the way.
_UNMET = (" Depends: ", " PreDepends: ", " Breaks: ", " Conflicts: ")


def _reason(out: str, err: str) -> str:
    """Return apt's errors, and the unmet dependencies that it explains on its standard output."""
    errors = [line[2:].strip() for line in err.splitlines() if line.startswith("E:")]
    unmet = [" ".join(line.split()) for line in out.splitlines() if any(word in line for word in _UNMET)]
    return "; ".join(errors + unmet[:5])[:600] or "no reason given"


def _pin(change: Change) -> str:
    """Return the stanza that keeps a package as it is; 1001 outweighs whatever else is newer (apt_preferences(5))."""
    if change.current is None:
        return "Package: {}\nPin: release *\nPin-Priority: -1\n\n".format(change.name)
    return "Package: {}\nPin: version {}\nPin-Priority: 1001\n\n".format(change.name, change.current)


def target(name: str, arch: str, version: Optional[str]) -> str:
    """Return the argument that makes apt install a version, or with None remove the package.

    apt files packages of architecture ``all`` under the native one.
    """
    qualified = name if arch == "all" else "{}:{}".format(name, arch)
    return qualified + ("-" if version is None else "=" + version)


def by_version(stanzas: List[Stanza]) -> Dict[Tuple[str, str, str], Stanza]:
    """Return repository paragraphs (those with a file) by name, architecture and version."""
    return {
        (stanza.get("Package", ""), stanza.get("Architecture", ""), stanza.get("Version", "")): stanza
        for stanza in reversed(stanzas)
        if stanza.get("Filename")
    }
