# SPDX-License-Identifier: GPL-3.0-or-later
"""systemd's services, timers and sockets, and the package that each one's file belongs to.

Loaded units are asked for in one ``systemctl show``. Naming the others too
would make systemd load each of them (measured: 250 ms more for 90 units), so
these are read from the unit directories; what systemd does not have loaded is
inactive. Rules: systemd.unit(5), systemctl(1) ``is-enabled``.
"""

import os
from typing import Any, Dict, List, Optional

from ansible_collections.hospital.patching.plugins.module_utils import systemd_units
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.software.owners import Owners
from ansible_collections.hospital.patching.plugins.module_utils.software.small_files import below, head

KINDS = (".service", ".timer", ".socket")
PROPERTIES = ["Id", "LoadState", "ActiveState", "UnitFileState", "FragmentPath"]
#: From the administrator's to the vendor's: the first that has a unit wins (systemd.unit(5)).
DIRECTORIES = (
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
)
#: Where links in ``*.wants`` and ``*.requires`` enable units, and what that is called.
_ENABLING = (
    ("/etc/systemd/system", "enabled"),
    ("/run/systemd/system", "enabled-runtime"),
    ("/run/systemd/generator.early", "enabled-runtime"),
    ("/run/systemd/generator", "enabled-runtime"),
    ("/run/systemd/generator.late", "enabled-runtime"),
)


def _names(root: str, directory: str) -> List[str]:
    try:
        return sorted(os.listdir(below(root, directory)))
    except OSError:
        return []


class UnitFiles:
    """The unit files of a host, whether systemd has loaded them or not."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.paths: Dict[str, str] = {}
        for directory in DIRECTORIES:
            for name in _names(root, directory):
                if name.endswith(KINDS):
                    self.paths.setdefault(name, os.path.join(directory, name))
        self.wanted: Dict[str, str] = {}
        for directory, state in _ENABLING:
            for group in _names(root, directory):
                if group.endswith((".wants", ".requires")):
                    for name in _names(root, os.path.join(directory, group)):
                        self.wanted.setdefault(name, state)
                        stem, at, rest = name.partition("@")
                        if at:  # an instance enables its template
                            self.wanted.setdefault(stem + "@" + os.path.splitext(rest)[1], state)

    def state(self, name: str) -> str:
        """Return a unit file's state in the words of systemctl(1), as far as it can be told from files."""
        path = self.paths[name]
        full = below(self.root, path)
        target = os.readlink(full) if os.path.islink(full) else ""
        # A link to nothing, and an empty file, mask a unit.
        if target == "/dev/null" or (not target and self._empty(full)):
            return "masked-runtime" if path.startswith("/run/") else "masked"
        if target and os.path.basename(target) != name and os.path.dirname(path) == os.path.dirname(self._aim(path)):
            return "alias"
        if name in self.wanted:
            return self.wanted[name]
        text = head(self.root, self._aim(path)) or ""
        installs = any(line.strip() == "[Install]" for line in text.splitlines())
        return "disabled" if installs else "static"

    def _aim(self, path: str) -> str:
        full = below(self.root, path)
        if not os.path.islink(full):
            return path
        return os.path.normpath(os.path.join(os.path.dirname(path), os.readlink(full)))

    @staticmethod
    def _empty(path: str) -> bool:
        try:
            return os.path.getsize(path) == 0
        except OSError:
            return False


def collect(host: Host, owners: Optional[Owners] = None) -> List[Dict[str, Any]]:
    """Return ``[{name, active, enabled, path, package}]`` sorted by name; ``[]`` where systemd does not run.

    ``active`` and ``enabled`` are systemd's ActiveState and UnitFileState;
    ``enabled`` is None for units that have no file, such as generated ones.
    Templates are units that are never active themselves.

    Raises:
        PatchingError: systemctl or rpm does not answer.
    """
    if not systemd_units.booted(host.root):
        return []
    found: Dict[str, Dict[str, Any]] = {}
    for fields in systemd_units.show(host.runner, ["*" + kind for kind in KINDS], PROPERTIES):
        name = fields.get("Id", "")
        if name and fields.get("LoadState") != "not-found":
            found[name] = {
                "name": name,
                "active": fields.get("ActiveState") or None,
                "enabled": fields.get("UnitFileState") or None,
                "path": fields.get("FragmentPath") or None,
            }
    files = UnitFiles(host.root)
    for name, path in files.paths.items():
        state = files.state(name) if name not in found else "alias"
        if state != "alias":  # another name of a unit that is told
            found[name] = {"name": name, "active": "inactive", "enabled": state, "path": path}
    packages = (owners or Owners(host)).of({str(unit["path"]) for unit in found.values() if unit["path"]})
    for unit in found.values():
        unit["package"] = packages.get(unit["path"]) if unit["path"] else None
    return [unit for _name, unit in sorted(found.items())]
